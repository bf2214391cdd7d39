"""Connect to whatever computes: threads, processes of this machine, an address, Dask Gateway, or a queue."""

import contextlib
import logging
import os
import re
import shlex
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from mimtpy_cloud.errors import ClusterError
from mimtpy_cloud.location import looks_secret

__all__ = ["Connection", "choose", "connect"]

#: Queues that dask-jobqueue knows, and its classes.
_QUEUES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
}
_KINDS = f"auto, threads, local, tcp://host:port, gateway, http(s)://gateway, {', '.join(_QUEUES)}"
#: Variables that go to workers on other machines.
_FORWARDED = re.compile(
    r"^(MIMTPY_(ROOT|S3_ROOT|CACHE_DIR|CACHE_SIZE)|AWS_(ENDPOINT_URL(_S3)?|ENDPOINT|REGION|DEFAULT_REGION|MAX_ATTEMPTS)"
    r"|AWS_SKIP_SIGNATURE|AZURE_STORAGE_(ACCOUNT_NAME|USE_EMULATOR))$"
)
#: One task is one thread; libraries below it must not start more.
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
#: Blocks of some ten MB are made and dropped all the time. distributed has each given back to the system at once, whose
#: fresh pages then take four fifths of the time.
_MALLOC = {"MALLOC_TRIM_THRESHOLD_": "268435456", "MALLOC_MMAP_THRESHOLD_": "268435456"}
#: Ctrl-C reaches all processes of a terminal: this one closes the others, which would only print what they were doing.
_DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
#: Packages that must agree, and those of which a difference is only said.
_MUST_AGREE, _SHOULD_AGREE = ("mimtpy_cloud", "dask", "distributed"), ("numpy", "zarr", "xarray", "obstore")
#: Seconds to wait for the first worker: processes and pods, and jobs that queue.
_PATIENCE, _QUEUE_PATIENCE = 300.0, 3600.0


@dataclass
class Connection:
    """
    What `connect` opened; a context manager that closes it.

    Parameters
    ----------
    kind : str
        ``threads``, ``local``, ``address``, ``gateway`` or the name of a queue.
    client : distributed.Client or None
        None for threads.
    dashboard : str
        Address of the dashboard; empty if there is none.
    workers : int
        Workers that are there now.
    """

    kind: str
    client: Any = None
    dashboard: str = ""
    workers: int = 0
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, repr=False)

    def close(self) -> None:
        """Close what was opened: the client, and a cluster that was started for it. Others stay as they are."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def choose(cluster: str | None = None) -> str:
    """
    Tell what `connect` would connect to; nothing is opened.

    Parameters
    ----------
    cluster : str, optional
        As for `connect`.

    Returns
    -------
    str
        A kind or an address.

    Raises
    ------
    ClusterError
        If it is none that is known.

    Examples
    --------
    >>> choose("tcp://10.0.0.7:8786"), choose("threads")
    ('tcp://10.0.0.7:8786', 'threads')
    """
    name = (cluster or "auto").strip()
    if name == "auto":
        return _automatic()
    known = name in ("threads", "local", "gateway") or name in _QUEUES
    if known or re.match(r"(tcp|tls|ws|wss|https?)://.", name):
        return name
    raise ClusterError(f"no kind of cluster {name!r}; expected one of {_KINDS}")


def _automatic() -> str:
    import dask

    if os.environ.get("DASK_GATEWAY__ADDRESS") or dask.config.get("gateway.address", None):
        return "gateway"
    address = os.environ.get("DASK_SCHEDULER_ADDRESS") or dask.config.get("scheduler-address", None)
    if address:
        return str(address)
    if shutil.which("sbatch") and dask.config.get("jobqueue.slurm.cores", None):
        return "slurm"
    return "local"


def connect(
    cluster: str | None = None,
    *,
    workers: int | None = None,
    threads: int | None = None,
    memory: str | None = None,
    adaptive: tuple[int, int] | None = None,
    options: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Connection:
    """
    Connect to a cluster; what is computed from then on is computed there.

    Parameters
    ----------
    cluster : str, optional
        ``"threads"``: dask's threads in this process. ``"local"``: processes of this machine. An address such as
        ``"tcp://host:8786"``: a scheduler that runs. ``"gateway"`` or the address ``"https://..."`` of one: a new
        cluster of a Dask Gateway. ``"slurm"``, ``"pbs"``, ``"sge"``, ``"lsf"``, ``"htcondor"``, ``"oar"``, ``"moab"``:
        jobs of a queue, as the section ``jobqueue`` of dask's configuration describes them. By default (``"auto"``)
        the first that is there of ``DASK_GATEWAY__ADDRESS`` (or ``gateway.address`` in dask's configuration),
        ``DASK_SCHEDULER_ADDRESS``, a configured ``jobqueue.slurm`` with ``sbatch``, and this machine.
    workers : int, optional
        How many to start. By default as many as dask chooses here, 2 elsewhere.
    threads : int, optional
        Threads of a worker (``worker_cores`` of a gateway, ``cores`` of a job).
    memory : str, optional
        Memory of a worker, such as ``"8GB"`` (``worker_memory``, ``memory``).
    adaptive : tuple of int, optional
        Least and most workers: the cluster grows and shrinks with the work. Not together with `workers`.
    options : mapping, optional
        Further options of a gateway's cluster, or arguments of the class of dask-jobqueue.
    environment : mapping, optional
        Environment variables of the workers, added to those that are passed on: root, cache, and the settings of
        storage that are no secret. Workers elsewhere should have an identity of their own; a queue, and some gateways,
        refuse names that look like secrets.
    timeout : float, optional
        Seconds to wait for the first worker; 300 by default, an hour for a queue.

    Returns
    -------
    Connection
        Use it in ``with``, or call its ``close``.

    Raises
    ------
    ClusterError
        If there is no such cluster, it refuses, no worker comes in time, or versions there do not agree with those
        here.

    Examples
    --------
    >>> with connect("threads") as connection:
    ...     connection.kind
    'threads'
    """
    name = choose(cluster)
    if adaptive is not None and (workers is not None or not 0 <= adaptive[0] <= adaptive[1] or adaptive[1] < 1):
        raise ClusterError(f"adaptive must be (least, most) workers, without workers=, got {adaptive} and {workers}")
    if workers is not None and workers < 1:
        raise ClusterError(f"workers must be at least 1, got {workers}")
    size = _Size(workers, threads, memory, adaptive, timeout)
    given = dict(options or {})
    with contextlib.ExitStack() as stack:
        if name == "threads":
            connection = _threads(stack, threads)
        elif name == "local":
            connection = _local(stack, size, given, dict(environment or {}))
        elif name in _QUEUES:
            connection = _queue(stack, name, size, given, environment or {})
        elif name == "gateway" or name.startswith(("http://", "https://")):
            connection = _gateway(stack, name, size, given, environment or {})
        else:
            if given or environment or memory or threads:
                raise ClusterError(f"the workers of the scheduler {name} run already; nothing of them can be set")
            connection = _address(stack, name, size)
        if connection.client is not None:
            _require_versions(connection.client)
            connection.workers = len(connection.client.scheduler_info(n_workers=-1)["workers"])
            connection.dashboard = str(connection.client.dashboard_link or "")
        connection._stack = stack.pop_all()
    return connection


@dataclass(frozen=True)
class _Size:
    workers: int | None
    threads: int | None
    memory: str | None
    adaptive: tuple[int, int] | None
    timeout: float | None

    @property
    def least(self) -> int:
        """Workers without which nothing is begun."""
        return min(1, self.adaptive[0]) if self.adaptive else 1

    def scale(self, cluster: Any) -> None:
        """Ask a cluster for the workers."""
        if self.adaptive:
            cluster.adapt(minimum=self.adaptive[0], maximum=self.adaptive[1])
        else:
            cluster.scale(self.workers or 2)


def _environment(given: Mapping[str, str] | None) -> dict[str, str]:
    """Variables for workers elsewhere: settings, and never a secret that was not given."""
    passed = {n: v for n, v in os.environ.items() if _FORWARDED.match(n)}
    return _THREADS | _MALLOC | passed | dict(given or {})


def _threads(stack: contextlib.ExitStack, threads: int | None) -> Connection:
    import dask

    settings: dict[str, Any] = {"scheduler": "threads"}
    if threads is not None:
        settings["num_workers"] = threads
    stack.enter_context(dask.config.set(settings))
    return Connection("threads")


def _local(
    stack: contextlib.ExitStack, size: _Size, options: dict[str, Any], environment: dict[str, str]
) -> Connection:
    import dask
    from distributed import Client, LocalCluster

    spill = tempfile.mkdtemp(prefix="mimtpy-spill-")
    stack.callback(shutil.rmtree, spill, ignore_errors=True)
    arguments: dict[str, Any] = {
        "host": "127.0.0.1",
        "dashboard_address": "127.0.0.1:0",
        "n_workers": size.adaptive[0] if size.adaptive else size.workers,
        "threads_per_worker": size.threads,
        "local_directory": spill,
        "env": _THREADS | environment,
        "preload": _DEAF,
        "silence_logs": logging.ERROR,
    }
    if size.memory is not None:
        arguments["memory_limit"] = size.memory
    with _explained("this machine"):
        stack.enter_context(
            dask.config.set({f"distributed.nanny.pre-spawn-environ.{n}": v for n, v in _MALLOC.items()})
        )
        cluster = stack.enter_context(LocalCluster(**arguments | options))  # type: ignore[no-untyped-call]
        if size.adaptive:
            size.scale(cluster)
        client = stack.enter_context(Client(cluster))  # type: ignore[no-untyped-call]
        _wait(client, size, _PATIENCE, "look at the memory of this machine")
    return Connection("local", client)


def _address(stack: contextlib.ExitStack, address: str, size: _Size) -> Connection:
    from distributed import Client

    if size.workers is not None or size.adaptive is not None:
        raise ClusterError(f"the scheduler {address} has the workers that it has; leave out their number")
    with _explained(address):
        seconds = min(10.0, size.timeout or 10.0)
        client = stack.enter_context(
            _quiet(lambda: Client(address, timeout=seconds))  # type: ignore[no-untyped-call]
        )
        _wait(client, size, 60.0, "start workers for this scheduler: dask worker ADDRESS")
    return Connection("address", client)


def _gateway(
    stack: contextlib.ExitStack, name: str, size: _Size, options: dict[str, Any], given: Mapping[str, str]
) -> Connection:
    with _extra("dask-gateway"):
        from dask_gateway import Gateway
    environment = _environment(given)
    with _explained("the gateway", "DASK_GATEWAY__ADDRESS, DASK_GATEWAY__AUTH__TYPE and the credentials for it"):
        gateway = Gateway(None if name == "gateway" else name)
        stack.callback(_forget_loop, gateway)
        stack.enter_context(gateway)
        wanted = gateway.cluster_options()
        if "environment" in wanted:
            options["environment"] = {**environment, **(options.get("environment") or wanted["environment"] or {})}
        elif given:
            raise ClusterError(f"the gateway has no option environment, so {', '.join(given)} cannot be set")
        for option, value in (("worker_cores", size.threads), ("worker_memory", _gigabytes(size.memory))):
            if value is not None:
                options[option] = value
        if unknown := sorted(set(options) - set(wanted)):
            raise ClusterError(f"the gateway has no option {', '.join(unknown)}; it has {', '.join(wanted) or 'none'}")
        for option, value in options.items():
            setattr(wanted, option, value)
        name = str(gateway.submit(wanted))
        stack.callback(_stop, gateway, name)
        _wait_until_it_runs(gateway, name, size)
        cluster = gateway.connect(name, shutdown_on_close=True)
        stack.callback(_forget_loop, cluster.gateway)
        stack.enter_context(cluster)
        size.scale(cluster)
        client = stack.enter_context(_quiet(cluster.get_client))
        _wait(client, size, _PATIENCE, "the gateway starts no worker: look at its limits and its log")
    return Connection("gateway", client)


def _wait_until_it_runs(gateway: Any, name: str, size: _Size) -> None:
    """
    Wait before an object for the cluster is made.

    An object of dask-gateway for a cluster that cannot start would try to close itself when it is collected, in
    whatever thread that happens, and stall it.
    """
    until = time.monotonic() + (size.timeout or _PATIENCE)
    while (status := gateway.get_cluster(name).status.name) != "RUNNING":
        if status in ("STOPPING", "STOPPED", "FAILED"):
            raise ClusterError("the gateway could not start the cluster: its log says why")
        if time.monotonic() > until:
            raise ClusterError("the gateway did not start the cluster in time: look at its limits and its log")
        time.sleep(0.2)


def _stop(gateway: Any, name: str) -> None:
    """Stop a cluster that may have stopped already."""
    with contextlib.suppress(Exception):
        gateway.stop_cluster(name)


def _forget_loop(gateway: Any) -> None:
    """A closed client of dask-gateway closes itself again when it is collected, and fails as its loop is gone."""
    vars(gateway).pop("_loop_runner", None)


def _gigabytes(memory: str | None) -> float | None:
    from dask.utils import parse_bytes

    return None if memory is None else parse_bytes(memory) / 2**30


def _queue(
    stack: contextlib.ExitStack, name: str, size: _Size, options: dict[str, Any], given: Mapping[str, str]
) -> Connection:
    import dask
    from distributed import Client

    if secrets := sorted(variable for variable in given if looks_secret(variable)):
        raise ClusterError(
            f"{', '.join(secrets)} would be written into the script of the job; keep them in a file that the jobs "
            "read, such as ~/.aws/credentials"
        )
    environment = _environment(given)

    with _extra("dask-jobqueue"):
        import dask_jobqueue
    lines = [f"export {variable}={shlex.quote(value)}" for variable, value in environment.items()]
    before = options.pop("job_script_prologue", dask.config.get(f"jobqueue.{name}.job-script-prologue", None) or [])
    needed = {"cores": size.threads, "memory": size.memory}
    arguments = {option: value for option, value in needed.items() if value is not None} | options
    missing = [o for o in needed if o not in arguments and not dask.config.get(f"jobqueue.{name}.{o}", None)]
    if missing:
        raise ClusterError(
            f"a job of {name} needs {' and '.join(missing)}: describe them in the section jobqueue.{name} of dask's "
            f"configuration (an example is deploy/slurm/jobqueue.yaml), or give threads and memory"
        )
    arguments.setdefault("scheduler_options", {"dashboard_address": ":0"})
    with _explained(f"the queue {name}"):
        kind = getattr(dask_jobqueue, _QUEUES[name])
        cluster = stack.enter_context(kind(job_script_prologue=[*before, *lines], **arguments))
        size.scale(cluster)
        client = stack.enter_context(Client(cluster))  # type: ignore[no-untyped-call]
        _wait(client, size, _QUEUE_PATIENCE, "no job has started: look at the queue")
    return Connection(name, client)


def _quiet(make: Callable[[], Any]) -> Any:
    """Connect without distributed's own table of versions, which `_require_versions` puts in words."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*Mismatched versions found")
        return make()


def _wait(client: Any, size: _Size, patience: float, hint: str) -> None:
    if not size.least:
        return
    seconds = patience if size.timeout is None else size.timeout
    try:
        client.wait_for_workers(size.least, timeout=seconds)
    except TimeoutError:
        raise ClusterError(f"no worker came in {seconds:g} s; {hint}") from None


@contextlib.contextmanager
def _extra(package: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ClusterError(f"this needs {package}: pip install 'mimtpy_cloud[cluster]'") from error


@contextlib.contextmanager
def _explained(what: str, check: str = "the address and the network") -> Iterator[None]:
    """Turn what goes wrong into a `ClusterError` that says what to check."""
    try:
        yield
    except ClusterError:
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        if getattr(error, "status", None) in (401, 403) or re.search(r"\b401\b", text):
            raise ClusterError(f"{what} refuses: user or password is wrong ({text}); check {check}") from None
        raise ClusterError(f"cannot use {what}: {text.rstrip('.')}; check {check}") from error


def _require_versions(client: Any) -> None:
    """Packages that must agree do, here and there; others are said."""
    extra = [*_MUST_AGREE, *_SHOULD_AGREE]
    found = client.get_versions(packages=extra)
    here = _versions(found["client"])
    wrong: dict[str, list[str]] = {}
    other: dict[str, list[str]] = {}
    for place, report in (("the scheduler", found["scheduler"]), *found["workers"].items()):
        there = _versions(report)
        checked = ("python", "dask", "distributed") if place == "the scheduler" else ("python", *extra)
        for package in checked:
            if there.get(package) != here.get(package):
                said = f"{package} {there.get(package) or 'missing'} at {place}, {here.get(package)} here"
                (other if package in _SHOULD_AGREE else wrong).setdefault(package, []).append(said)
    if wrong:
        text = "; ".join(places[0] for places in wrong.values())
        raise ClusterError(f"the cluster has other versions: {text}; use the same environment or image on both sides")
    if other:
        text = "; ".join(places[0] for places in other.values())
        warnings.warn(f"the cluster has other versions, which may do: {text}", stacklevel=3)


def _versions(report: Mapping[str, Any]) -> dict[str, str]:
    packages = {name: str(version) for name, version in report["packages"].items() if version}
    packages["python"] = ".".join(packages.get("python", "").split(".")[:2])
    return packages
