"""Where a URL points to: the one place that makes clients of storage services, and words of their errors.

A URL becomes a client of obstore for chunks (`object_store`), or a file system of fsspec for everything else
(`locate`). Both take endpoint, region, profile, anonymous access and the number of attempts from the same environment
variables and AWS config files. Credentials stay in the clients: nothing here is written, logged or pickled with them.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from mimtpy_cloud.errors import StorageError

__all__ = ["explain", "is_local", "locate", "looks_secret", "object_store", "reaching", "service_problem"]

#: Packages that speak with object stores and web servers; their errors are no OSError.
_SERVICES = frozenset(
    {"aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "obstore", "requests", "s3fs", "urllib3"}
)
#: Environment variables that a client depends on start so.
_SETTINGS = ("AWS_", "AZURE_", "GOOGLE_")
#: Environment variables that name an S3 endpoint, the strongest first.
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
#: With one of them the environment says who asks; without, the AWS config files may.
_IDENTITIES = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SKIP_SIGNATURE"})
#: Credentials of a config file are read again after this time, as they may be temporary.
_CREDENTIALS_LAST = timedelta(minutes=15)
#: Tries of a request by default; about half a minute in all.
_ATTEMPTS = 10
#: A pause is random, from the first to `base` times the one before: with 2 they would hardly grow.
_PAUSES = {"init_backoff": timedelta(seconds=0.2), "base": 4, "max_backoff": timedelta(seconds=8)}
#: Names of environment variables that hold secrets.
_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL|CONNECTION_STRING|SAS", re.IGNORECASE)
_S3, _AZURE = ("s3", "s3a"), ("az", "abfs", "abfss")
#: Parts of an address that let everybody in who reads it.
_SECRET_QUERY = re.compile(
    r"(^|&)(x-amz-|x-goog-|sig=|[^&]*(signature|token|key|password|secret)[^=]*=)", re.IGNORECASE
)


@dataclass(frozen=True)
class _S3Settings:
    """How to speak with S3; no credential."""

    endpoint: str
    region: str
    anonymous: bool
    attempts: int
    from_profile: bool


def _s3_settings() -> _S3Settings:
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    if "@" in urlsplit(endpoint).netloc:
        raise StorageError("AWS_ENDPOINT_URL must not hold a user or password, which would end up in messages")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    anonymous = os.environ.get("AWS_SKIP_SIGNATURE", "").lower() in ("1", "true", "yes", "on")
    attempts = os.environ.get("AWS_MAX_ATTEMPTS") or _ATTEMPTS
    from_profile = False
    if not _IDENTITIES & os.environ.keys():
        import botocore.session  # type: ignore[import-untyped]

        session = botocore.session.get_session()
        if session.full_config["profiles"] and session.get_credentials() is not None:
            from_profile = True
            endpoint = endpoint or _configured_endpoint(session)
            region = region or session.get_config_variable("region") or "us-east-1"
            attempts = os.environ.get("AWS_MAX_ATTEMPTS") or session.get_scoped_config().get("max_attempts", _ATTEMPTS)
    try:
        return _S3Settings(endpoint, region, anonymous, max(1, int(attempts)), from_profile)
    except ValueError:
        raise StorageError(f"AWS_MAX_ATTEMPTS (max_attempts) must be a whole number, got {attempts!r}") from None


def _configured_endpoint(session: Any) -> str:
    """Endpoint of S3 in the AWS config file, that of the service before the general one."""
    profile = session.get_scoped_config()
    services = session.full_config.get("services", {}).get(profile.get("services", ""), {})
    return str(services.get("s3", {}).get("endpoint_url") or profile.get("endpoint_url", ""))


def _environment() -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in os.environ.items() if name.startswith(_SETTINGS))


def object_store(url: str) -> Any:
    """
    Make the obstore client of a URL.

    Parameters
    ----------
    url : str
        Such as ``s3://bucket/prefix``, ``gs://``, ``az://`` or ``https://``.

    Returns
    -------
    obstore.store.ObjectStore
        The same one as long as the environment stays as it is; no request is sent.

    Raises
    ------
    StorageError
        If the scheme is unknown, or the settings are wrong.
    """
    return _object_store(url, _environment())


@lru_cache(maxsize=256)
def _object_store(url: str, _settings: frozenset[tuple[str, str]]) -> Any:
    from obstore.store import from_url

    try:
        return from_url(url, **_obstore_options(url))
    except StorageError:
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise StorageError(
            f"cannot open {url}: {reason}; expected a local path, file://, s3://, gs://, az:// or https:// URL"
        ) from error


def _obstore_options(url: str) -> dict[str, Any]:
    retries: dict[str, Any] = {"max_retries": _ATTEMPTS - 1, "backoff": _PAUSES}
    options: dict[str, Any] = {"retry_config": retries}
    where = url
    if urlsplit(url).scheme in _S3:
        s3 = _s3_settings()
        where = s3.endpoint or url
        retries["max_retries"] = s3.attempts - 1
        given = {"endpoint": s3.endpoint, "region": s3.region, "skip_signature": s3.anonymous}
        options |= {name: value for name, value in given.items() if value}
        if s3.from_profile:
            options["credential_provider"] = _profile_credentials
    elif urlsplit(url).scheme in _AZURE and (account := os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")):
        options["account_name"] = account  # else obstore cannot say what it is
    if where.startswith("http://"):
        options["client_options"] = {"allow_http": True}
    return options


def _profile_credentials() -> dict[str, Any]:
    """Read the credentials of the AWS profile, for obstore."""
    import botocore.session

    found = botocore.session.get_session().get_credentials().get_frozen_credentials()
    return {
        "access_key_id": found.access_key,
        "secret_access_key": found.secret_key,
        "token": found.token,
        "expires_at": datetime.now(UTC) + _CREDENTIALS_LAST,
    }


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
        If the scheme is unknown, its package is not installed, or the URL carries a password or a signature.

    Examples
    --------
    >>> locate("memory://a/b.he5")[1]
    '/a/b.he5'
    """
    from fsspec.core import url_to_fs

    text = os.fspath(url)
    scheme, parts = _scheme(text), urlsplit(text) if "://" in text else None
    names_user = parts is not None and (parts.password or (parts.username and scheme in ("http", "https")))
    if parts is not None and (names_user or _SECRET_QUERY.search(parts.query)):
        raise StorageError(
            f"a {scheme}:// URL must not carry a password or a signature, which would end up in products and logs; "
            "give credentials by the environment, or fetch the file first"
        )
    try:
        if scheme in _S3:
            fs = _s3_file_system(_environment(), os.getpid())
            return fs, fs._strip_protocol(text)
        if scheme in ("gs", "gcs", *_AZURE):
            return _cloud_file_system(text, scheme)
        fs, path = url_to_fs(text)
    except (ValueError, ImportError) as error:
        raise StorageError(f"cannot open {url}: {error}; give a path, or a URL such as s3://bucket/folder") from error
    return fs, path


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower() if "://" in url else ""


@lru_cache(maxsize=16)
def _s3_file_system(_settings: frozenset[tuple[str, str]], _pid: int) -> Any:
    """File system of S3, which is neither for other settings nor for a forked process; it pickles without them."""
    from s3fs import S3FileSystem

    s3 = _s3_settings()
    return S3FileSystem(
        anon=s3.anonymous,
        endpoint_url=s3.endpoint or None,
        client_kwargs={"region_name": s3.region} if s3.region else {},
        config_kwargs={"retries": {"mode": "standard", "max_attempts": s3.attempts}},
        use_listings_cache=False,
        skip_instance_cache=True,
    )


def _cloud_file_system(url: str, scheme: str) -> tuple[Any, str]:
    """File system of Google's or Azure's store: that of its own package, or else obstore's."""
    from fsspec.core import url_to_fs

    try:
        fs, path = url_to_fs(url)
    except ImportError:
        from obstore.fsspec import FsspecStore

        fs = FsspecStore("gs" if scheme.startswith("g") else "abfs" if scheme.startswith("abfs") else "az")
        path = url.partition("://")[2]
    return fs, path


def looks_secret(variable: str) -> bool:
    """
    Tell whether the value of an environment variable lets in whoever reads it, by its name.

    Parameters
    ----------
    variable : str
        Name of the variable.

    Returns
    -------
    bool

    Examples
    --------
    >>> looks_secret("AWS_SECRET_ACCESS_KEY"), looks_secret("AWS_REGION")
    (True, False)
    """
    return _SECRET_NAME.search(variable) is not None


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


#: What services call an error, and what to say; the first that occurs in its text counts.
_EXPLAINED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("NoSuchBucket",), "there is no bucket {bucket}{at}: check its name and the endpoint (AWS_ENDPOINT_URL)"),
    (
        ("ExpiredToken", "TokenRefreshRequired", "InvalidToken", "token has expired", "Token has expired"),
        "the credentials for {where} have expired: renew them (for SSO: aws sso login), then run the same again",
    ),
    (
        ("RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"),
        "the clock of this machine and that of the server of {where} differ too much: set the clock",
    ),
    (
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidClientTokenId", "AuthFailure"),
        "no permission for {where}: the server does not accept the key; check AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    ),
    (
        ("AuthorizationHeaderMalformed", "PermanentRedirect", "301 Moved"),
        "{where} is in another region: set AWS_REGION to that of the bucket",
    ),
    (
        ("SlowDown", "503 Service", "Service Unavailable", "ServiceUnavailable", "429 Too", "RequestLimitExceeded"),
        "the server of {where} is throttling or overloaded, also after several attempts: use fewer workers, try again "
        "later, or raise AWS_MAX_ATTEMPTS",
    ),
    (
        ("AccessDenied", "Access Denied", "Forbidden", "Unauthorized", "Unable to locate credentials"),
        "no permission for {where}: check the credentials and the bucket's policy "
        "(AWS_SKIP_SIGNATURE=true reads a public bucket)",
    ),
)
#: An answer to HEAD has no code of its own: an expired token, or another region, is a bare 400.
_BAD_REQUEST = "{where} refuses the request (400): check AWS_REGION, and that the credentials have not expired"
#: What is wrong here, and not with a service.
_LOCAL = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.EROFS)
_DENIED_TYPES = ("PermissionDeniedError", "UnauthenticatedError", "NoCredentialsError", "PermissionError")


def explain(error: BaseException, where: str) -> StorageError:
    """
    Say what to check after an error of a storage service.

    Parameters
    ----------
    error : BaseException
        Of obstore, botocore, s3fs or aiohttp.
    where : str
        URL that was used.

    Returns
    -------
    StorageError
        Without what the service answered, which may repeat a session token; raise it ``from None``.

    Examples
    --------
    >>> str(explain(OSError("403 ... <Code>ExpiredToken</Code>"), "s3://b/k"))[:45]
    'the credentials for s3://b/k have expired: re'
    """
    text = f"{error} {error.__cause__ or ''}"
    for signs, words in _EXPLAINED:
        if any(sign in text for sign in signs):
            return StorageError(_filled(words, where))
    if "Bad Request" in text:
        return StorageError(_BAD_REQUEST.format(where=where))
    if type(error).__name__ in _DENIED_TYPES:
        return StorageError(_EXPLAINED[-1][1].format(where=where))
    if where.startswith(("http://", "https://")):
        return StorageError(
            f"cannot use {where}: check the address and the network; a web root can be read, not listed or written"
        )
    status = re.search(r"\b[45]\d\d [A-Z][A-Za-z ]+", text)
    code = re.search(r"<Code>(\w+)</Code>", text)
    said = ", ".join(found.group(i).strip() for found, i in ((status, 0), (code, 1)) if found)
    tries = re.search(r"after (\d+) retries", text)
    after = f" after {int(tries.group(1)) + 1} attempts" if tries else ""
    at = _s3_endpoint(where)
    return StorageError(
        f"cannot reach {where}{at}{after}{f' ({said})' if said else ''}: check the endpoint, the bucket and the network"
    )


def _filled(words: str, where: str) -> str:
    return words.format(where=where, bucket=urlsplit(where).netloc or where, at=_s3_endpoint(where))


def _s3_endpoint(where: str) -> str:
    """Where S3 is looked for, if it is not Amazon's."""
    if _scheme(where) not in (*_S3, ""):
        return ""
    with contextlib.suppress(Exception):
        endpoint = _s3_settings().endpoint
        return f" at {endpoint}" if endpoint else ""
    return ""


@contextlib.contextmanager
def reaching(url: str | os.PathLike[str]) -> Iterator[None]:
    """
    Turn errors of a service into a `StorageError` that says what to check; a missing file stays what it is.

    Parameters
    ----------
    url : str or path
        What the block reads or writes through `locate`; nothing changes for a local path.

    Raises
    ------
    StorageError
        If the block fails because of the service.
    """
    text = os.fspath(url)
    if _scheme(text) in ("", "file", "local", "memory"):
        yield
        return
    try:
        yield
    except StorageError:
        raise
    except FileNotFoundError as error:
        if "NoSuchBucket" in f"{error} {error.__cause__}" or "bucket does not exist" in str(error):
            raise StorageError(_filled(_EXPLAINED[0][1], text)) from None
        raise
    except OSError as error:
        if error.errno in _LOCAL:
            raise StorageError(
                f"cannot keep a copy of {text} on this machine: {error.strerror}; make room, or set TMPDIR"
            ) from error
        raise explain(error, text) from None
    except Exception as error:
        if service_problem(error) is None:
            raise
        raise explain(error, text) from None


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
    >>> service_problem(NoCredentialsError())[:36], service_problem(ValueError("x"))
    ('no permission for the object store: ', None)
    """
    if type(error).__module__.partition(".")[0] not in _SERVICES:
        return None
    return str(explain(error, "the object store"))
