"""Write the scripts of many runs of RELAX from one sample and a table of parameters."""

import csv
import os
import re
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mimtpy_cloud.errors import ParameterError, SourceFormatError, StorageError
from mimtpy_cloud.io.text import read_text
from mimtpy_cloud.kernels.viscosity import fluidity, maxwell_time
from mimtpy_cloud.relax.table import NAMING, RunTable, run_table

__all__ = ["Scheduler", "make_runs"]

#: Decimal logarithms of viscosities that rocks have, with room.
_LOG_VISCOSITY = (10, 30)
type Scheduler = Literal["shell", "pbs", "slurm", "dask"]

#: What submits a script, and how its options look: name of a job, output, errors.
_SUBMIT = {"shell": "", "dask": "", "pbs": "qsub ", "slurm": "sbatch "}
_MARK = {"pbs": "#PBS", "slurm": "#SBATCH"}
_OPTIONS = {
    "pbs": {"-N": "-N {}", "-o": "-o {}.out", "-e": "-e {}.err"},
    "slurm": {
        "-J": "-J {}",
        "--job-name": "--job-name={}",
        "-o": "-o {}.out",
        "--output": "--output={}.out",
        "-e": "-e {}.err",
        "--error": "--error={}.err",
    },
}
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def make_runs(
    sample: str | os.PathLike[str],
    parameters: Any,
    out: str | os.PathLike[str],
    scheduler: Scheduler = "shell",
    *,
    viscosity: Sequence[str] | None = None,
    mu: float = 30e9,
    convention: Literal["exact", "mimtpy"] = "exact",
    names: Literal["run", "values"] = "run",
    overwrite: bool = False,
) -> RunTable:
    """
    Write one script for each run, the table of the runs, and what submits them.

    Parameters
    ----------
    sample : str or path
        Script of one run. It assigns each parameter once (``vs=1.0``, at the beginning of a line or after ``export``),
        and the folder of the output (``WDIR=...``).
    parameters : pandas.DataFrame, str, path or mapping
        What `run_table` takes: a table, a file, or the values of each parameter.
    out : str or path
        New or empty folder.
    scheduler : {"shell", "pbs", "slurm", "dask"}
        ``run_RELAX`` calls the scripts one after another, or submits them; with pbs and slurm there is also one job
        array. With dask nothing submits: `run_with_dask` runs them.
    viscosity : sequence of str, optional
        Parameters that are the decimal logarithm of a viscosity in Pa s; the scripts get the fluidity in 1/yr instead.
        By default those whose names begin with v or V.
    mu : float
        Shear modulus in Pa, for the fluidity.
    convention : {"exact", "mimtpy"}
        Fluidity with years of 365.25 days and ten significant digits; or MimtPy's, years of 3.2e7 s and five decimals.
    names : {"run", "values"}
        Name of a run: the first two parts of the name of the sample and the id of the run (``iran_vs_0007``); or
        MimtPy's, with the values in hundredths in place of the id (``iran_vs_1700_1800``).
    overwrite : bool
        Replace the folder if it is there, with all that runs have written into it.

    Returns
    -------
    dict of str to np.ndarray
        Columns of ``runs.csv``, shape ``(run,)``: `run`, `name`, `script`, the parameters, and of each viscosity p
        ``p_gammadot0`` (1/yr, as the script has it) and ``p_maxwell_years``.

    Raises
    ------
    ParameterError
        If the table is malformed, a viscosity is no parameter, two runs would have one name, or an option is unknown.
    SourceFormatError
        If the sample does not assign a parameter or ``WDIR`` exactly once, or is no text.
    StorageError
        If there is no sample, or the folder cannot be written, or holds something.
    ValueError
        If the shear modulus is not positive.

    See Also
    --------
    run_with_dask : Runs the scripts.
    open_output : Reads what they write.

    Notes
    -----
    A run writes to the folder of its name beside its script. All is written into a hidden folder, which is renamed when
    it is whole. Only whole names match: ``vs=`` is not an assignment of ``s``, nor is ``vs2=`` one of ``vs``. Nor
    does the output of a command, as in ``vs=$(cat file)``, nor ``vs=1 command``, count as one.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sample = pathlib.Path(folder, "iran_vs_sample.sh")
    ...     _ = sample.write_text("vs=1\\nWDIR=./out\\nrelax < $WDIR/in\\n")
    ...     runs = make_runs(sample, {"vs": "17:18:0.25"}, folder + "/runs")
    ...     print(pathlib.Path(folder, "runs/iran_vs_0002.sh").read_text())
    vs=2.993816805
    WDIR=./iran_vs_0002
    relax < $WDIR/in
    <BLANKLINE>
    """
    _check_choice("scheduler", scheduler, tuple(_SUBMIT))
    _check_choice("names", names, ("run", "values"))
    text = read_text(sample, "a shell script")
    table = run_table(parameters)
    symbols = [name for name in table if name not in NAMING]
    flowing = [name for name in symbols if name[:1] in "vV"] if viscosity is None else list(viscosity)
    if unknown := [name for name in flowing if name not in symbols]:
        raise ParameterError(f"expected viscosities among the parameters {symbols}, got {unknown}")
    for symbol in (*symbols, "WDIR"):
        _check_assigned(text, symbol, sample)
    _check_values(table, symbols, flowing)
    table = _named(table, symbols, Path(os.fspath(sample)), names)
    written = {}
    for name in symbols:
        written[name] = _as_text(table[name])
        if name in flowing:
            rate = fluidity(table[name], mu, convention=convention)
            table[f"{name}_gammadot0"] = rate
            table[f"{name}_maxwell_years"] = maxwell_time(table[name], mu, convention=convention)
            written[name] = _as_text(rate)
    scripts = [
        _script(text, name, {symbol: column[i] for symbol, column in written.items()}, scheduler)
        for i, name in enumerate(table["name"].tolist())
    ]
    _write(Path(os.fspath(out)), table, scripts, _submission(text, table, scheduler), overwrite=overwrite)
    return table


def _check_values(table: RunTable, symbols: list[str], flowing: list[str]) -> None:
    """Refuse what cannot be meant."""
    for name in flowing:
        values = np.asarray(table[name], float)
        if not ((values >= _LOG_VISCOSITY[0]) & (values <= _LOG_VISCOSITY[1])).all():
            raise ParameterError(
                f"{name} is the decimal logarithm of a viscosity in Pa s, {_LOG_VISCOSITY[0]} to {_LOG_VISCOSITY[1]}, "
                f"got {values.min():g} to {values.max():g}; give 18 for 1e18 Pa s, or say that it is no viscosity"
            )
    if "WDIR" in symbols:
        raise ParameterError("WDIR is the folder of a run and no parameter; call the parameter otherwise")


def _check_choice(what: str, got: str, choices: tuple[str, ...]) -> None:
    if got not in choices:
        raise ParameterError(f"expected {what} to be one of {', '.join(choices)}, got {got!r}")


def _assignment(symbol: str) -> re.Pattern[str]:
    """Assignment of a shell variable that is a line of its own: what stands before the value, and the value."""
    value = r"\"[^\"\n]*\"|'[^'\n]*'|[^\s;#]*"
    return re.compile(rf"^([ \t]*(?:export[ \t]+)?{re.escape(symbol)}=)({value})(?=[ \t]*(?:[;#].*)?$)", re.MULTILINE)


def _check_assigned(text: str, symbol: str, sample: str | os.PathLike[str]) -> None:
    if not _SYMBOL.fullmatch(symbol):
        raise ParameterError(f"a parameter must be a name that a shell takes, got {symbol!r}")
    count = len(_assignment(symbol).findall(text))
    if count != 1:
        raise SourceFormatError(
            f"{os.fspath(sample)} must assign {symbol} exactly once, as {symbol}=VALUE at the beginning of a line; it "
            f"does so {count} times"
        )


def _named(table: RunTable, symbols: list[str], sample: Path, names: str) -> RunTable:
    """Put names and scripts of the runs after their ids."""
    prefix = "_".join(sample.name.removesuffix(sample.suffix).split("_")[:2])
    if names == "run":
        tails = table["run"].tolist()
    else:
        rows = zip(*(table[symbol].tolist() for symbol in symbols), strict=True)
        tails = ["_".join(f"{value:.2f}".replace(".", "") for value in row) for row in rows]
    made = [f"{prefix}_{tail}" for tail in tails]
    if len(set(made)) < len(made):
        twice = next(name for name in made if made.count(name) > 1)
        raise ParameterError(f"two runs would be called {twice}; values that differ by less than 0.01 need names='run'")
    scripts = [f"{name}.sh" for name in made]
    head = {"run": table["run"], "name": np.array(made), "script": np.array(scripts)}
    return head | {symbol: table[symbol] for symbol in symbols}


def _as_text(values: np.ndarray) -> list[str]:
    return [f"{value:.10g}" for value in values.tolist()]


def _script(text: str, name: str, values: dict[str, str], scheduler: str) -> str:
    """The sample with the values of one run."""
    for symbol, value in (values | {"WDIR": f"./{name}"}).items():
        text = _replaced(_assignment(symbol), value, text)
    for option, with_name in _OPTIONS.get(scheduler, {}).items():
        line = re.compile(rf"^({_MARK[scheduler]}[ \t]+)({re.escape(option)}(?![A-Za-z-]).*)$", re.MULTILINE)
        text = _replaced(line, with_name.format(name), text)
    return text


def _replaced(pattern: re.Pattern[str], new: str, text: str) -> str:
    """Text with the second group of a pattern replaced."""
    return pattern.sub(lambda found: found[1] + new, text)


def _submission(text: str, table: RunTable, scheduler: str) -> dict[str, str]:
    """Files that submit the runs, by name."""
    if scheduler == "dask":
        return {}
    calls = "".join(f"{_SUBMIT[scheduler]}./{script}\n" for script in table["script"].tolist())
    files = {"run_RELAX": f'#!/bin/sh\ncd "$(dirname "$0")" || exit 1\n{calls}'}
    if scheduler in _MARK:
        files[f"array.{scheduler}"] = _array(text, table["script"].tolist(), scheduler)
    return files


def _array(text: str, scripts: list[str], scheduler: str) -> str:
    """One job array over all scripts, with the resources that the sample asks for."""
    mark = _MARK[scheduler]
    dropped = (*_OPTIONS[scheduler], "-a", "--array") if scheduler == "slurm" else (*_OPTIONS[scheduler], "-J", "-t")
    own = [line for line in text.splitlines() if re.match(rf"{mark}[ \t]", line)]
    kept = [line for line in own if re.split(r"[ \t=]+", line)[1] not in dropped]
    last = len(scripts) - 1
    if scheduler == "slurm":
        index, here = "${SLURM_ARRAY_TASK_ID:-0}", "${SLURM_SUBMIT_DIR:-.}"
        head = [f"{mark} -J relax", f"{mark} --array=0-{last}", f"{mark} -o relax_%a.out", f"{mark} -e relax_%a.err"]
    else:
        index, here = "${PBS_ARRAY_INDEX:-${PBS_ARRAYID:-0}}", "${PBS_O_WORKDIR:-.}"
        head = [f"{mark} -N relax", *([f"{mark} -J 0-{last}"] if last else [])]  # an array of one is refused
    cases = "\n".join(f"  {i}) script={script} ;;" for i, script in enumerate(scripts))
    body = f'cd "{here}" || exit 1\ncase {index} in\n{cases}\n  *) echo "no such run" >&2; exit 1 ;;\nesac\n"./$script"'
    return "\n".join(["#!/bin/sh", *head, *kept, body, ""])


def _write(out: Path, table: RunTable, scripts: list[str], files: dict[str, str], *, overwrite: bool) -> None:
    """Write the folder, whole or not at all."""
    if out.exists() and not out.is_dir():
        raise StorageError(f"{out} is a file; give a folder for the runs")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise StorageError(f"{out} is not empty; give a new folder, or overwrite it with all that is in it")
    new = out.parent / f".{out.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        new.mkdir(parents=True)
        for script, content in (dict(zip(table["script"].tolist(), scripts, strict=True)) | files).items():
            (new / script).write_text(content)
            (new / script).chmod(0o755)
        _write_table(new, table)
        _put(new, out)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _write_table(folder: Path, table: RunTable) -> None:
    with (folder / "runs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*(column.tolist() for column in table.values()), strict=True))
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError:
        return
    pq.write_table(pa.table({name: column.tolist() for name, column in table.items()}), folder / "runs.parquet")


def _put(new: Path, out: Path) -> None:
    """Rename a folder to its place; what was there goes when the new one is there."""
    old = new.with_suffix(".old")
    if out.is_dir():
        out.rename(old)
    try:
        new.rename(out)
    except OSError:
        if old.is_dir():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
