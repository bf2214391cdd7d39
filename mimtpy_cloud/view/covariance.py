"""The figure of a covariance: semivariogram and covariance of the pairs, and the model of both."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from mimtpy_cloud.kernels.semivariogram import model_semivariance
from mimtpy_cloud.ops.covariance import covariance_model
from mimtpy_cloud.schema import require_variables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    nugget, top = factor * model.nugget, factor * model.variance
    panels[0].axhline(top, color=_MARK, lw=1, ls="--", label=f"sill {factor * model.sill:.3g} {unit}, from nugget up")
    panels[0].axhline(nugget, color=_MARK, lw=1, ls="-.", label=f"nugget {nugget:.3g} {unit}")
    panels[0].set_ylim(0, 1.12 * max(top, panels[0].dataLim.ymax))
    panels[0].set_title(f"semivariogram of {found['pairs'].values.sum():.2g} pairs", fontsize="medium")
    panels[1].axhline(0.0, color="0.3", lw=0.8)
    panels[1].plot([0], [top], "x", color=_MODEL, ms=8, mew=1.8, clip_on=False, label=f"one pixel: {top:.3g} {unit}")
    panels[1].set_ylim(top=1.08 * max(top, panels[1].dataLim.ymax))
    panels[1].set_title("covariance: variance less semivariance", fontsize="medium")
    for ax, corner in zip(panels, ("lower right", "upper right"), strict=True):
        beyond = ", beyond the pairs" if model.range_km > fine[-1] else ""
        ax.axvline(model.range_km, color=_MARK, lw=1, ls=":", label=f"range {model.range_km:.3g} km{beyond}")
        ax.legend(loc=corner, fontsize="small", framealpha=0.95, edgecolor="none")
    figure.suptitle(title)
    return figure


def _shown(units: str) -> tuple[str, float]:
    """Unit of variances in the figure, and its factor."""
    return {"(m/yr)^2": ("(mm/yr)$^2$", 1e6), "(m)^2": ("mm$^2$", 1e6)}.get(units, (units, 1.0))
