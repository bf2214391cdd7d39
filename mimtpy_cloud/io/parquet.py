"""Read whole Parquet tables from a path or a URL."""

import os
from typing import Any

from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.location import locate, reaching

__all__ = ["read_parquet"]


def read_parquet(url: str | os.PathLike[str]) -> Any:
    """
    Read a Parquet file.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    StorageError
        If there is no such file, or it cannot be fetched.
    SourceFormatError
        If it is no whole Parquet file, or pyarrow is not installed.

    See Also
    --------
    mimtpy_cloud.io.text.read_text : Text files.
    """
    text = os.fspath(url)
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError as error:
        raise SourceFormatError(f"{text} needs pyarrow: pip install pyarrow, or write the table as .csv") from error
    fs, path = locate(url)
    try:
        with reaching(url), fs.open(path, "rb") as file:
            return pq.read_table(file)
    except FileNotFoundError as error:
        raise StorageError(f"no such file: {text}") from error
    except pa.ArrowException as error:
        raise SourceFormatError(f"{text} is no whole Parquet file ({error}); write it again") from error
    except OSError as error:
        raise StorageError(f"cannot read {text}: {error}") from error
