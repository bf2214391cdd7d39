"""RELAX: write runs over a table of parameters, run them, and read what they give."""

from mimtpy_cloud.kernels.viscosity import fluidity, log10_viscosity, maxwell_time
from mimtpy_cloud.relax.execute import RunOutcome, run_with_dask
from mimtpy_cloud.relax.los import to_los
from mimtpy_cloud.relax.output import open_grids, open_output
from mimtpy_cloud.relax.runs import make_runs
from mimtpy_cloud.relax.table import run_table

__all__ = [
    "RunOutcome",
    "fluidity",
    "log10_viscosity",
    "make_runs",
    "maxwell_time",
    "open_grids",
    "open_output",
    "run_table",
    "run_with_dask",
    "to_los",
]
