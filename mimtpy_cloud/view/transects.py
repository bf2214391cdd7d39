"""The figure of profiles across a fault, a panel for each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.screwfit import MODELS
from mimtpy_cloud.ops.transectfit import predict_transects
from mimtpy_cloud.view.picture import title_of
from mimtpy_cloud.view.profileaxes import (
    axis_label,
    chosen_variables,
    draw_sides,
    name_of_profile,
    new_page,
    require_same,
    shown_unit,
    words_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_transects"]

#: Palette of Okabe and Ito: data one by one, fit, ground, coherence.
_DATA = ("#0072b2", "#e69f00", "#009e73", "#56b4e9")
_FIT, _GROUND, _COHERENCE, _OTHER = "#d55e00", "#b9ab94", "#cc79a7", "0.55"
_COHERENCES = ("temporal_coherence", "avg_spatial_coherence")
_POINTS = ("station_profile", "station_distance_km")
_CROSSINGS = ("crossing_profile", "crossing_distance_km")
#: Inches of a panel, and its heights above and below.
_WIDE, _HIGH, _RATIO = 5.2, 3.6, (3.0, 1.0)
#: Points of a fitted curve.
_FINE = 601
#: More profiles than these are drawn in two columns, in three.
_TWO, _THREE = 1, 8
_BANDS = ("std", "quantile", "none")


def plot_transects(
    profiles: xr.Dataset,
    variables: str | Sequence[str] | None = None,
    *,
    fits: xr.Dataset | None = None,
    band: str = "std",
    limits: tuple[float, float] | None = None,
    title: str | None = None,
) -> "Figure":
    """
    Draw profiles across a fault, one panel each: data, stations, topography, coherence, faults and fit.

    Parameters
    ----------
    profiles : xr.Dataset
        As `profile_across_fault` makes them, lazy or not.
    variables : str or sequence of str, optional
        What is drawn, of one unit; by default the first of ``fault_parallel, velocity, east`` that is there, and `up`.
    fits : xr.Dataset, optional
        Of these profiles, as `mimtpy_cloud.ops.transectfit.fit_transects` gives them: curves and their numbers.
    band : {"std", "quantile", "none"}
        Band about the mean: one standard deviation of the pixels of a bin, or its lowest and highest quantile.
    limits : tuple of float, optional
        Of the axis of the data, in the unit shown. All panels share one axis.
    title : str, optional
        Default: track and dates.

    Returns
    -------
    matplotlib.figure.Figure
        Rates in mm/yr, heights in km. The fault is at 0; letters in the corners are the sides of it. Stations of a
        swath, their standard deviations and other faults are drawn where the profiles have them.

    Raises
    ------
    SchemaError
        If there is no profile, a variable is missing, units differ, or an option is not as above.

    See Also
    --------
    mimtpy_cloud.view.stackedprofiles.plot_stacked : All profiles on one axis.
    mimtpy_cloud.view.vectorprofile.plot_vector_profile : Horizontal and vertical motion of one.
    mimtpy_cloud.view.swaths.plot_swaths : Where they lie.
    """
    names = chosen_variables(profiles, variables)
    if band not in _BANDS:
        raise SchemaError(f"band must be one of {', '.join(_BANDS)}, got {band!r}")
    unit, factor = shown_unit(profiles[names[0]])
    found, fitted = profiles[_wanted(profiles, names)].compute(), None if fits is None else fits.compute()
    require_same(found, fitted)
    count = found.sizes["profile"]
    columns = 1 + (count > _TWO) + (count > _THREE)
    rows = math.ceil(count / columns)
    figure = new_page(columns * _WIDE, rows * _HIGH + 0.8)
    cells = figure.add_gridspec(rows, columns)
    found, note = _levelled(found, names, factor, unit)
    draw = _Panel(found, names, fitted, band, unit, factor)
    first: Any = None
    for i in range(count):
        first = draw.draw(figure, cells[i // columns, i % columns], i, first)
    if limits is not None:
        first.set_ylim(*limits)
    figure.suptitle((title_of(profiles) if title is None else title) + note, fontsize="medium")
    handles = draw.handles()
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(4, len(handles)), fontsize="small", frameon=False
    )
    return figure


def _wanted(profiles: xr.Dataset, names: Sequence[str]) -> list[str]:
    """Variables that a figure needs, as far as they are there."""
    wanted = ["height", "height_std", *_COHERENCES, *_POINTS, *_CROSSINGS]
    for name in names:
        wanted += [name, f"{name}_std", f"{name}_quantile", f"station_{name}", f"station_{name}_std"]
    return [name for name in wanted if name in profiles.data_vars]


def _levelled(found: xr.Dataset, names: Sequence[str], factor: float, unit: str) -> tuple[xr.Dataset, str]:
    """
    Stations less the median of their difference from the profiles, and what the title says of it.

    Those of a frame that the product is in, as after `set_reference` by stations or without a plate's motion, stay.
    """
    frame = str(found.attrs.get("stations_frame") or "")
    named = [name for name in names if f"station_{name}" in found and all(needed in found for needed in _POINTS)]
    if not named or "plate_motion" in found.attrs or (frame and found.attrs.get("reference_frame") == frame):
        return found, ""
    said = []
    for name in named:
        difference = _beside(found, name)
        if np.isfinite(difference).any():
            shift = float(np.nanmedian(difference))
            found = found.assign({f"station_{name}": found[f"station_{name}"] - shift})
            said.append(f"{words_of(name)} {shift * factor:+.1f} {unit}")
    where = f" in {frame}" if frame else ""
    note = f"\nmedian difference of stations{where} from the profiles, taken out: {', '.join(said)}" if said else ""
    return found, note


def _beside(found: xr.Dataset, name: str) -> np.ndarray:
    """Difference of each station of these profiles from the bin that it stands in."""
    distance, differences = found["distance_km"].values, []
    for i, number in enumerate(found["profile"].values):
        here = found["station_profile"].values == number
        bins = np.abs(distance - found["station_distance_km"].values[here, np.newaxis]).argmin(axis=1)
        differences.append(found[f"station_{name}"].values[here] - found[name].values[i][bins])
    return np.concatenate(differences)


@dataclass(frozen=True)
class _Panel:
    """What all panels share."""

    profiles: xr.Dataset
    names: Sequence[str]
    fits: xr.Dataset | None
    band: str
    unit: str
    factor: float

    def draw(self, figure: "Figure", cell: Any, i: int, first: Any) -> Any:
        """Draw profile `i`; return its axes, or those of the first."""
        ground = "height" in self.profiles or any(name in self.profiles for name in _COHERENCES)
        inner = cell.subgridspec(1 + ground, 1, height_ratios=_RATIO[: 1 + ground], hspace=0.02)
        ax = figure.add_subplot(inner[0], sharex=first, sharey=first)
        for name, colour in zip(self.names, _colours(self.names), strict=True):
            self._draw_data(ax, name, colour, i)
            self._draw_stations(ax, name, colour, i)
        self._draw_faults(ax, i)
        self._draw_fit(ax, i)
        ax.set_title(name_of_profile(self.profiles, i), fontsize="small", loc="left")
        ax.set_ylabel(axis_label(self.names, self.unit))
        distance = self.profiles["distance_km"].values
        ax.set_xlim(distance.min(), distance.max())
        ax.margins(y=0.12)
        below = ax
        if ground:
            below = figure.add_subplot(inner[1], sharex=ax)
            ax.tick_params(labelbottom=False)
            self._draw_ground(below, i)
        below.set_xlabel("distance from the fault [km]")
        for axes in (ax, below):
            axes.tick_params(labelsize="small")
        draw_sides(ax, self.profiles, i, top=False)
        return ax if first is None else first

    def _number(self, i: int) -> int:
        """Number of a profile among all; a selection of some keeps it if it is a coordinate."""
        return int(self.profiles["profile"][i])

    def _draw_data(self, ax: "Axes", name: str, colour: str, i: int) -> None:
        one, distance = self.profiles.isel(profile=i), self.profiles["distance_km"].values
        mean = one[name].values * self.factor
        if self.band == "std" and f"{name}_std" in one:
            std = one[f"{name}_std"].values * self.factor
            ax.fill_between(distance, mean - std, mean + std, color=colour, alpha=0.22, linewidth=0)
        elif self.band == "quantile" and f"{name}_quantile" in one:
            edges = one[f"{name}_quantile"].transpose("quantile", "distance").values * self.factor
            ax.fill_between(distance, edges[0], edges[-1], color=colour, alpha=0.22, linewidth=0)
        ax.plot(distance, mean, color=colour, linewidth=1.4)

    def _draw_stations(self, ax: "Axes", name: str, colour: str, i: int) -> None:
        at, value, std = self._stations(name, i)
        look: dict[str, Any] = {"markeredgecolor": "black", "markersize": 5, "ecolor": "black", "elinewidth": 0.9}
        ax.errorbar(at, value, std, fmt="s", color=colour, capsize=2, zorder=5, **look)

    def _stations(self, name: str, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Distance, value and standard deviation of the stations of a profile that know a quantity."""
        label = f"station_{name}"
        if any(needed not in self.profiles for needed in (*_POINTS, label)):
            return np.empty(0), np.empty(0), None
        value = self.profiles[label].values * self.factor
        here = (self.profiles["station_profile"].values == self._number(i)) & np.isfinite(value)
        at = self.profiles["station_distance_km"].values[here]
        if f"{label}_std" not in self.profiles:
            return at, value[here], None
        return at, value[here], np.nan_to_num(self.profiles[f"{label}_std"].values[here] * self.factor)

    def _draw_faults(self, ax: "Axes", i: int) -> None:
        ax.axvline(0.0, color="0.15", linewidth=1.2, zorder=1)
        for at in self._crossings(i):
            ax.axvline(at, color=_OTHER, linewidth=1.0, linestyle="--", zorder=1)

    def _crossings(self, i: int) -> np.ndarray:
        if any(name not in self.profiles for name in _CROSSINGS):
            return np.empty(0)
        here = self.profiles["crossing_profile"].values == self._number(i)
        return np.asarray(self.profiles["crossing_distance_km"].values[here])

    def _draw_fit(self, ax: "Axes", i: int) -> None:
        if self.fits is None:
            return
        distance = self.profiles["distance_km"].values
        fine = np.linspace(distance.min(), distance.max(), _FINE)
        curve = predict_transects(self.fits.isel(profile=[i]), fine)[0].values * self.factor
        ax.plot(fine, curve, color=_FIT, linewidth=1.6, zorder=4)
        falls = curve[0] > curve[-1]
        text = _numbers(self.fits.isel(profile=i))
        at, side = (0.98, "right") if falls else (0.02, "left")
        box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5}
        ax.text(at, 0.97, text, transform=ax.transAxes, ha=side, va="top", fontsize="x-small", zorder=6, bbox=box)

    def _draw_ground(self, ax: "Axes", i: int) -> None:
        one, distance = self.profiles.isel(profile=i), self.profiles["distance_km"].values
        if "height" in one:
            height = one["height"].values / 1e3
            low = min(0.0, float(np.nanmin(height))) if np.isfinite(height).any() else 0.0
            ax.fill_between(distance, low, height, color=_GROUND, linewidth=0)
            ax.set_ylim(low, low + 1.15 * (max(float(np.nanmax(height, initial=0.0)) - low, 0.1)))
        ax.set_ylabel("height [km]" if "height" in one else "", fontsize="small")
        ax.axvline(0.0, color="0.15", linewidth=1.2)
        for name in [name for name in _COHERENCES if name in one][:1]:
            twin = ax.twinx() if "height" in one else ax
            twin.plot(distance, one[name].values, color=_COHERENCE, linewidth=1.2)
            twin.set(ylim=(0, 1.05), yticks=(0, 0.5, 1))
            twin.set_ylabel("coherence", fontsize="small", color="#a05080")
            twin.tick_params(labelsize="small", colors="#a05080")

    def handles(self) -> list[Any]:
        """Entries of the legend for what the figure has."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        out: list[Any] = []
        words = {"std": " and standard deviation of the pixels", "quantile": " and quantiles of the pixels"}
        for name, colour in zip(self.names, _colours(self.names), strict=True):
            out.append(Line2D([], [], color=colour, label=f"{words_of(name)}, mean{words.get(self.band, '')}"))
        count = self.profiles.sizes["profile"]
        shown = [name for name in self.names if any(self._stations(name, i)[0].size for i in range(count))]
        for name in shown:
            label = f"GNSS stations, {words_of(name)}" if len(shown) > 1 else "GNSS stations"
            colour = _colours(self.names)[self.names.index(name)]
            out.append(Line2D([], [], color=colour, marker="s", ls="", markeredgecolor="black", label=label))
        if self.fits is not None:
            out.append(Line2D([], [], color=_FIT, label=f"fit, {str(self.fits.attrs['model']).replace('_', ' ')}"))
        out.append(Line2D([], [], color="0.15", label="fault"))
        if any(self._crossings(i).size for i in range(self.profiles.sizes["profile"])):
            out.append(Line2D([], [], color=_OTHER, linestyle="--", label="other faults"))
        if "height" in self.profiles:
            out.append(Patch(color=_GROUND, label="topography"))
        return out


def _colours(names: Sequence[str]) -> list[str]:
    return [_DATA[k % len(_DATA)] for k in range(len(names))]


def _numbers(fit: xr.Dataset) -> str:
    """Rates and depths of a fit with standard deviation, and what the choice of the datum adds."""
    if not np.isfinite(fit["slip_rate"]):
        return "too few data for a fit"
    names = {"slip_rate": "slip", "creep_rate": "creep", "second_slip_rate": "second slip"}
    depths = {"slip_rate": "locking", "creep_rate": "creep", "second_slip_rate": "second locking"}
    lines = []
    for rate in MODELS[str(fit.attrs["model"])]:
        value, std = 1e3 * float(fit[rate]), 1e3 * float(fit[f"{rate}_std"])
        lines.append(f"{names[rate]} {value:.1f} ± {std:.1f} mm/yr")
        depth = rate.replace("slip_rate", "locking_depth").replace("creep_rate", "creep_depth")
        value, std = float(fit[depth]) / 1e3, float(fit[f"{depth}_std"]) / 1e3
        limit = bool(fit[f"{depth}_at_bound"])
        lines.append(f"{depths[rate]} depth {value:.1f} " + ("km, at its limit" if limit else f"± {std:.1f} km"))
    spread = 1e3 * float(fit["slip_rate_spread"]), float(fit["locking_depth_spread"]) / 1e3
    if np.isfinite(spread).all():
        lines.append(f"datum adds ± {spread[0]:.1f} mm/yr, ± {spread[1]:.1f} km")
    return "\n".join([*lines, f"χ² {float(fit['chi2']):.2f}"])
