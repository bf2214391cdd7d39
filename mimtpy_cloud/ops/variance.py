"""How large the errors of tracks really are: what they disagree by, and how their noise is correlated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels.correlation import correlation_of, count_cells, mean_variance
from mimtpy_cloud.kernels.enu import horizontal_basis
from mimtpy_cloud.kernels.semivariogram import fit_semivariogram, semivariogram
from mimtpy_cloud.kernels.tiles import Tiles
from mimtpy_cloud.kernels.variance import estimate_scales
from mimtpy_cloud.ops.combination import (
    Track,
    common_attrs,
    data_variable,
    lattice_tracks,
)
from mimtpy_cloud.ops.covariance import estimate_covariance, select_patch
from mimtpy_cloud.ops.decomposition import (
    at_block,
    given_sigma,
    horizontal_azimuth,
    known_across,
    known_north,
    look_sheet,
    overlap_window,
    require_comparable,
    require_one_datum,
)
from mimtpy_cloud.ops.overlay import Patch, lay, lazy_array, read_apart
from mimtpy_cloud.plan.dates import MAX_GAP_DAYS
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.plan.plane import pixel_km
from mimtpy_cloud.schema import require_variables

__all__ = ["scaled_track", "variance_components"]

Shape = tuple[int, int]

#: Pixels of the overlaps that are looked at.
_SAMPLES = 100_000
_LOOK = 5  # rows of a sample for each track: data, look vector, standard deviation
#: What the result has for each track, its unit (None is that of the data), and what it is.
_PER_TRACK = (
    ("scale", "1", "factor of the standard deviations"),
    ("scale_std", "1", "standard deviation of scale"),
    ("sigma", None, "typical standard deviation, scaled"),
    ("redundancy", "1", "spare looks, summed over the pixels looked at"),
    ("offset", None, "mean of what the track disagrees by"),
    ("sill", "square", "variance of the correlated part of the noise"),
    ("range_km", "km", "distance at which the correlation is 1/e"),
    ("nugget", "square", "variance of the white part of the noise"),
)


def variance_components(
    tracks: Sequence[xr.Dataset],
    components: str | float = "eu",
    *,
    north: float | xr.DataArray | xr.Dataset = 0.0,
    north_std: float | None = None,
    sigma: float | Sequence[float] | None = None,
    patch: Any = None,
    max_gap_days: float = MAX_GAP_DAYS,
    same_datum: bool = False,
) -> xr.Dataset:
    """
    Estimate how much larger the errors of each track are than its standard deviations say.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        Three or more two-dimensional velocities (m/yr) or displacements (m) with look vectors, on one lattice and one
        datum, as `invert_enu` takes them.
    components : {"eu", "enu", "hu"} or float
        What motion the looks are to agree on, as for `invert_enu`.
    north : float, xr.DataArray or xr.Dataset
        What is known of north, as for `invert_enu`.
    north_std : float, optional
        Its standard deviation.
    sigma : float or sequence of float, optional
        Standard deviation of all tracks, or of each, in the unit of the data. Without it `velocity_std` of each pixel
        if every track has it; else 1, so that `scale` is the standard deviation itself.
    patch : sequence of float or array_like, optional
        Where nothing moves: a box (west, south, east, north), or polygons, as in `estimate_covariance`. What a track
        scatters by in it, less a linear ramp, over what another does is expected elsewhere, too, which tells the tracks
        of one direction from each other.
    max_gap_days : float
        As for `invert_enu`.
    same_datum : bool
        As for `invert_enu`.

    Returns
    -------
    xr.Dataset
        Lazy. For each `track`: `scale`, by which its standard deviations are to be multiplied, with `scale_std`;
        `sigma`, the root mean square of the scaled standard deviations; `redundancy`, its spare looks; `offset`, the
        mean of what it disagrees by, which is far from zero where its datum is not that of the others; and the noise as
        `sill`, `range_km` and `nugget` of an exponential covariance, of the patch if one is given and holds the track,
        else of the residuals. `count`, the pixels used, and `outliers`, those that were not. NaN is not known, as for a
        track without a spare look. Pass it to `invert_enu` as `sigma`.

    Raises
    ------
    SchemaError
        If there are fewer than three tracks, or they cannot be decomposed together, as in `invert_enu`.
    GridMismatchError
        If the tracks do not overlap, or none lies on the patch.

    See Also
    --------
    mimtpy_cloud.kernels.variance.estimate_scales : The estimate.
    mimtpy_cloud.ops.covariance.estimate_covariance : The noise of one map.

    Notes
    -----
    Restricted maximum likelihood of what three or more looks disagree by, at up to 100 000 pixels on a coarse grid of
    the lattice, whatever the chunks. The correlation of the residuals says how many independent pixels they are worth,
    which is in `scale_std` and not in `scale`. Tracks of one orbit direction tell the sum of their variances well, and
    each of them badly; four looks that hardly change over the map tell three numbers and not four. Then the ratios stay
    as the standard deviations have them, and `scale_std` is large; a patch helps. What all looks have in common, such
    as motion that the components lack, is not an error that can be seen.
    """
    given = given_sigma(tracks, sigma)
    placed = lattice_tracks(tracks)
    variable = data_variable(placed)
    require_comparable(placed, variable, max_gap_days)
    azimuth = horizontal_azimuth(components, placed)
    least = 4 if components == "enu" and north_std is None and isinstance(north, int | float) else 3
    if len(placed) < least:
        shown = ", ".join(t.label for t in placed)
        raise SchemaError(f"variance components need {least} or more tracks, whose looks can disagree, got {shown}")
    if not same_datum:
        require_one_datum(placed)
    units = str(placed[0].ds[variable].attrs.get("units", "1"))
    window = overlap_window(placed)
    across = known_north(north, north_std, components, placed, variable=variable, units=units, window=window)
    spread = f"{variable}_std" if given is None and all(f"{variable}_std" in t.ds for t in placed) else None
    scalars = None if spread else tuple(1.0 if given is None else given[id(t.ds)] for t in placed)
    sheets = [look_sheet(t, variable, spread) for t in placed]
    field = [] if across.field is None else [across.field]
    stack = _Stack(len(placed), scalars, across.plan)
    apart = [read_apart(sheet, "variance components") for sheet in (*sheets, *field)]
    rows = lay(stack, window, apart, dtype=np.float32, depth=stack.depth, at_least=least)
    sample, step_km = _thinned(rows, window)
    sample = sample.rechunk(-1)  # type: ignore[no-untyped-call]
    still = None if patch is None else _of_patch(placed, variable, spread, scalars, patch)
    estimate = _Estimate(stack, horizontal_basis(azimuth), step_km)
    numbers = [part for parts in still or [] for part in parts]
    name = "components-" + tokenize(estimate, sample.name, [part.name for part in numbers])
    patches = [[[(part.name,) for part in parts] for parts in still]] if still else []
    graph = {(name, 0): (estimate, (sample.name, 0, 0, 0), *patches)}
    flat = lazy_array(name, graph, ((len(_PER_TRACK) * len(placed) + 2,),), np.float64, [sample, *numbers])
    return _labelled(flat, placed, units, azimuth, scales=spread or "", noise_from="patch" if still else "residuals")


def scaled_track(track: Track, variable: str, found: xr.Dataset) -> Track:
    """
    Give a track the standard deviations that variance components say.

    Parameters
    ----------
    track : Track
        One of those that they were estimated from.
    variable : str
        What it holds.
    found : xr.Dataset
        As `variance_components` gives it.

    Returns
    -------
    Track
        With the standard deviation of the variable, lazily. A track without a scale gets that of the others.

    Raises
    ------
    SchemaError
        If the components are not those of this track, lack a variable, or are computed and unknown.
    """
    require_variables("the variance components", found.variables, "track", "scale", "sigma")
    if track.label not in found["track"].values:
        shown = ", ".join(map(str, found["track"].values))
        raise SchemaError(f"the variance components are of {shown}, not of {track.label}; estimate them for all tracks")
    name = f"{variable}_std"
    stated = str(found.attrs.get("scales", ""))
    if stated not in ("", name) or (stated and name not in track.ds):
        raise SchemaError(f"the variance components scale {stated}; {track.label} has no such {variable}")
    factor = found["scale" if stated else "sigma"]
    if factor.chunks is None and factor.isnull().all():
        raise SchemaError("no pixel has a spare look, so that the variance components are unknown; give sigma itself")
    common = np.sqrt((factor**2).mean())
    own = factor.sel(track=track.label, drop=True).fillna(common).reset_coords(drop=True)
    like = track.ds[name] if stated else xr.ones_like(track.ds[variable], np.float32)
    units = track.ds[variable].attrs.get("units", "1")
    return replace(track, ds=track.ds.assign({name: (like * own).astype(np.float32).assign_attrs(units=units)}))


def _thinned(rows: da.Array, window: Window) -> tuple[da.Array, tuple[float, float]]:
    """Every so many-th row and column of the lattice, and how far apart they are in km."""
    step = max(1, math.ceil(math.sqrt(window.ny * window.nx / _SAMPLES)))
    first_row, first_col = -window.row % step, -window.col % step
    height, width = pixel_km(window.x, window.y)
    return rows[:, first_row::step, first_col::step], (height * step, width * step)


def _of_patch(
    placed: Sequence[Track], variable: str, spread: str | None, scalars: tuple[float, ...] | None, patch: Any
) -> list[list[da.Array]]:
    """Sill, range, nugget, and the variance that is stated, of each track; none of one beyond the patch."""
    found: list[list[da.Array]] = []
    missed = []
    for k, track in enumerate(placed):
        usable = track.ds[variable]
        if "valid" in track.ds:
            usable = usable.where(track.ds["valid"] > 0)
        try:
            noise = estimate_covariance(usable, patch)
        except GridMismatchError as error:
            missed.append(f"{track.label}: {error}")
            found.append([])
            continue
        stated = xr.DataArray(scalars[k] if scalars else np.nan) ** 2
        if spread:
            stated = select_patch(track.ds[spread].where(usable.notnull()) ** 2, patch).mean()
        parts = (noise["sill"], noise["range_km"], noise["nugget"], stated)
        found.append([da.asarray(part.data) for part in parts])  # type: ignore[no-untyped-call]
    if len(missed) == len(placed):
        raise GridMismatchError(f"no track has pixels in the patch ({'; '.join(missed)})")
    return found


@dataclass(frozen=True)
class _Stack:
    """Brings the looks of a block together; the sheets are the tracks, and the field of the motion across."""

    tracks: int
    scalars: tuple[float, ...] | None
    across: tuple[float, float, bool, bool]

    @property
    def depth(self) -> int:
        """Rows of a block: those of each track, and the motion across with its standard deviation."""
        return _LOOK * self.tracks + 2

    def __call__(self, shape: Shape, patches: list[Patch]) -> np.ndarray:
        out = np.full((self.depth, *shape), np.nan, np.float32)
        for patch in patches:
            if patch.sheet >= self.tracks:
                continue
            values, east, north, up, *more = patch.views
            rows = out[_LOOK * patch.sheet : _LOOK * (patch.sheet + 1)][at_block(patch)]
            rows[:4] = values, east, north, up
            rows[4] = self.scalars[patch.sheet] if self.scalars else more.pop(0)
            if more:
                rows[0][~more[0]] = np.nan
        known, std = known_across(shape, patches, self.tracks, self.across)
        out[-2] = 0.0 if known is None else known
        out[-1] = std
        return out


@dataclass(frozen=True)
class _Estimate:
    """Estimates the components from the sample, and from what a patch tells if there is one."""

    stack: _Stack
    basis: tuple[float, float]
    step_km: tuple[float, float]

    def __call__(self, sample: np.ndarray, patches: Sequence[Sequence[Any]] = ()) -> np.ndarray:
        n, shape = self.stack.tracks, sample.shape[1:]
        looks = sample[: _LOOK * n].reshape(n, _LOOK, -1)
        sigma = looks[:, 4]
        _, std, _, with_std = self.stack.across
        still = np.array([[float(v) for v in parts] or [np.nan] * 4 for parts in patches] or [[np.nan] * 4] * n).T
        options: dict[str, Any] = {
            "across": sample[-2].ravel(),
            "across_std": sample[-1].ravel() if with_std or std > 0 else 0.0,
            "expected": np.sqrt((still[0] + still[2]) / still[3]),
        }
        arrays = (looks[:, 0], looks[:, 1:4], sigma, self.basis)
        found = estimate_scales(*arrays, **options)
        images = found.residual.reshape(n, *shape)
        found = estimate_scales(*arrays, **options, worth=self._worth(images, found.redundancy))
        used = np.isfinite(found.residual)
        typical = np.array([_rms(sigma[k][used[k]]) for k in range(n)])
        noise = np.array([fit_semivariogram(*semivariogram(image, self.step_km)[:2]) for image in images])
        variance = (typical * found.scale) ** 2
        table = [
            found.scale,
            found.scale * np.sqrt(np.diag(found.covariance)),
            typical * found.scale,
            found.redundancy,
            found.mean,
            noise[:, 0] * variance,
            noise[:, 1],
            noise[:, 2] * variance,
        ]
        for row, own in zip((5, 6, 7), still, strict=False):
            table[row] = np.where(np.isfinite(own), own, table[row])
        table[1] = np.where(np.isfinite(found.scale), table[1], np.nan)
        return np.concatenate([np.concatenate(table), [found.count, found.outliers]])

    def _worth(self, images: np.ndarray, redundancy: np.ndarray) -> float:
        """Independent values that one residual is worth; squares are correlated over half the distance."""
        total, weight = 0.0, 0.0
        for image, spare in zip(images, redundancy, strict=True):
            count = int(np.isfinite(image).sum())
            if count and spare > 0:
                length, share = correlation_of(Tiles.of(image), self.step_km)
                cells = count_cells(Tiles.of(image), self.step_km)
                total += spare / (mean_variance(*cells, length / 2, share**2) * count)
                weight += spare
        return min(1.0, total / weight) if weight else 1.0


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else np.nan


def _labelled(
    flat: da.Array, placed: Sequence[Track], units: str, azimuth: float, *, scales: str, noise_from: str
) -> xr.Dataset:
    n = len(placed)
    data: dict[str, Any] = {}
    for k, (name, unit, long_name) in enumerate(_PER_TRACK):
        shown = units if unit is None else f"({units})^2" if unit == "square" else unit
        data[name] = ("track", flat[k * n : (k + 1) * n], {"units": shown, "long_name": long_name})
    counts = (("count", "pixels used"), ("outliers", "pixels with a residual beyond 5 standard deviations"))
    for k, (name, long_name) in enumerate(counts):
        data[name] = ((), flat[len(_PER_TRACK) * n + k].astype(np.int64), {"units": "1", "long_name": long_name})
    attrs = common_attrs(placed)
    kept = {key: attrs[key] for key in ("track", "tracks", "sources") if key in attrs}
    labels = np.array([t.label for t in placed], dtype=object)
    told = {"azimuth": azimuth, "scales": scales, "noise_from": noise_from}
    return xr.Dataset(data, {"track": ("track", labels)}, {**kept, **told})
