"""Read whole text files from a path or a URL."""

import os

from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.location import locate, reaching

__all__ = ["bad_line", "read_text"]


def read_text(url: str | os.PathLike[str], expected: str) -> str:
    """
    Read a text file.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL.
    expected : str
        What the file should be, for the message.

    Returns
    -------
    str

    Raises
    ------
    StorageError
        If there is no such file, or it cannot be fetched.
    SourceFormatError
        If it is no text.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "a.txt").write_text("1 2")
    ...     read_text(folder + "/a.txt", "two numbers")
    '1 2'
    """
    fs, path = locate(url)
    try:
        with reaching(url), fs.open(path, "rt", encoding="utf-8-sig") as file:
            return str(file.read())
    except UnicodeDecodeError as error:
        raise SourceFormatError(f"{os.fspath(url)} is no text; expected {expected}") from error
    except FileNotFoundError as error:
        raise StorageError(f"no such file: {os.fspath(url)}") from error
    except OSError as error:
        raise StorageError(f"cannot read {os.fspath(url)}: {error}") from error


def bad_line(url: str | os.PathLike[str], number: int, expected: str, line: str) -> SourceFormatError:
    """
    Make the error about one line of a text file.

    Parameters
    ----------
    url : str or path
        File.
    number : int
        Number of the line; the first is 1.
    expected : str
        What should stand there.
    line : str
        What stands there.

    Returns
    -------
    SourceFormatError
        To be raised.

    Examples
    --------
    >>> print(bad_line("a.txt", 3, "a number", "b"))
    a.txt, line 3: expected a number; got 'b'
    """
    return SourceFormatError(f"{os.fspath(url)}, line {number}: expected {expected}; got {line.strip()[:80]!r}")
