"""Where graphs are computed: threads of this process, processes of this machine, or a cluster."""

import contextlib
import importlib
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from typing import Any, Self

from mimtpy_cloud._version import __version__
from mimtpy_cloud.errors import ClusterError

__all__ = ["Connection", "connect", "differing_versions", "resolve_kind", "worker_environment"]

QUEUES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
}
BREAKING = ("mimtpy_cloud", "python", "dask", "distributed")
COMPARED = (*BREAKING, "numpy", "xarray", "zarr")
TIMEOUT = 120
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_PLAIN = (
    *("MIMTPY_CACHE_DIR", "MIMTPY_CACHE_SIZE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"),
    *("AWS_ENDPOINT_URL_S3", "AWS_SKIP_SIGNATURE", "AWS_MAX_ATTEMPTS"),
)


class Connection:
    """
    A place where graphs are computed; a context manager that closes only what it opened.

    Attributes
    ----------
    kind : str
        ``threads``, ``local``, ``address``, ``gateway`` or the name of a queue.
    client : distributed.Client or None
        None with threads.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.client: Any = None
        self._stack = contextlib.ExitStack()

    @property
    def dashboard(self) -> str | None:
        """
        Link of the dashboard.

        Returns
        -------
        str or None
            None with threads.
        """
        return None if self.client is None else str(self.client.dashboard_link)

    def close(self) -> None:
        """Close what was opened here; a cluster that was there before stays."""
        self.client = None
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Connection({self.kind!r}, dashboard={self.dashboard!r})"


def connect(
    cluster: str | None = None,
    *,
    workers: int | None = None,
    threads: int | None = None,
    memory: str | None = None,
    adaptive: tuple[int, int] | None = None,
    options: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Connection:
    """
    Compute from now on in the named place.

    Parameters
    ----------
    cluster : str, optional
        ``threads``, ``local``, ``tcp://host:port``, ``gateway``, the http address of a gateway, or a queue such as
        ``slurm``; None or ``auto`` takes the first that is configured: a gateway, DASK_SCHEDULER_ADDRESS, slurm, and
        otherwise ``local``.
    workers : int, optional
        Number of workers; the call returns when all are there.
    threads : int, optional
        Threads of each worker, or of this process.
    memory : str, optional
        Memory of each worker, such as ``4GiB``; of local workers and of queues.
    adaptive : tuple of int, optional
        Least and greatest number of workers, instead of ``workers``.
    options : mapping, optional
        Options of a gateway's cluster, or arguments of a queue's.
    environment : mapping, optional
        Further variables for workers that are started here. Secrets go to a gateway or queue only if they are given
        here.

    Returns
    -------
    Connection

    Raises
    ------
    ClusterError
        There is no such cluster, it does not answer or refuses, or its software differs in what must agree.
    """
    kind, address = resolve_kind(cluster)
    if workers is not None and adaptive is not None:
        raise ClusterError("expected workers= or adaptive=, got both; give one")
    connection = Connection(kind)
    sizes = {"threads": threads, "memory": memory}
    variables = {**worker_environment(), **(environment or {})}
    try:
        if kind == "threads":
            _use_threads(connection, threads)
        elif kind == "address":
            _attach(connection, str(address))
        elif kind == "local":
            _start_local(connection, adaptive[1] if adaptive and workers is None else workers, sizes, variables)
        elif kind == "gateway":
            _start_gateway(connection, address, dict(options or {}), variables)
        else:
            _start_queue(connection, sizes, dict(options or {}), variables)
        if kind != "threads":
            _scale(connection, workers, adaptive)
            _check_versions(connection)
    except BaseException as error:
        connection.close()
        problem = _problem(error, kind, address)
        if problem is None:
            raise
        raise ClusterError(problem) from error
    return connection


def resolve_kind(cluster: str | None) -> tuple[str, str | None]:
    """
    Kind and address of what the user named.

    Parameters
    ----------
    cluster : str or None
        As of `connect`.

    Returns
    -------
    tuple of str and (str or None)

    Raises
    ------
    ClusterError
        The kind is unknown.
    """
    if cluster in {None, "auto"}:
        return _configured()
    text = str(cluster)
    if text in {"threads", "local", "gateway", *QUEUES}:
        return text, None
    if re.match(r"(tcp|tls|ws|wss|ucx)://", text):
        return "address", text
    if re.match(r"https?://", text):
        return "gateway", text
    known = ", ".join(("auto", "threads", "local", "gateway", *QUEUES))
    raise ClusterError(f"expected a cluster of {known}, tcp://host:port or https://gateway, got {text!r}")


def _configured() -> tuple[str, str | None]:
    """The first cluster that the environment or the configuration of dask names."""
    import dask

    if os.environ.get("DASK_GATEWAY__ADDRESS") or dask.config.get("gateway.address", None):
        return "gateway", None
    if address := os.environ.get("DASK_SCHEDULER_ADDRESS"):
        return "address", address
    if dask.config.get("jobqueue.slurm.cores", None) and shutil.which("sbatch"):
        return "slurm", None
    return "local", None


def worker_environment() -> dict[str, str]:
    """
    Collect the variables that workers need, without any secret.

    Returns
    -------
    dict of str to str
    """
    return {**_THREADS, **{name: os.environ[name] for name in _PLAIN if name in os.environ}}


def _use_threads(connection: Connection, threads: int | None) -> None:
    import dask

    settings: dict[str, Any] = {"scheduler": "threads", **({"num_workers": threads} if threads else {})}
    connection._stack.enter_context(dask.config.set(settings))


def _attach(connection: Connection, address: str) -> None:
    from distributed import Client

    connection.client = connection._stack.enter_context(Client(address, timeout=10))  # type: ignore[no-untyped-call]


def _start_local(
    connection: Connection, workers: int | None, sizes: Mapping[str, Any], variables: Mapping[str, str]
) -> None:
    from distributed import Client, LocalCluster

    spill = connection._stack.enter_context(tempfile.TemporaryDirectory(prefix="mimtpy-", ignore_cleanup_errors=True))
    cluster = LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=workers,
        threads_per_worker=sizes["threads"],
        memory_limit=sizes["memory"] or "auto",
        local_directory=spill,
        env=dict(variables),
        dashboard_address="127.0.0.1:0",
    )
    connection._stack.enter_context(cluster)
    connection.client = connection._stack.enter_context(Client(cluster))  # type: ignore[no-untyped-call]


def _start_gateway(
    connection: Connection, address: str | None, options: dict[str, Any], variables: Mapping[str, str]
) -> None:
    gateway = _extra("dask_gateway").Gateway(address)
    connection._stack.callback(_forget_loop, gateway)
    connection._stack.enter_context(gateway)
    offered = gateway.cluster_options(use_local_defaults=True)
    unknown = sorted(set(options) - set(offered))
    if unknown:
        raise ClusterError(
            f"expected options of the gateway, which are {', '.join(offered) or 'none'}, got {', '.join(unknown)}"
        )
    if "environment" in offered:
        given = options.get("environment", offered["environment"]) or {}
        options = {**options, "environment": {**variables, **given}}
    cluster = gateway.new_cluster(**options, shutdown_on_close=True)
    connection._stack.callback(_forget_loop, cluster.gateway)
    connection._stack.enter_context(cluster)
    connection.client = connection._stack.enter_context(cluster.get_client())


def _forget_loop(gateway: Any) -> None:
    """A closed client of dask-gateway closes itself again when it is collected, and fails as its loop is gone."""
    vars(gateway).pop("_loop_runner", None)


def _start_queue(
    connection: Connection, sizes: Mapping[str, Any], options: dict[str, Any], variables: Mapping[str, str]
) -> None:
    import dask
    from distributed import Client

    make = getattr(_extra("dask_jobqueue"), QUEUES[connection.kind])
    given = {"cores": sizes["threads"], "memory": sizes["memory"]}
    options = {**{name: value for name, value in given.items() if value is not None}, **options}
    for name in ("cores", "memory"):
        if name not in options and not dask.config.get(f"jobqueue.{connection.kind}.{name}", None):
            raise ClusterError(
                f"expected the size of a job, got no {name}; set jobqueue.{connection.kind}.{name} in ~/.config/dask/"
            )
    own = options.pop("job_script_prologue", dask.config.get(f"jobqueue.{connection.kind}.job-script-prologue", []))
    prologue = [*(f"export {name}={_quoted(value)}" for name, value in variables.items()), *(own or [])]
    cluster = connection._stack.enter_context(make(**options, job_script_prologue=prologue))
    connection.client = connection._stack.enter_context(Client(cluster))  # type: ignore[no-untyped-call]


def _quoted(value: str) -> str:
    import shlex

    return shlex.quote(value)


def _extra(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ClusterError(f"expected {module}, got none; pip install 'mimtpy_cloud[cluster]'") from error


def _scale(connection: Connection, workers: int | None, adaptive: tuple[int, int] | None) -> None:
    """Ask for workers, and wait for those that were asked for."""
    cluster = connection.client.cluster
    if connection.kind in {"gateway", *QUEUES}:
        if adaptive:
            cluster.adapt(minimum=adaptive[0], maximum=adaptive[1])
        else:
            cluster.scale(workers or 1)
    elif connection.kind == "local" and adaptive:
        cluster.adapt(minimum=adaptive[0], maximum=adaptive[1])
    wanted = adaptive[0] if adaptive else workers or (connection.kind in {"gateway", *QUEUES})
    if not wanted:
        return
    try:
        connection.client.wait_for_workers(int(wanted), timeout=TIMEOUT)
    except TimeoutError as error:
        present = len(connection.client.scheduler_info(n_workers=-1)["workers"])
        raise ClusterError(
            f"expected {int(wanted)} workers within {TIMEOUT} s, got {present}; "
            "look at the queue, the limits of the cluster and the logs of its workers, or ask for fewer"
        ) from error


def _versions() -> dict[str, str]:
    """Versions here; runs on scheduler and workers too."""
    import platform
    from importlib import metadata

    found = {"python": ".".join(platform.python_version_tuple()[:2]), "mimtpy_cloud": __version__}
    for name in COMPARED:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.setdefault(name, metadata.version(name))
    return found


def differing_versions(here: Mapping[str, str], there: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """
    What differs between this process and others.

    Parameters
    ----------
    here : mapping of str to str
        Versions by package.
    there : mapping of str to mapping
        The same of each other process.

    Returns
    -------
    dict of str to str
        One phrase by package.
    """
    found = {}
    for name in COMPARED:
        others = sorted(
            {f"{v.get(name, 'none')} on {place}" for place, v in there.items() if v.get(name) != here[name]}
        )
        if others:
            found[name] = f"{name} {here[name]} here, {', '.join(others)}"
    return found


def _check_versions(connection: Connection) -> None:
    client = connection.client
    try:
        there = dict(client.run(_versions))
    except ModuleNotFoundError as error:
        raise ClusterError(f"expected mimtpy_cloud on the workers, got: {error}; install it in their image") from error
    scheduler = client.get_versions()["scheduler"]
    there["the scheduler"] = {
        **_versions(),
        **{name: scheduler["packages"][name] for name in ("dask", "distributed") if scheduler["packages"].get(name)},
    }
    found = differing_versions(_versions(), there)
    if any(name in found for name in BREAKING):
        raise ClusterError(f"expected the same software here and there, got {'; '.join(found.values())}; use one image")
    if found:
        warnings.warn(f"software differs: {'; '.join(found.values())}", stacklevel=3)


def _problem(error: BaseException, kind: str, address: str | None) -> str | None:
    """What to say of an error of another library; None for one that is its own explanation."""
    if isinstance(error, ClusterError) or not isinstance(error, Exception):
        return None
    place = f"{kind} {address}" if address else kind
    text = str(error)
    if "401" in text or "nauthorized" in text:
        return f"{place} refused the user or password (401); check DASK_GATEWAY__AUTH__* or the token"
    if isinstance(error, OSError | TimeoutError):
        return f"expected a cluster at {place}, got {text or type(error).__name__}; check that it runs and the address"
    if type(error).__module__.startswith("dask_gateway") or isinstance(error, ValueError):
        return f"{place} refused: {text}"
    return None
