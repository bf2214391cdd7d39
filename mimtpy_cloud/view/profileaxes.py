"""What figures of profiles share: the choice of variables, units, names and sides."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.schema import require_dims, require_variables
from mimtpy_cloud.view.colours import is_signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "axis_label",
    "chosen_variables",
    "draw_sides",
    "name_of_profile",
    "new_page",
    "require_same",
    "shown_unit",
    "words_of",
]

#: What is drawn by default: the first of these, and up.
_FIRST = ("fault_parallel", "velocity", "east", "displacement")
_COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


def chosen_variables(profiles: xr.Dataset, variables: str | Sequence[str] | None) -> list[str]:
    """
    Choose what a figure of profiles shows.

    Parameters
    ----------
    profiles : xr.Dataset
        Profiles.
    variables : str or sequence of str, optional
        As for `plot_transects`.

    Returns
    -------
    list of str

    Raises
    ------
    SchemaError
        If there is no profile, a variable is missing, or units differ.
    """
    require_variables("a dataset of profiles", profiles.variables, "distance_km")
    if not profiles.sizes.get("profile"):
        raise SchemaError("a figure needs at least one profile, got none")
    if variables is None:
        names = [name for name in _FIRST if name in profiles][:1] + ["up"] * ("up" in profiles)
        if not names:
            raise SchemaError(f"which variable to draw? The profiles have {', '.join(map(str, profiles.data_vars))}")
    else:
        names = [variables] if isinstance(variables, str) else list(variables)
    require_variables("a dataset of profiles", profiles.data_vars, *names)
    for name in names:
        require_dims(name, profiles[name].dims, "profile", "distance")
    units = {str(profiles[name].attrs.get("units", "")) for name in names}
    if len(units) > 1:
        raise SchemaError(
            f"{', '.join(names)} share an axis but have units {', '.join(sorted(units))}; draw them apart"
        )
    return names


def shown_unit(values: xr.DataArray) -> tuple[str, float]:
    """
    Choose the unit of an axis, and its factor.

    Parameters
    ----------
    values : xr.DataArray
        With attribute ``units``.

    Returns
    -------
    str, float

    Examples
    --------
    >>> shown_unit(xr.DataArray(0.0, attrs={"units": "m/yr"}))
    ('mm/yr', 1000.0)
    """
    units = str(values.attrs.get("units", "1"))
    return {"m/yr": ("mm/yr", 1e3), "m": ("cm", 1e2)}.get(units, (units, 1.0))


def new_page(width: float, height: float) -> "Figure":
    """
    Make an empty figure that arranges its panels.

    Parameters
    ----------
    width, height : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def name_of_profile(profiles: xr.Dataset, i: int) -> str:
    """
    Name a profile by number, place and strike.

    Parameters
    ----------
    profiles : xr.Dataset
        Profiles.
    i : int
        Number, from 0.

    Returns
    -------
    str
        Numbered from 1.
    """
    words = [f"profile {int(profiles['profile'][i]) + 1}"]
    if "fault_lon" in profiles.coords:
        lon, lat = float(profiles["fault_lon"][i]), float(profiles["fault_lat"][i])
        words.append(f"{abs(lon):.2f}°{'E' if lon >= 0 else 'W'} {abs(lat):.2f}°{'N' if lat >= 0 else 'S'}")
    if "strike" in profiles.coords:
        words.append(f"strike {float(profiles['strike'][i]):.0f}°")
    return ", ".join(words)


def draw_sides(ax: "Axes", profiles: xr.Dataset, i: int, *, top: bool) -> None:
    """
    Write the points of the compass at both ends of a profile, where its strike is known.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Changed.
    profiles : xr.Dataset
        Profiles.
    i : int
        Number, from 0.
    top : bool
        In the upper corners, else in the lower ones.
    """
    if "strike" not in profiles.coords:
        return
    right = float(profiles["strike"][i]) + (-90.0 if profiles.attrs.get("flip") else 90.0)
    point = round(right / 45.0)
    y, va = (0.98, "top") if top else (0.02, "bottom")
    for text, x, ha in ((_COMPASS[(point + 4) % 8], 0.015, "left"), (_COMPASS[point % 8], 0.985, "right")):
        ax.text(x, y, text, transform=ax.transAxes, ha=ha, va=va, fontweight="bold", color="0.35")


def words_of(name: str) -> str:
    """
    Write the name of a variable as words.

    Parameters
    ----------
    name : str
        With underscores.

    Returns
    -------
    str
    """
    return name.replace("_", " ")


def axis_label(names: Sequence[str], unit: str) -> str:
    """
    Name an axis that variables share.

    Parameters
    ----------
    names : sequence of str
        Variables of one unit.
    unit : str
        As it is shown.

    Returns
    -------
    str
        Of several the quantity that they are of.

    Examples
    --------
    >>> axis_label(["fault_parallel"], "mm/yr"), axis_label(["east", "up"], "mm/yr"), axis_label(["east", "up"], "cm")
    ('fault parallel [mm/yr]', 'velocity [mm/yr]', 'displacement [cm]')
    """
    if len(names) == 1:
        label = words_of(names[0])
    elif unit.endswith("/yr"):
        label = "velocity"
    else:
        label = "displacement" if all(is_signed(name, "", unit, np.empty(0)) for name in names) else "values"
    return f"{label} [{unit}]" if unit not in ("", "1") else label


def require_same(profiles: xr.Dataset, fits: xr.Dataset | None) -> None:
    """
    Check that fits are as many as profiles.

    Parameters
    ----------
    profiles : xr.Dataset
        Profiles.
    fits : xr.Dataset, optional
        As `mimtpy_cloud.ops.transectfit.fit_transects` gives them.

    Raises
    ------
    SchemaError
        If they are not.
    """
    if fits is not None and fits.sizes.get("profile") != profiles.sizes["profile"]:
        raise SchemaError(
            f"fits belong to these profiles: got {fits.sizes.get('profile', 0)} fits of {profiles.sizes['profile']}"
        )
