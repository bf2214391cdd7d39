"""Candidates of a grid search: the parameters of each model, and where they lie on a grid."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mimtpy_cloud.errors import ParameterError

__all__ = ["Candidates", "blocks_of"]

#: A grid may have that many places for each model; models that fill less of it stay a list.
_SPARSE = 4
#: Digits by which values of a parameter are told apart.
_DIGITS = 12


@dataclass(frozen=True)
class Candidates:
    """
    Parameters of models.

    Parameters
    ----------
    values : mapping
        Name -> value of each model, numbers or text, shape ``(model,)``.

    Raises
    ------
    ParameterError
        If there is no parameter or no model, the lengths differ, or a value is not finite.

    Examples
    --------
    >>> models = Candidates({"depth": np.array([1e3, 1e3, 2e3]), "slip": np.array([1.0, 2.0, 2.0])})
    >>> axes = models.axes()
    >>> {name: axis.tolist() for name, axis in axes.items()}, models.positions(axes).tolist()
    ({'depth': [1000.0, 2000.0], 'slip': [1.0, 2.0]}, [0, 1, 3])
    """

    values: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        """Check that there are parameters, of one length."""
        sizes = {name: np.shape(v) for name, v in self.values.items()}
        if not sizes or len(set(sizes.values())) != 1 or len(next(iter(sizes.values()))) != 1:
            raise ParameterError(f"models need parameters of one length each, got shapes {sizes}")
        if self.count == 0:
            raise ParameterError("there is no model; name at least one")
        for name, values in self.values.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ParameterError(f"parameter {name} is not finite in a model; leave that model out")

    @property
    def count(self) -> int:
        """Number of models."""
        return int(np.shape(next(iter(self.values.values())))[0])

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters, in order."""
        return tuple(self.values)

    def axes(self) -> dict[str, np.ndarray] | None:
        """
        Find the grid that the models fill.

        Returns
        -------
        dict or None
            Name -> sorted values (texts in the order of the models); None if the models are too few for such a grid, as
            a random sample is, or two of them have one place.
        """
        axes = {name: _distinct(values) for name, values in self.values.items()}
        if np.prod([float(axis.size) for axis in axes.values()]) > max(_SPARSE * self.count, 1):
            return None
        return axes if np.unique(self.positions(axes)).size == self.count else None

    def positions(self, axes: Mapping[str, np.ndarray]) -> np.ndarray:
        """
        Place the models on a grid.

        Parameters
        ----------
        axes : mapping
            From `axes`.

        Returns
        -------
        np.ndarray
            Flat index of each model in the grid, the last parameter fastest, shape ``(model,)``.
        """
        indexes = []
        for name, axis in axes.items():
            order = np.argsort(axis)  # texts keep the order of the models
            indexes.append(order[np.searchsorted(axis, _rounded(self.values[name]), sorter=order)])
        flat: np.ndarray = np.ravel_multi_index(tuple(indexes), tuple(axis.size for axis in axes.values()))
        return flat


def blocks_of(count: int, size: int) -> Iterator[slice]:
    """
    Cut models into blocks.

    Parameters
    ----------
    count, size : int
        Number of models, and of those in a block.

    Yields
    ------
    slice
        Of consecutive models.

    Examples
    --------
    >>> list(blocks_of(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _rounded(values: np.ndarray) -> np.ndarray:
    """Numbers without the last digits, which rounding decides."""
    if values.dtype.kind != "f":
        return values
    scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(np.where(values == 0, 1.0, np.abs(values)))))
    rounded: np.ndarray = np.round(values * scale) / scale
    return rounded


def _distinct(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    values = _rounded(np.asarray(values))
    distinct, first = np.unique(values, return_index=True)
    return values[np.sort(first)] if values.dtype.kind == "U" else distinct
