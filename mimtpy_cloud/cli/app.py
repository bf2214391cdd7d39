"""The command ``mimtpy``."""

import gc
import logging
import os
import sys
import traceback
from typing import Any, override

import click

from mimtpy_cloud._version import __version__
from mimtpy_cloud.cli.commands.analyse import decompose, displacement, mosaic, velocity
from mimtpy_cloud.cli.commands.cache import cache
from mimtpy_cloud.cli.commands.catalog import catalog
from mimtpy_cloud.cli.commands.convert import convert
from mimtpy_cloud.cli.commands.covariance import covariance
from mimtpy_cloud.cli.commands.derive import deramp, subtract
from mimtpy_cloud.cli.commands.doctor import doctor
from mimtpy_cloud.cli.commands.export import export
from mimtpy_cloud.cli.commands.extract import extract
from mimtpy_cloud.cli.commands.footprint import footprint
from mimtpy_cloud.cli.commands.gnss import gnss
from mimtpy_cloud.cli.commands.gridsearch import gridsearch
from mimtpy_cloud.cli.commands.ingest import ingest
from mimtpy_cloud.cli.commands.overlap import overlap
from mimtpy_cloud.cli.commands.plot import plot
from mimtpy_cloud.cli.commands.publish import publish
from mimtpy_cloud.cli.commands.quadtree import quadtree
from mimtpy_cloud.cli.commands.reference import reference
from mimtpy_cloud.cli.commands.relax import relax
from mimtpy_cloud.cli.commands.run import demo, run
from mimtpy_cloud.cli.commands.simulate import simulate
from mimtpy_cloud.cli.commands.stations import stations
from mimtpy_cloud.cli.commands.timeline import decompose_series
from mimtpy_cloud.cli.commands.togeotiff import to_geotiff
from mimtpy_cloud.cli.commands.transects import profile, transects
from mimtpy_cloud.cli.computing import compute_on_cluster, read_workers
from mimtpy_cloud.cli.console import reason
from mimtpy_cloud.errors import MimtpyError
from mimtpy_cloud.location import service_problem

__all__ = ["cli", "main"]

_HEADINGS: dict[str, tuple[click.Command, ...]] = {
    "Data": (ingest, catalog, publish, cache, extract, convert),
    "Analyse": (velocity, displacement, mosaic, decompose, decompose_series, reference, deramp, subtract),
    "Model": (gridsearch, simulate, relax, covariance, quadtree),
    "Look": (plot, overlap, profile, transects, gnss, stations, footprint),
    "Write": (export, to_geotiff),
    "Run": (run, demo, doctor),
}


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
@click.option(
    "--cluster",
    envvar="MIMTPY_CLUSTER",
    metavar="WHERE",
    help="Compute there: auto, local, tcp://host:port, gateway, https://gateway, slurm, pbs, ... (docs: Clusters). "
    "By default in threads.",
)
@click.option(
    "--workers",
    envvar="MIMTPY_WORKERS",
    metavar="N|MIN:MAX",
    callback=read_workers,
    help="Workers of the cluster; as many as needed between two numbers.",
)
@click.option("-v", "--verbose", count=True, help="Show what is done, and where an error came from; -vv shows more.")
def cli(verbose: int, cluster: str | None, workers: tuple[int, int] | int | None) -> None:  # noqa: ARG001
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


for _commands in _HEADINGS.values():
    for _command in _commands:
        if _command is not doctor:  # which says what is wrong with a cluster as with everything else
            compute_on_cluster(_command)
        cli.add_command(_command)


def main() -> None:
    """Run ``mimtpy`` with the arguments of the process."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # tasks are the threads; those of BLAS would only spin
    try:
        cli(prog_name="mimtpy")
    finally:
        gc.freeze()  # the last collection would walk through all that was loaded, for half a second
