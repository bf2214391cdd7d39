"""One format that a product can be written in: what it needs, what it writes, which options it has."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.progress import Progress

__all__ = ["Exporter", "Write"]


#: ``write(ds, url, *, progress=None, **options)`` computes, writes, and gives the names of what it wrote; its keywords
#: but ``progress`` are the options of the format.
Write = Callable[..., list[str]]


@dataclass(frozen=True)
class Exporter:
    """
    A format.

    Parameters
    ----------
    name : str
        As `export` takes it.
    writes : str
        Which files.
    needs : str
        Which variables and attributes.
    endings : tuple of str
        Of a name that stands for one file of the format; none where it is a folder.
    function : callable
        ``write(ds, url, *, progress=None, **options)``: writes it and gives the names of what it wrote.
    """

    name: str
    writes: str
    needs: str
    endings: tuple[str, ...]
    function: Write

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options, in the order of the function."""
        kinds = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in kinds if p.kind is p.KEYWORD_ONLY and p.name != "progress")

    def write(self, ds: xr.Dataset, url: str, *, progress: Progress | None = None, **options: Any) -> list[str]:
        """
        Compute a product and write it.

        Parameters
        ----------
        ds : xr.Dataset
            Product, lazy or not.
        url : str
            Local path or any fsspec URL.
        progress : callable, optional
            ``progress(done, total, unit)``.
        **options : object
            Those of the format.

        Returns
        -------
        list of str
            What was written.

        Raises
        ------
        SchemaError
            If an option is none of the format, or the product does not fit it.
        """
        foreign = [name for name in options if name not in self.options]
        if foreign:
            has = f"its options are {', '.join(self.options)}" if self.options else "it has none"
            raise SchemaError(f"format {self.name} has no option {', '.join(foreign)}; {has}")
        return self.function(ds, url, progress=progress, **options)
