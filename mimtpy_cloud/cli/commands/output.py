"""Write what a command made, with a bar, and name the files."""

from collections.abc import Mapping
from typing import Any

import click

__all__ = ["write"]


def write(ds: Any, out: str, stem: str, maps: Mapping[str, str], provenance: Mapping[str, Any]) -> str:
    """
    Write a product where ``--out`` says, and print the names of the files.

    Parameters
    ----------
    ds : xr.Dataset
        Lazy product.
    out, stem, maps, provenance : object
        As for `mimtpy_cloud.cli.actions.save`; the bar has the name of the step.

    Returns
    -------
    str
        Path of the store without suffix, if a folder was asked for; else empty.
    """
    from mimtpy_cloud.cli.actions import save
    from mimtpy_cloud.cli.console import progress_bar

    with progress_bar(str(provenance["step"])) as progress:
        files = save(ds, out, stem, maps, provenance, progress=progress)
    for file in files:
        click.echo(file)
    return files[0].removesuffix(".zarr") if len(files) > 1 else ""
