"""Run the scripts of many runs of RELAX on the workers of a dask cluster, and again only what is not complete."""

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mimtpy_cloud.client import active_client
from mimtpy_cloud.errors import ClusterError, SourceFormatError, StorageError
from mimtpy_cloud.relax.table import run_table

__all__ = ["RunOutcome", "run_with_dask"]

#: In the folder of a run that ended well: what was run.
_DONE = "complete.json"
#: Lines of the standard error that are kept of a run that failed.
_LINES = 20


@dataclass(frozen=True)
class RunOutcome:
    """
    How a run ended.

    Parameters
    ----------
    name : str
        Of the run.
    code : int
        Return code of the script; 0 is good, below zero is the signal that ended it.
    seconds : float
        How long it took.
    skipped : bool
        It was complete before.
    error : str
        Last lines of its standard error, or why it does not count as complete; empty if it does.
    """

    name: str
    code: int
    seconds: float
    skipped: bool
    error: str


def run_with_dask(
    folder: str | os.PathLike[str],
    *,
    client: Any = None,
    output: str = "*",
    progress: Callable[[int, int, str], None] | None = None,
) -> list[RunOutcome]:
    """
    Run the scripts that `make_runs` wrote, those of complete runs left out.

    Parameters
    ----------
    folder : str or path
        Folder with ``runs.csv`` and the scripts; the workers see it under the same path.
    client : distributed.Client, optional
        By default the active one.
    output : str
        Pattern of the files of which a run must leave one that is not empty in its folder, such as ``"*-relax.txt"``.
    progress : callable, optional
        ``progress(done, total, unit)``, called in this thread after each run.

    Returns
    -------
    list of RunOutcome
        In the order of the table. A run that fails does not stop the others.

    Raises
    ------
    ClusterError
        If there is no client.
    StorageError
        If the folder has no table or lacks a script.
    SourceFormatError
        If the table does not say which scripts there are.

    See Also
    --------
    make_runs : Writes the scripts.
    mimtpy_cloud.connect : Connects to a cluster.

    Notes
    -----
    A task is a script, and takes one thread of a worker; OMP_NUM_THREADS is for the script or the workers to set. A run
    counts as complete when its script returned 0, no part of a pipe in it failed last, and it left output. Then
    ``complete.json`` in its folder has the checksum of the script: a run whose script changed runs again.
    """
    client = client or active_client()
    if client is None:
        raise ClusterError(
            "no cluster is connected; use mimtpy --cluster local, or mimtpy_cloud.connect('local') first"
        )
    from distributed import as_completed

    place = Path(os.fspath(folder)).absolute()
    table = run_table(place / "runs.csv")
    if not {"name", "script"} <= table.keys():
        raise SourceFormatError(f"{place / 'runs.csv'} needs the columns name and script; write it with make_runs")
    pairs = list(zip(table["name"].tolist(), table["script"].tolist(), strict=True))
    if missing := [script for _, script in pairs if not (place / script).is_file()]:
        raise StorageError(f"{place} lacks {len(missing)} scripts of its table, such as {missing[0]}; write it again")
    futures = client.map(_run, *zip(*pairs, strict=True), folder=str(place), output=output, pure=False, retries=0)
    at = {future.key: i for i, future in enumerate(futures)}
    outcomes: list[Any] = [None] * len(futures)
    for done, future in enumerate(as_completed(futures), 1):  # type: ignore[no-untyped-call]
        outcomes[at[future.key]] = _outcome(future, pairs[at[future.key]][0])
        if progress is not None:
            progress(done, len(futures), "runs")
    return outcomes


def _outcome(future: Any, name: str) -> RunOutcome:
    """Result of a task; a worker that was lost is a failure of its run, not of all."""
    error = future.exception()
    return future.result() if error is None else RunOutcome(name, -1, 0.0, skipped=False, error=str(error))


def _run(name: str, script: str, folder: str, output: str) -> RunOutcome:
    """Run a script in a subprocess, on a worker."""
    place = Path(folder)
    checksum = hashlib.sha256((place / script).read_bytes()).hexdigest()
    mark = place / name / _DONE
    if _is_done(mark, checksum):
        return RunOutcome(name, 0, 0.0, skipped=True, error="")
    mark.unlink(missing_ok=True)
    started = time.monotonic()
    with (place / f"{name}.log").open("wb") as log:
        ended = subprocess.run(  # noqa: S603 - the user's own script
            ["bash", "-o", "pipefail", script],  # noqa: S607
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.PIPE,
            check=False,
        )
    error = "\n".join(ended.stderr.decode(errors="replace").splitlines()[-_LINES:])
    left = any(file.is_file() and file.stat().st_size for file in (place / name).glob(output))
    if ended.returncode == 0 and left:
        outcome = RunOutcome(name, 0, time.monotonic() - started, skipped=False, error="")
        temporary = mark.with_suffix(".part")
        temporary.write_text(json.dumps(asdict(outcome) | {"checksum": checksum}))
        temporary.replace(mark)
        return outcome
    if ended.returncode == 0:
        error = f"it left no {output} in {place / name}\n{error}".strip()
    return RunOutcome(name, ended.returncode, time.monotonic() - started, skipped=False, error=error)


def _is_done(mark: Path, checksum: str) -> bool:
    try:
        return bool(json.loads(mark.read_text())["checksum"] == checksum)
    except (OSError, ValueError, KeyError, TypeError):
        return False
