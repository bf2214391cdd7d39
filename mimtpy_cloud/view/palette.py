"""Values of a picture as they are coloured, with the ticks and the label of their bar, for either backend."""

import dataclasses
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mimtpy_cloud.kernels.fringe import fringe
from mimtpy_cloud.view.colours import DIVERGING, Shading, Steps, symlog_norm, symlog_ticks

if TYPE_CHECKING:
    from mimtpy_cloud.view.picture import Picture, Style

__all__ = ["FLAG_COLOURS", "Palette", "palette_of"]

#: Of False and of True.
FLAG_COLOURS = ("#bdbdbd", "#2166ac")


@dataclass(frozen=True)
class Palette:
    """
    Values and their colours.

    Parameters
    ----------
    values : np.ndarray
        Shape ``(y, x)``, in the unit shown, within the colours; NaN is no data.
    norm : matplotlib.colors.Normalize
        From values to the colours.
    cmap : matplotlib.colors.Colormap
        The colours.
    limits : tuple of float
        Ends of the bar.
    extend : {"neither", "min", "max", "both"}
        Where values lie beyond them.
    ticks : tuple of float
        Of the bar; empty where they are free.
    labels : tuple of str
        What stands at the ticks.
    says : tuple of str
        Quantity with its unit, and its convention.
    is_steps : bool
        Whether each value has its own colour.
    """

    values: np.ndarray
    norm: Any
    cmap: Any
    limits: tuple[float, float]
    extend: str
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    says: tuple[str, ...]
    is_steps: bool = False


def palette_of(picture: "Picture", style: "Style") -> Palette:
    """
    Colour a picture.

    Parameters
    ----------
    picture : Picture
        Values.
    style : Style
        Choices of the user.

    Returns
    -------
    Palette

    Raises
    ------
    SchemaError
        If a choice does not fit the values.
    """
    if picture.values.dtype == bool:
        what = picture.what.partition(", ")[0] or "true"
        return _stepped(picture, Steps(0, FLAG_COLOURS, (f"not {what}", what)), ())
    steps = style.steps(picture)
    if steps is not None:
        return _stepped(picture, steps, _says(picture, ""))
    return _continuous(picture, style, style.shade(picture))


def _continuous(picture: "Picture", style: "Style", shade: Shading) -> Palette:
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    values = picture.values.astype("float64") * shade.factor
    if style.wrap:
        values = fringe(values, picture.wavelength_in(shade.unit))
    centred = shade.cmap == DIVERGING and shade.low < 0 < shade.high  # white is zero, whatever the limits
    most = max(-shade.low, shade.high)
    whole = dataclasses.replace(shade, low=-most, high=most) if centred else shade
    norm = symlog_norm(whole) if style.symlog else Normalize(whole.low, whole.high)
    below, above = bool((values < shade.low).any()), bool((values > shade.high).any())
    if centred and shade.low != -shade.high:  # colours end where the bar does
        values = np.clip(values, shade.low, shade.high)
    colours = colormaps[shade.cmap]
    ticks = tuple(symlog_ticks(shade)) if style.symlog else ()
    return Palette(
        values,
        norm,
        colours.with_extremes(under=colours(norm(shade.low)), over=colours(norm(shade.high))),
        (shade.low, shade.high),
        ("both" if above else "min") if below else ("max" if above else "neither"),
        ticks,
        tuple(f"{tick:g}".replace("-", "\N{MINUS SIGN}") for tick in ticks),
        _says(picture, shade.unit, ", one fringe" if style.wrap else ""),
    )


def _stepped(picture: "Picture", steps: Steps, says: tuple[str, ...]) -> Palette:
    from matplotlib.colors import BoundaryNorm, ListedColormap

    edges = np.arange(steps.low - 0.5, steps.low + len(steps.colours) + 0.5)
    return Palette(
        np.clip(picture.values.astype("float64"), edges[0], edges[-1] - 0.5),
        BoundaryNorm(edges, len(steps.colours)),
        ListedColormap(steps.colours),
        (float(edges[0]), float(edges[-1])),
        "neither",
        tuple((edges[:-1] + 0.5).tolist()),
        tuple(textwrap.fill(label, 14) for label in steps.labels),
        says,
        is_steps=True,
    )


def _says(picture: "Picture", unit: str, more: str = "") -> tuple[str, ...]:
    """Quantity and unit, then its convention."""
    what, _, convention = picture.what.partition(", ")
    shown = f" [{unit}]" if unit not in ("", "1") else ""
    return tuple(part for part in (f"{what}{more}{shown}", convention) if part)
