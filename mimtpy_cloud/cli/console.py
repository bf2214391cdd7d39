"""What the commands draw on a terminal: progress bars and tables; plain lines where there is no terminal."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

__all__ = ["Progress", "progress_bar", "reason", "show_table"]

#: ``progress(done, total, unit)``, called from one thread.
Progress = Callable[[int, int, str], None]


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """
    Show how far work is, on standard error.

    Parameters
    ----------
    label : str
        What is being done.

    Yields
    ------
    callable
        ``progress(done, total, unit)``. On a terminal a bar with rate and remaining time; elsewhere one line
        at the end.
    """
    bar = _bar(label) if sys.stderr.isatty() else _line(label)
    with bar as progress:
        yield progress


@contextmanager
def _bar(label: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    started = time.monotonic()
    with RichProgress(*columns, console=Console(stderr=True)) as rich:
        task = rich.add_task(label, total=None, amount="")

        def progress(done: int, total: int, unit: str) -> None:
            amount = _amount(done, total, unit, time.monotonic() - started)
            rich.update(task, completed=done, total=total, amount=amount)

        yield progress


@contextmanager
def _line(label: str) -> Iterator[Progress]:
    started, last = time.monotonic(), ""

    def progress(done: int, total: int, unit: str) -> None:
        nonlocal last
        last = _amount(done, total, unit, time.monotonic() - started)

    yield progress
    if last:
        sys.stderr.write(f"{label}: {last} in {time.monotonic() - started:.1f} s\n")


def _amount(done: int, total: int, unit: str, seconds: float) -> str:
    """
    Write an amount with its rate.

    Examples
    --------
    >>> _amount(3, 4, "steps", 2.0), _amount(5_000_000, 20_000_000, "bytes", 2.0)
    ('3/4 steps, 1.5 steps/s', '5.0/20.0 MB, 2.5 MB/s')
    """
    rate = done / seconds if seconds > 0 else 0.0
    if unit in ("B", "byte", "bytes"):
        return f"{done / 1e6:.1f}/{total / 1e6:.1f} MB, {rate / 1e6:.1f} MB/s"
    return f"{done}/{total} {unit}, {rate:.1f} {unit}/s"


def reason(error: BaseException) -> str:
    """
    Write an error in words.

    Parameters
    ----------
    error : BaseException
        Any.

    Returns
    -------
    str
        Its text; that of its cause where GDAL only points to it, since the cause names the file.
    """
    text = str(error)
    return str(error.__cause__) if "previous exception" in text and error.__cause__ else text


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, width: int = 400) -> None:
    """
    Print a table to standard output.

    Parameters
    ----------
    columns : sequence of str
        Headings; no line for them if all are empty.
    rows : iterable of sequences
        Cells; shown as text.
    width : int
        Letters a line where there is no terminal.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if terminal else width)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(columns))
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    if terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in capture.get().splitlines())
