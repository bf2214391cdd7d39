"""Blocks of models: where their values come from, and how each block gets its row of the table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from mimtpy_cloud.kernels.misfit import Fit, add_model_sums, add_residual_squares, solve_models, whitened_sums
from mimtpy_cloud.ops.model import Model
from mimtpy_cloud.plan.places import Places

__all__ = ["COLUMNS", "CalledRows", "HeldRows", "Rows", "score_block"]

#: Columns of the table before the coefficients of the ramps.
COLUMNS = ("misfit", "scale", "missing")
#: Letters of a reason that are kept.
_LETTERS = 200

#: Some models, some points, and the values of these there, shape ``(model, point)``.
Piece = tuple[slice, slice, np.ndarray]


class Rows(Protocol):
    """The models of a block at the points of a track."""

    #: Why a model cannot be used, one text a model, empty if it can; known after `read`.
    problems: list[str]

    def read(self, wanted: np.ndarray | None = None) -> Iterator[Piece]:
        """Values piece by piece, at least of the wanted models; the buffer of one may be used again for the next."""


@dataclass
class HeldRows:
    """
    Models that are in memory.

    Parameters
    ----------
    values : np.ndarray
        Any shape whose first dimension is the model.
    """

    values: np.ndarray

    @property
    def problems(self) -> list[str]:
        """Nothing is known against them."""
        return [""] * self.values.shape[0]

    def read(self, wanted: np.ndarray | None = None) -> Iterator[Piece]:  # noqa: ARG002 - all are there
        """
        Give all values at once.

        Parameters
        ----------
        wanted : np.ndarray, optional
            True for the models that are needed; the others are there as well.

        Yields
        ------
        tuple
            Models, points, and their values.
        """
        single = self.values.dtype.kind == "f" and self.values.dtype.itemsize <= 4
        kept = np.float32 if single else np.float64
        rows = np.ascontiguousarray(self.values.reshape(self.values.shape[0], -1), kept)
        yield slice(0, rows.shape[0]), slice(0, rows.shape[1]), rows


@dataclass
class CalledRows:
    """
    Models that are computed one by one.

    Parameters
    ----------
    model : callable
        ``model(places, **parameters)``.
    places : Places
        Where.
    parameters : mapping
        Name -> value for each model, shape ``(model,)``.
    problems : list of str
        Filled by `read`.
    passing : bool
        Whether a model failed by what may pass, such as a network that is down; set by `read`.
    """

    model: Model
    places: Places
    parameters: Mapping[str, np.ndarray]
    problems: list[str] = field(default_factory=list)
    passing: bool = False

    def read(self, wanted: np.ndarray | None = None) -> Iterator[Piece]:
        """
        Compute them; what goes wrong in one is its problem alone.

        Parameters
        ----------
        wanted : np.ndarray, optional
            True for the models that are needed; by default all are.

        Yields
        ------
        tuple
            One model, all points, and its values.
        """
        names, columns = list(self.parameters), [values.tolist() for values in self.parameters.values()]
        self.problems = self.problems or [""] * len(columns[0])
        for number, row in enumerate(zip(*columns, strict=True)):
            if wanted is not None and not wanted[number]:
                continue
            try:
                values = np.asarray(self.model(self.places, **dict(zip(names, row, strict=True))))
            except Exception as error:  # noqa: BLE001 - the model is the user's
                self.passing = self.passing or isinstance(error, OSError | MemoryError)
                self.problems[number] = f"{type(error).__name__}: {error}"
                continue
            if values.shape != (self.places.size,):
                self.problems[number] = f"expected values of shape {(self.places.size,)}, got {values.shape}"
                continue
            yield slice(number, number + 1), slice(0, values.size), np.ascontiguousarray(values[np.newaxis], np.float64)


def score_block(fits: list[Fit], rows: list[Rows], count: int, *, scaled: bool) -> tuple[np.ndarray, np.ndarray]:
    """
    Compare models with observations.

    Parameters
    ----------
    fits : list of Fit
        Observations of each track.
    rows : list of Rows
        The models at the points of each track.
    count : int
        Number of models.
    scaled : bool
        Whether each model may be multiplied by a factor.

    Returns
    -------
    numbers : np.ndarray
        `COLUMNS` and the coefficients of the ramps of all tracks, shape ``(model, column)``, float64.
    problems : np.ndarray
        Why a model has no misfit, text, shape ``(model,)``.
    """
    found = [_sums(fit, part, count, scaled=scaled) for fit, part in zip(fits, rows, strict=True)]
    sums = [table for table, _ in found]
    misfit, scale, cancelled, ramps = solve_models(sums, fits, scaled=scaled)
    if cancelled.any():
        misfit = np.where(cancelled, _squares(fits, rows, found, cancelled, scale), misfit)
    missing = np.sum([table[:, 0] for table in sums], axis=0)
    problems = _problems(rows, missing, misfit, sum(fit.count for fit in fits))
    numbers = np.column_stack([misfit, scale, missing, *ramps])
    numbers[np.array([bool(text) for text in problems])] = np.nan
    return numbers, problems


def _squares(fits: list[Fit], rows: list[Rows], found: list[Any], wanted: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Squares of the residuals of some models, summed from these."""
    squares = np.zeros(wanted.size)
    for fit, part, (table, white) in zip(fits, rows, found, strict=True):
        pieces = part.read(wanted) if white is None else [(slice(0, wanted.size), slice(0, fit.data.size), white)]
        projections = table[:, table.shape[1] - fit.basis.shape[0] :]
        for models, points, values in pieces:
            own = np.flatnonzero(wanted[models])
            at, sums, block = own + models.start, np.zeros(own.size), np.ascontiguousarray(values[own])
            whitened = white is not None
            add_residual_squares(sums, block, fit, points.start, scale[at], projections[at], whitened=whitened)
            squares[at] += sums
    return squares


def _problems(rows: list[Rows], missing: np.ndarray, misfit: np.ndarray, points: int) -> np.ndarray:
    """Why models have no misfit."""
    texts = [next(filter(None, reasons), "") for reasons in zip(*(part.problems for part in rows), strict=True)]
    for j, text in enumerate(texts):
        if not text and missing[j]:
            texts[j] = f"no value at {int(missing[j])} of {points} points"
        elif not text and not np.isfinite(misfit[j]):
            texts[j] = "zero, or a ramp itself, so that no factor fits it"
    return np.array([text[:_LETTERS] for text in texts], object)


def _sums(fit: Fit, rows: Rows, count: int, *, scaled: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Sums of the models of a track, and what they are whitened."""
    if fit.whitener is None:
        table = np.zeros((count, 4 + fit.basis.shape[0]))
        for models, points, values in rows.read():
            add_model_sums(table[models], values, fit, points.start, scaled=scaled)
        return table, None
    used = fit.weight > 0
    before = np.concatenate([[0], np.cumsum(used)])
    block = np.full((count, fit.count), np.nan)
    for models, points, values in rows.read():
        block[models, before[points.start] : before[points.stop]] = values[:, used[points]]
    missing = np.sum(~np.isfinite(block), axis=1)
    block[missing > 0] = 0.0
    white = fit.whitener.whiten(block)
    table = whitened_sums(white, fit, scaled=scaled)
    table[:, 0] = missing
    return table, white
