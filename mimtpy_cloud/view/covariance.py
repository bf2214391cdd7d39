"""The figure of a covariance: semivariogram and covariance of the pairs, and the model of both."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from mimtpy_cloud.kernels.semivariogram import model_semivariance
from mimtpy_cloud.ops.covariance import covariance_model
from mimtpy_cloud.schema import require_variables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mimtpy_cloud.kernels.covariance import CovarianceModel

__all__ = ["plot_covariance"]

_POINT, _MODEL, _MARK = "#0072b2", "#d55e00", "0.45"


def plot_covariance(estimate: xr.Dataset, *, title: str = "") -> "Figure":
    """
    Draw the semivariance and the covariance of pairs by distance, with the model of both.

    Parameters
    ----------
    estimate : xr.Dataset
        As `estimate_covariance` gives it, lazy or not.
    title : str
        Above the panels.

    Returns
    -------
    matplotlib.figure.Figure
        Variances in mm^2 or (mm/yr)^2 if the map is in m or m/yr. Sill, range and nugget are marked.

    Raises
    ------
    SchemaError
        If it is none, or has no model as it had too few pixels.

    See Also
    --------
    mimtpy_cloud.ops.covariance.estimate_covariance : What is drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    require_variables("the estimate", estimate, "distance", "semivariance", "covariance", "pairs", "variance")
    found = estimate.compute()
    model = covariance_model(found)
    unit, factor = _shown(str(found["semivariance"].attrs.get("units", "1")))
    figure = Figure(figsize=(10.5, 4.3), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharex=True)
    known = found["pairs"].values > 0
    h = found["distance"].values[known]
    fine = np.linspace(h[-1] / 1e4, 1.03 * h[-1], 600)
    rising = model_semivariance(fine, model.sill, model.range_km, model.nugget, kind=model.kind)
    curves = {"semivariance": rising, "covariance": model.at(fine)}
    for ax, (name, curve) in zip(panels, curves.items(), strict=True):
        ax.plot(h, factor * found[name].values[known], "o", ms=4, color=_POINT, label="pairs of pixels")
        ax.plot(fine, factor * curve, color=_MODEL, lw=1.6, label=f"{model.kind} model")
        ax.set(xlabel="distance [km]", ylabel=f"{name} [{unit}]", xlim=(0, fine[-1]))
        ax.grid(color="0.93", lw=0.5)
    panels[0].set_ylim(bottom=0)
    panels[0].set_title(f"semivariogram of {found['pairs'].values.sum():.2g} pairs", fontsize="medium")
    panels[1].set_title("covariance: variance less semivariance", fontsize="medium")
    _mark_semivariogram(panels[0], model, factor, unit)
    _mark_covariance(panels[1], model, factor)
    panels[0].legend(loc="lower right", fontsize="small", framealpha=0.9, edgecolor="none")
    panels[1].legend(loc="upper right", fontsize="small", framealpha=0.9, edgecolor="none")
    figure.suptitle(title)
    return figure


def _shown(units: str) -> tuple[str, float]:
    """Unit of variances in the figure, and its factor."""
    return {"(m/yr)^2": ("(mm/yr)$^2$", 1e6), "(m)^2": ("mm$^2$", 1e6)}.get(units, (units, 1.0))


def _mark_semivariogram(ax: "Axes", model: "CovarianceModel", factor: float, unit: str) -> None:
    """Lines at the nugget, at nugget and sill, and at the range, with their numbers."""
    right = ax.get_xlim()[1]
    nugget, top = factor * model.nugget, factor * model.variance
    ax.set_ylim(top=1.2 * max(top, ax.get_ylim()[1] / 1.2))
    for level, text, side in (
        (nugget, f"nugget {nugget:.3g} {unit}", "top" if nugget > 0.15 * top else "bottom"),
        (top, f"nugget + sill {top:.3g} {unit} (sill {factor * model.sill:.3g})", "bottom"),
    ):
        ax.axhline(level, color=_MARK, lw=0.8, ls="--")
        ax.annotate(
            text, (0.985 * right, level), (0, 2 if side == "bottom" else -2), "data", "offset points",
            va=side, ha="right", fontsize="small", color="0.25",
        )  # fmt: skip
    _mark_range(ax, model)


def _mark_covariance(ax: "Axes", model: "CovarianceModel", factor: float) -> None:
    """A cross at the variance of a pixel, lines at zero and at the range."""
    ax.axhline(0.0, color="0.3", lw=0.8)
    ax.plot(
        [0], [factor * model.variance], "x", color=_MODEL, ms=8, mew=1.8, clip_on=False, label="sill + nugget, at 0"
    )
    ax.plot([0], [factor * model.sill], "o", mfc="none", mec=_MODEL, ms=7, clip_on=False, label="sill, at 0")
    ax.set_ylim(top=1.08 * factor * model.variance)
    _mark_range(ax, model)


def _mark_range(ax: "Axes", model: "CovarianceModel") -> None:
    inside = model.range_km < 0.8 * ax.get_xlim()[1]
    if inside:
        ax.axvline(model.range_km, color=_MARK, lw=0.8, ls=":")
    at = model.range_km if inside else 0.8 * ax.get_xlim()[1]
    ax.annotate(
        f"range {model.range_km:.3g} km" + ("" if inside else " $\\rightarrow$"),
        (at, 0.5), (4, 0), ("data", "axes fraction"), "offset points", va="center", fontsize="small", color="0.25",
    )  # fmt: skip
