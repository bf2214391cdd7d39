"""Compute several datasets at once, so that what they share is read once."""

from collections.abc import Sequence

import xarray as xr

__all__ = ["compute_together"]


def compute_together(datasets: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """
    Compute datasets in one graph.

    Parameters
    ----------
    datasets : sequence of xr.Dataset
        Lazy or not.

    Returns
    -------
    list of xr.Dataset
        In the same order, in memory.

    Notes
    -----
    `dask.compute` of datasets loses keys where one variable is made of another (dask 2026.8); a tree computes their
    arrays.
    """
    tree = xr.DataTree.from_dict({str(number): ds for number, ds in enumerate(datasets)}).compute()
    return [tree[str(number)].to_dataset() for number in range(len(datasets))]
