"""Where a URL points to, and what is said when that cannot be reached."""

import os
from typing import Any

from mimtpy_cloud.errors import StorageError

__all__ = ["is_local", "locate", "service_problem"]

#: Packages that speak with object stores and web servers; their errors are no OSError.
_SERVICES = frozenset({"aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "requests", "s3fs", "urllib3"})


def locate(url: str | os.PathLike[str]) -> tuple[Any, str]:
    """
    Find the file system of a path or URL, and the path in it.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL.

    Returns
    -------
    fs : fsspec.AbstractFileSystem
        Its file system.
    path : str
        The path in it.

    Raises
    ------
    StorageError
        If the scheme is unknown, or its package is not installed.

    Examples
    --------
    >>> locate("memory://a/b.he5")[1]
    '/a/b.he5'
    """
    from fsspec.core import url_to_fs

    try:
        fs, path = url_to_fs(os.fspath(url))
    except (ValueError, ImportError) as error:
        raise StorageError(f"cannot open {url}: {error}; give a path, or a URL such as s3://bucket/folder") from error
    return fs, path


def is_local(fs: Any) -> bool:
    """
    Tell whether a file system is that of this machine.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
        From `locate`.

    Returns
    -------
    bool
    """
    protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
    return bool(protocol in ("file", "local"))


def service_problem(error: BaseException) -> str | None:
    """
    Say in words that a storage service could not be used.

    Parameters
    ----------
    error : BaseException
        Any.

    Returns
    -------
    str or None
        None if the error is not one of a storage service.

    Examples
    --------
    >>> from botocore.exceptions import NoCredentialsError
    >>> service_problem(NoCredentialsError()).partition(":")[0], service_problem(ValueError("x"))
    ('the object store or server cannot be used', None)
    """
    if type(error).__module__.partition(".")[0] not in _SERVICES:
        return None
    text = " ".join(str(error).split()) or type(error).__name__
    return (
        f"the object store or server cannot be used: {text.rstrip('.')}; check the URL, the endpoint and the "
        "credentials (environment or configuration files)"
    )
