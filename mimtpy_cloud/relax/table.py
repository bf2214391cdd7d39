"""Tables of runs: one row a run, one column a parameter."""

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mimtpy_cloud.errors import ParameterError
from mimtpy_cloud.io.parquet import read_parquet
from mimtpy_cloud.io.text import read_text
from mimtpy_cloud.plan.parameters import full_factorial, parse_values

__all__ = ["NAMING", "RunTable", "checked_table", "parameter_names", "run_table"]

#: Columns by name: text or numbers, shape ``(run,)`` each.
type RunTable = dict[str, np.ndarray]

#: Columns that name a run rather than being a parameter.
NAMING = ("run", "name", "script")
#: Ends of the names of columns that follow from a parameter: fluidity and Maxwell time.
_DERIVED = ("_gammadot0", "_maxwell_years")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def run_table(parameters: Any) -> RunTable:
    """
    Read or make a table of runs.

    Parameters
    ----------
    parameters : pandas.DataFrame, str, path or mapping
        A table, or the path or URL of one (``.csv`` with a heading, ``.parquet``): one row a run, a column a parameter,
        and optionally a column `run` of ids. Or the values of each parameter, as an array or as text such as
        ``"17:18:0.25"``: then all combinations, the last parameter fastest.

    Returns
    -------
    dict of str to np.ndarray
        Columns, shape ``(run,)``: `run` (text, ``0000`` and so on if there are no ids), `name` and `script` if there,
        and the others as float64.

    Raises
    ------
    ParameterError
        If the table has no row or no parameter, a cell is no finite number, or ids are not unique or hold other
        characters than letters, digits, ``.``, ``_``, ``+`` and ``-``.
    StorageError
        If there is no such file.
    SourceFormatError
        If the file is no text, or no Parquet file.

    See Also
    --------
    mimtpy_cloud.relax.make_runs : Writes the scripts of the runs.
    mimtpy_cloud.plan.parameters.parse_values : Ranges as text.

    Examples
    --------
    >>> {name: column.tolist() for name, column in run_table({"vs": "17:18:1", "h": [20, 30]}).items()}
    {'run': ['0000', '0001', '0002', '0003'], 'vs': [17.0, 17.0, 18.0, 18.0], 'h': [20.0, 30.0, 20.0, 30.0]}
    """
    if isinstance(parameters, Mapping):
        values = {name: parse_values(v) if isinstance(v, str) else v for name, v in parameters.items()}
        return checked_table(full_factorial(values))
    if isinstance(parameters, str | os.PathLike):
        return checked_table(_read(parameters), os.fspath(parameters))
    return checked_table({str(name): column for name, column in parameters.items()})


def checked_table(columns: Mapping[str, Any], what: str = "the table") -> RunTable:
    """
    Check the columns of a table of runs.

    Parameters
    ----------
    columns : mapping of str to sequence
        Columns by name, shape ``(run,)``.
    what : str
        Name of the table in messages.

    Returns
    -------
    dict of str to np.ndarray
        As `run_table`.

    Raises
    ------
    ParameterError
        As `run_table`.

    See Also
    --------
    run_table : Reads a table, or combines values.
    """
    columns = {name: list(column) for name, column in columns.items()}
    count = len(next(iter(columns.values()), []))
    names = [name for name in columns if name not in NAMING]
    if not count or not names:
        raise ParameterError(
            f"{what}: expected a row for each run and a column for each parameter, got {list(columns)}"
        )
    found = {name: np.array([str(cell) for cell in columns[name]]) for name in NAMING if name in columns}
    ids = found.pop("run", np.array([f"{i:0{max(4, len(str(count - 1)))}d}" for i in range(count)]))
    _check_ids(ids, what)
    return {"run": ids} | found | {name: _numbers(columns[name], name, what) for name in names}


def parameter_names(columns: Iterable[str]) -> list[str]:
    """
    Tell which columns of a table of runs are parameters.

    Parameters
    ----------
    columns : iterable of str
        Names of all columns.

    Returns
    -------
    list of str
        Without those that name a run, and those that `make_runs` derives from a viscosity.

    Examples
    --------
    >>> parameter_names(["run", "name", "vs", "H", "vs_gammadot0", "vs_maxwell_years"])
    ['vs', 'H']
    """
    columns = list(columns)
    derived = {name + end for name in columns for end in _DERIVED}
    return [name for name in columns if name not in NAMING and name not in derived]


def _check_ids(ids: np.ndarray, what: str) -> None:
    for text in ids.tolist():
        if not _ID.fullmatch(text):
            raise ParameterError(f"{what}: expected ids of letters, digits and . _ + -, got {text!r}")
    unique, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise ParameterError(f"{what}: expected a run once; {unique[counts > 1][0]!r} occurs {counts.max()} times")


def _numbers(cells: list[Any], name: str, what: str) -> np.ndarray:
    for row, cell in enumerate(cells, 1):
        try:
            good = bool(np.isfinite(float(cell)))
        except (TypeError, ValueError):
            good = False
        if not good:
            raise ParameterError(f"{what}, row {row}: expected a number for {name}, got {cell!r}")
    return np.array(cells, np.float64)


def _read(url: str | os.PathLike[str]) -> dict[str, list[Any]]:
    """Columns of a file."""
    text = os.fspath(url)
    if text.endswith((".parquet", ".pq")):
        return dict(read_parquet(text).to_pydict())
    rows = [row for row in csv.reader(io.StringIO(read_text(url, "a table of runs"))) if row]
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise ParameterError(f"{text}, row {number}: expected {len(rows[0])} cells, got {len(row)}")
    heading = [cell.strip() for cell in rows[0]] if rows else []
    return {name: [row[i].strip() for row in rows[1:]] for i, name in enumerate(heading)}
