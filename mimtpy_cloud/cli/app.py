"""The command ``mimtpy``."""

import contextlib
import gc
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from typing import Any, override

import click

from mimtpy_cloud._version import __version__
from mimtpy_cloud.cli.commands.analyse import decompose, displacement, mosaic, velocity
from mimtpy_cloud.cli.commands.catalog import catalog
from mimtpy_cloud.cli.commands.derive import deramp, subtract
from mimtpy_cloud.cli.commands.doctor import doctor
from mimtpy_cloud.cli.commands.gnss import gnss
from mimtpy_cloud.cli.commands.ingest import ingest
from mimtpy_cloud.cli.commands.overlap import overlap
from mimtpy_cloud.cli.commands.plot import plot
from mimtpy_cloud.cli.commands.reference import reference
from mimtpy_cloud.cli.commands.run import demo, run
from mimtpy_cloud.cli.commands.timeline import decompose_series
from mimtpy_cloud.cli.console import reason
from mimtpy_cloud.errors import MimtpyError
from mimtpy_cloud.location import service_problem

__all__ = ["cli", "main"]

_HEADINGS: dict[str, tuple[click.Command, ...]] = {
    "Data": (ingest, catalog),
    "Analyse": (velocity, displacement, mosaic, decompose, decompose_series, reference, deramp, subtract),
    "Look": (plot, overlap, gnss),
    "Run": (run, demo, doctor),
}
_CLUSTER_HELP = "Where to compute: threads, local, gateway, slurm, an address, or auto; $MIMTPY_CLUSTER."


class _Mimtpy(click.Group):
    """Group whose help lists the verbs under headings, and whose errors are one line."""

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """
        Write the verbs under their headings.

        Parameters
        ----------
        ctx : click.Context
            Unused.
        formatter : click.HelpFormatter
            Where to.
        """
        for heading, commands in _HEADINGS.items():
            with formatter.section(heading):
                formatter.write_dl([(str(c.name), c.get_short_help_str(limit=100)) for c in commands])

    @override
    def invoke(self, ctx: click.Context) -> Any:
        """
        Run a verb; an error that the user can mend becomes one line and exit code 2.

        Parameters
        ----------
        ctx : click.Context
            With the option ``--verbose``.

        Returns
        -------
        object
        """
        try:
            return super().invoke(ctx)
        except click.BadOptionUsage as error:  # too few values: say which
            params = [p for command in self.commands.values() for p in command.params if error.option_name in p.opts]
            wanted = next((f": {p.metavar}" for p in params if p.metavar), "")
            raise click.BadOptionUsage(error.option_name, error.message.rstrip(".") + wanted, error.ctx) from None
        except BrokenPipeError:
            raise
        except KeyboardInterrupt:
            click.echo("interrupted; what was finished is kept, and the same command may be run again", err=True)
            code = 130
        except Exception as error:
            problem = reason(error) if isinstance(error, MimtpyError | OSError) else service_problem(error)
            if problem is None:
                raise
            if ctx.params.get("verbose"):
                click.echo(traceback.format_exc(), err=True, nl=False)
            click.echo(f"error: {problem}", err=True)
            code = 2
        raise click.exceptions.Exit(code)  # outside of the handlers, which hold what the error refers to


@click.group(cls=_Mimtpy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mimtpy")
@click.option("-v", "--verbose", count=True, help="Show what is done, and where an error came from; -vv shows more.")
@click.option("--cluster", metavar="WHAT", envvar="MIMTPY_CLUSTER", help=_CLUSTER_HELP)
@click.option("--workers", metavar="N|MIN:MAX", help="Workers of the cluster, or the least and most of them.")
@click.pass_context
def cli(ctx: click.Context, verbose: int, cluster: str | None, workers: str | None) -> None:
    """
    Combine InSAR tracks: velocities, mosaics, east and up from MintPy time series.

    Start with your S1_*.he5 files:

    \b
      mimtpy ingest S1_*.he5 --root data
      mimtpy catalog list --root data
      mimtpy velocity A064 --root data --out products
    """
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("mimtpy_cloud").setLevel(level)
    sizes = _sizes(workers)
    if cluster is None and workers is not None:
        raise click.UsageError("--workers needs --cluster, such as --cluster local")
    if cluster is not None and not {"-h", "--help"} & set(sys.argv[1:]):
        ctx.with_resource(_connected(cluster, sizes))


def _sizes(workers: str | None) -> dict[str, Any]:
    """Arguments of `connect` for N or MIN:MAX."""
    if workers is None:
        return {}
    found = re.fullmatch(r"(\d+)(?::(\d+))?", workers)
    if not found:
        raise click.BadParameter(f"expected N or MIN:MAX, got {workers!r}", param_hint="--workers")
    least, most = found.groups()
    return {"workers": int(least)} if most is None else {"adaptive": (int(least), int(most))}


@contextlib.contextmanager
def _connected(cluster: str, sizes: dict[str, Any]) -> Iterator[None]:
    """The cluster while a verb runs; its dashboard on stderr."""
    from mimtpy_cloud.cluster import connect

    with connect(cluster, **sizes) as connection:
        if connection.dashboard:
            click.echo(f"dashboard: {connection.dashboard}", err=True)
        yield


for _commands in _HEADINGS.values():
    for _command in _commands:
        cli.add_command(_command)


def main() -> None:
    """Run ``mimtpy`` with the arguments of the process."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # tasks are the threads; those of BLAS would only spin
    try:
        cli(prog_name="mimtpy")
    finally:
        gc.freeze()  # the last collection would walk through all that was loaded, for half a second
