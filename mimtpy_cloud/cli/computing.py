"""Where the commands compute: the options ``--cluster`` and ``--workers`` of ``mimtpy``."""

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

__all__ = ["cluster_in_use", "compute_on_cluster", "read_workers"]


def read_workers(ctx: Any, param: Any, value: str | None) -> tuple[int, int] | int | None:
    """
    Read a number of workers, or a range of it.

    Parameters
    ----------
    ctx, param : object
        Of click, for the message.
    value : str or None
        Such as ``4`` or ``0:20``.

    Returns
    -------
    int, tuple of int or None

    Raises
    ------
    click.BadParameter
        If it is neither.

    Examples
    --------
    >>> read_workers(None, None, "4"), read_workers(None, None, "0:20"), read_workers(None, None, None)
    (4, (0, 20), None)
    """
    if value is None:
        return None
    try:
        numbers = [int(part) for part in value.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and numbers[0] > 0:
        return numbers[0]
    if len(numbers) == 2 and 0 <= numbers[0] <= numbers[1] and numbers[1] > 0:
        return numbers[0], numbers[1]
    raise click.BadParameter(f"expected a number such as 4, or a range such as 0:20, got {value!r}", ctx, param)


@contextmanager
def cluster_in_use() -> Iterator[None]:
    """
    Connect to the cluster that the options name, and close it at the end; nothing without them.

    Yields
    ------
    None

    Raises
    ------
    ClusterError
        If there is no such cluster.
    click.UsageError
        If there are workers without a cluster.
    """
    root = click.get_current_context().find_root()
    given = root.params
    if not given.get("cluster"):
        if root.get_parameter_source("workers") is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("--workers goes with --cluster, such as --cluster local", root)
        yield
        return
    import distributed  # noqa: F401 - which sets its own level

    from mimtpy_cloud.cluster import connect

    if not given.get("verbose"):  # distributed tells of every connection
        logging.getLogger("distributed").setLevel(logging.WARNING)
        logging.getLogger("distributed.scheduler").setLevel(logging.ERROR)  # of names that dask itself made
    workers = given["workers"]
    number, adaptive = (None, workers) if isinstance(workers, tuple) else (workers, None)
    with connect(given["cluster"], workers=number, adaptive=adaptive) as connection:
        if connection.client is not None:
            where = f"; dashboard {connection.dashboard}" if connection.dashboard else ""
            click.echo(f"cluster: {connection.kind}, {connection.workers} workers{where}", err=True)
        yield


def compute_on_cluster(command: click.Command) -> None:
    """
    Let a verb compute on the cluster of the options; its help and wrong options open none.

    Parameters
    ----------
    command : click.Command
        A group is left alone.
    """
    run = command.callback
    if run is None or isinstance(command, click.Group):
        return

    @functools.wraps(run)
    def connected(*args: Any, **kwargs: Any) -> Any:
        with cluster_in_use():
            return run(*args, **kwargs)

    command.callback = connected
