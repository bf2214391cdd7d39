"""Compare a product with GNSS stations: residuals, one offset, regression, and differences of pairs by distance."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import ReferencePointError, SchemaError
from mimtpy_cloud.kernels import validation as kernel
from mimtpy_cloud.ops.pixels import pixels_at
from mimtpy_cloud.ops.plate import stations_less_plate
from mimtpy_cloud.ops.select import grid_of
from mimtpy_cloud.ops.stations import mean_around, project_stations, require_odd_window
from mimtpy_cloud.plan.frames import is_global_frame, is_plate_frame
from mimtpy_cloud.schema import require_dims, require_variables

__all__ = ["LEFT_OUT", "REACH", "REQUIREMENTS", "compare_gnss"]

#: What a pair of stations may differ by in m/yr, over 0.1 to 50 km: one standard deviation.
REQUIREMENTS = {"OPERA": 5e-3, "NISAR": 2e-3}
#: Distances in km over which they hold, and the edges of the classes of distance.
REACH = (0.1, 50.0)
_EDGES = (0.1, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 75.0, 100.0, 150.0, 200.0, 250.0, 300.0)
#: Why a station does not count, by its number in `left_out`.
LEFT_OUT = ("used", "excluded", "without_velocity", "without_pixels")
_USED, _EXCLUDED, _WITHOUT_VELOCITY, _WITHOUT_PIXELS = range(4)
_COMPONENTS = ("east", "north", "horizontal", "up")
_MOTION = ("east", "north", "up")
_UNITS = "m/yr"
_UNITLESS = ("count", "slope", "slope_std", "correlation", "chi2")
_LONG_NAMES = {
    "count": "stations compared",
    "offset": "robust constant of the residual",
    "offset_std": "standard deviation of the offset",
    "noise": "robust noise of the residual beyond the standard deviations of both",
    "median": "median residual",
    "mad": "median absolute deviation of the residual from its median",
    "rms": "root mean square of the residual",
    "rms_after": "root mean square of the residual after the offset",
    "slope": "slope of the product against the stations, errors in both",
    "slope_std": "standard deviation of the slope",
    "intercept": "product where the stations do not move, by the regression",
    "intercept_std": "standard deviation of the intercept",
    "correlation": "Pearson's correlation of product and stations",
    "chi2": "reduced chi squared of the residual after the offset",
}
#: Attributes of the product that the result keeps.
_FACTS = (
    "sensor",
    "track",
    "tracks",
    "product",
    "project",
    "orbit_direction",
    "start_date",
    "end_date",
    "azimuth",
    "source",
    "sources",
    "adjusted",
    "ramp_removed",
    "plate_motion",
    "reference_point",
    "reference_frame",
)


def compare_gnss(
    product: xr.Dataset,
    stations: xr.Dataset,
    *,
    components: Sequence[str] | None = None,
    window: int = 1,
    up: str = "drop",
    exclude: Iterable[str] = (),
    edges_km: Sequence[float] = _EDGES,
) -> xr.Dataset:
    """
    Compare a product with the velocities of GNSS stations.

    Parameters
    ----------
    product : xr.Dataset
        Velocity of a track or mosaic with look vectors, or a decomposition with some of `east`, `north`, `up` and
        `horizontal` (attribute ``azimuth``, degrees clockwise from north), in m/yr. Standard deviations (``_std``) are
        used if it has them.
    stations : xr.Dataset
        As `mimtpy_cloud.io.gnss.read_stations` gives it.
    components : sequence of str, optional
        Which of ``"los"``, ``"east"``, ``"north"``, ``"horizontal"``, ``"up"``; all that the product has by default.
    window : int
        Odd side in pixels of the square around a station whose usable pixels are averaged.
    up : {"drop", "zero"}
        What becomes, in the line of sight, of a station without vertical velocity.
    exclude : iterable of str
        Stations that shall not count, such as those that the product was tied to.
    edges_km : sequence of float
        Edges of the classes of distance between stations; pairs beyond are left out.

    Returns
    -------
    xr.Dataset
        Lazy if the product is; building it reads no pixel. All in m/yr unless said.

        On `component` and `station` (those in the grid): `observed`, `observed_std` and `observed_count` (pixels) of
        the product; `expected` and `expected_std` of the station; `residual`, observed minus expected, and
        `residual_after` the offset; `left_out`, number of the reason in `LEFT_OUT`, 0 for those that count.

        On `component`: `count`, `offset` with `offset_std`, `noise`, `median`, `mad`, `rms`, `rms_after`, `slope` and
        `intercept` with their ``_std``, `correlation`, `chi2`; see `summarise_residuals`.

        On `pair`, two stations within the classes of distance: `pair_difference` (component, pair), absolute difference
        of their residuals, with `distance_km`, `first` and `second` (names). `bin_rms` and `bin_count` (component,
        bin) between `bin_edge` (edge, km), and `bin_within` (component, requirement, bin), the share of the pairs that
        differ by at most `limit` (requirement); `within` (component, requirement) and `within_count` (component) of
        all pairs at 0.1 to 50 km, for which the requirements are.

        Attributes: `frame` of the stations, `product_frame`, `frame_note` on what an offset does not remove; `outside`,
        number of stations outside of the grid; `tied`, stations that the product was tied to and that count; `window`.
        Computing raises `ReferencePointError` if no station has a usable pixel.

    Raises
    ------
    SchemaError
        If the product has no such component, is not in m/yr, lacks the look vectors or the azimuth; a name to exclude
        is no station; the edges do not increase; or the stations lack a variable.
    ReferencePointError
        If no station lies in the grid, none of those is left, or the window is not odd and positive.

    See Also
    --------
    mimtpy_cloud.kernels.validation.summarise_residuals : The statistics.
    set_reference : With stations, removes the offset.

    Notes
    -----
    *Offset.* A product is relative, so that one constant a component says nothing of its quality. It is the robust one
    that `set_reference` subtracts (`fit_constant`), about which single bad stations have no say. Its standard deviation
    takes the stations as independent, though errors of a product are alike over some 10 km.

    *Regression.* Product and stations both have errors: York's line, robust, with the noise beyond the sigmas on the
    side of the product. Ordinary regression would give too small a slope. Where the stations hardly differ the slope
    says little, as its standard deviation tells.

    *Requirements.* OPERA asks displacement rates for 5 mm/yr or better over 0.1 to 50 km [1]_, NISAR for 2 mm/yr. They
    are read as one standard deviation: 68.3 % of the pairs in that range differ by no more, whatever their distance.
    The differences hold the errors of the stations and, within a pixel or so, motion that only one of both sees, which
    are not taken away. They are for the line of sight; for other components they are a yardstick only. Pairs that share
    a station are not independent. Their number grows with the square of that of the stations: 2000 in 300 km make 1.9
    million pairs, whose distances take some seconds when this is called; `edges_km` that end earlier make fewer.

    *Frames.* Tracks move with the terrestrial frame of their orbits, up to a constant. If a plate has been removed from
    the product and the stations are in a global frame, the same rotation is removed from the stations. Stations of a
    plate, or a ramp that was removed, leave differences that vary over the product; `frame_note` says so.

    References
    ----------
    .. [1] Bato, M. G. et al., OPERA Surface Displacement (DISP) validation tools,
       https://github.com/OPERA-Cal-Val/calval-DISP.
    """
    require_odd_window(window)
    if up not in ("drop", "zero"):
        raise SchemaError(f"up must be 'drop' or 'zero', got {up!r}")
    names = _components(product, components)
    edges = _checked_edges(edges_km)
    inside, excluded, outside = _stations_inside(product, stations, exclude)
    inside, frame = _same_plate(product, inside)
    parts = [_compare(product, inside, excluded, name, int(window), up) for name in names]
    table = xr.concat(parts, "component", coords="minimal", compat="override", combine_attrs="override")
    table = table.assign_coords(component=("component", np.array(names, dtype=object)))
    table = table.assign({name: v.chunk(component=-1) for name, v in table.items() if v.chunks is not None})
    result = _with_statistics(table, int(window))
    result = _with_pairs(result, edges)
    attrs = {key: product.attrs[key] for key in _FACTS if key in product.attrs}
    tied = [n for n in product.attrs.get("reference_stations", ()) if n in set(_names(inside)[~excluded])]
    note = _frame_note(product, str(stations.attrs.get("frame", "")), tied)
    return result.assign_attrs(
        frame=frame,
        product_frame=_product_frame(product),
        frame_note=note,
        stations=str(stations.attrs.get("source", "")),
        outside=outside,
        tied=tied,
        window=int(window),
        facts=attrs,
    )


# ---- what is compared ----------------------------------------------------------------------------


def _components(product: xr.Dataset, asked: Sequence[str] | None) -> list[str]:
    """Components that the product has, or those asked for; checked."""
    have = ["los"] if "velocity" in product else []
    have += [name for name in _COMPONENTS if name in product]
    if not have:
        has = ", ".join(map(str, product.data_vars))
        hint = "; stations have velocities, take estimate_velocity first" if "displacement" in product else ""
        raise SchemaError(f"the product needs velocity, or one of {', '.join(_COMPONENTS)}; it has {has}{hint}")
    names = have if asked is None else [asked] if isinstance(asked, str) else list(asked)
    if not names or set(names) - set(have) or len(set(names)) < len(names):
        raise SchemaError(f"components must be some of {', '.join(have)}, each once, got {', '.join(names) or 'none'}")
    for name in names:
        variable = product[_variable(name)]
        require_dims(_variable(name), variable.dims, "y", "x")
        if (units := variable.attrs.get("units", _UNITS)) != _UNITS:
            raise SchemaError(f"{_variable(name)} must be in {_UNITS}, as the stations, got {units}; convert it first")
    if "horizontal" in names and product.attrs.get("azimuth") is None:
        raise SchemaError("a horizontal component needs the attribute azimuth, degrees clockwise from north")
    return names


def _variable(component: str) -> str:
    return "velocity" if component == "los" else component


def _checked_edges(edges: Sequence[float]) -> np.ndarray:
    values = np.asarray(edges, np.float64)
    if values.ndim != 1 or values.size < 2 or not (np.diff(values) > 0).all() or values[0] < 0:
        raise SchemaError(f"edges_km must be two or more increasing distances in km, got {edges!r}")
    return values


def _names(stations: xr.Dataset) -> np.ndarray:
    return stations["station"].to_numpy().astype(str)


def _stations_inside(
    product: xr.Dataset, stations: xr.Dataset, exclude: Iterable[str]
) -> tuple[xr.Dataset, np.ndarray, int]:
    """Stations in the grid with all variables, which of them are excluded, and how many lie outside."""
    if not isinstance(stations, xr.Dataset):
        raise SchemaError(f"stations must be a dataset, as read_stations gives it, got {stations!r}")
    require_variables("the stations", stations.variables, "station", *_MOTION, "lon", "lat")
    unwanted = {exclude} if isinstance(exclude, str) else set(exclude)
    if unknown := sorted(unwanted - set(_names(stations))):
        raise SchemaError(f"no station is called {', '.join(unknown)}; exclude those that the table has")
    *_, within = pixels_at(product, stations["lon"].to_numpy(), stations["lat"].to_numpy())
    inside = stations.isel(station=np.flatnonzero(within))
    excluded = np.isin(_names(inside), sorted(unwanted))
    if excluded.all():
        bounds = ", ".join(f"{v:.6g}" for v in grid_of(product).bounds)
        left = f" but the {excluded.size} excluded" if excluded.size else ""
        raise ReferencePointError(
            f"none of the {within.size} stations{left} lies in the grid [{bounds}]; give stations of this area"
        )
    sigmas = {f"{n}_std": inside.get(f"{n}_std", xr.full_like(inside[n], np.nan)) for n in _MOTION}
    return inside.assign(sigmas), excluded, int((~within).sum())


def _same_plate(product: xr.Dataset, stations: xr.Dataset) -> tuple[xr.Dataset, str]:
    """Remove from stations of a global frame the motion that has been removed from the product."""
    frame = str(stations.attrs.get("frame", ""))
    removed = product.attrs.get("plate_motion")
    if not isinstance(removed, Mapping) or not is_global_frame(frame):
        return stations, frame
    return stations_less_plate(stations, product), f"{frame} without motion of {removed['plate']}"


def _compare(
    product: xr.Dataset, stations: xr.Dataset, excluded: np.ndarray, component: str, window: int, up: str
) -> xr.Dataset:
    """One component: what the product and the stations say, and which stations count."""
    name = _variable(component)
    rows, cols, _ = pixels_at(product, stations["lon"].to_numpy(), stations["lat"].to_numpy())
    observed, count = mean_around(product, name, rows, cols, window)
    spread = f"{name}_std"
    observed_std = mean_around(product, spread, rows, cols, window)[0] if spread in product else observed * np.nan
    expected, expected_std, known = _expected(product, stations, component, up)
    good = known & ~excluded
    expected = expected.where(xr.DataArray(known, dims="station"))
    reason = np.where(excluded, _EXCLUDED, np.where(known, _USED, _WITHOUT_VELOCITY))
    lacking = (observed.isnull() | expected.isnull()) & xr.DataArray(good, dims="station")
    left_out = xr.DataArray(reason, dims="station").where(~lacking, _WITHOUT_PIXELS).astype(np.int8)
    residual = (observed - expected).where(left_out == _USED)
    data = {
        "observed": (observed, f"velocity of the product, mean of {window} x {window} pixels"),
        "observed_std": (observed_std, "standard deviation of a pixel of the product"),
        "expected": (expected, "velocity of the station"),
        "expected_std": (expected_std, "standard deviation of the velocity of the station"),
        "residual": (residual, "residual, product minus station"),
    }
    arrays = {
        key: value.reset_coords(drop=True).astype(np.float64).assign_attrs(units=_UNITS, long_name=text)
        for key, (value, text) in data.items()
    }
    arrays["observed_count"] = count.assign_attrs(units="1", long_name="pixels averaged")
    flags = {"flag_values": list(range(len(LEFT_OUT))), "flag_meanings": " ".join(LEFT_OUT)}
    arrays["left_out"] = left_out.assign_attrs(units="1", long_name="why the station does not count", **flags)
    places = {key: ("station", stations[key].to_numpy(), stations[key].attrs) for key in ("lon", "lat")}
    bare = xr.Dataset({key: _bare(value) for key, value in arrays.items()})
    return bare.assign_coords({"station": _names(stations).astype(object), **places})


def _expected(
    product: xr.Dataset, stations: xr.Dataset, component: str, up: str
) -> tuple[xr.DataArray, xr.DataArray, np.ndarray]:
    """Velocity of the stations along a component, its standard deviation, and which stations have it."""
    known = {name: np.isfinite(stations[name].to_numpy()) for name in _MOTION}
    flat = known["east"] & known["north"]
    if component == "los":
        motion = {name: stations[name].fillna(0.0) for name in _MOTION}
        motion["up_std"] = stations["up_std"].where(stations["up"].notnull(), 0.0)
        seen = project_stations(product, stations.assign(motion))
        return _bare(seen["los"]), _bare(seen["los_std"]), flat & known["up"] if up == "drop" else flat
    if component == "horizontal":
        azimuth = np.deg2rad(float(product.attrs["azimuth"]))
        parts = {"east": np.sin(azimuth), "north": np.cos(azimuth)}
        value = xr.DataArray(sum(stations[name] * part for name, part in parts.items()))
        variance = xr.DataArray(sum((stations[f"{name}_std"] * part) ** 2 for name, part in parts.items()))
        return _bare(value), _bare(variance**0.5), flat
    return _bare(stations[component]), _bare(stations[f"{component}_std"]), known[component]


def _bare(array: xr.DataArray) -> xr.DataArray:
    return array.drop_vars(list(array.coords))


# ---- numbers -------------------------------------------------------------------------------------


def _with_statistics(table: xr.Dataset, window: int) -> xr.Dataset:
    names = ("observed", "expected", "observed_std", "expected_std")
    used = table["left_out"] == _USED
    numbers = xr.apply_ufunc(
        _summarise_or_refuse,
        *(_bare(table[name].where(used)) for name in names),
        kwargs={"window": window},
        input_core_dims=[["component", "station"]] * len(names),
        output_core_dims=[["component", "statistic"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"statistic": len(kernel.STATISTICS)}},
    )
    for k, name in enumerate(kernel.STATISTICS):
        value = numbers.isel(statistic=k)
        units = "1" if name in _UNITLESS else _UNITS
        value = value.astype(np.int64) if name == "count" else value
        table[name] = value.assign_attrs(units=units, long_name=_LONG_NAMES[name])
    after = table["residual"] - table["offset"]
    table["residual_after"] = after.assign_attrs(units=_UNITS, long_name="residual after the offset of its component")
    return table


def _summarise_or_refuse(
    observed: np.ndarray, expected: np.ndarray, observed_std: np.ndarray, expected_std: np.ndarray, *, window: int
) -> np.ndarray:
    parts = zip(observed, expected, observed_std, expected_std, strict=True)
    found = np.array([kernel.summarise_residuals(*part) for part in parts])
    if found.size and not found[:, 0].any():
        raise ReferencePointError(
            f"none of the {observed.shape[1]} stations in the grid has a velocity and a usable pixel in its window of "
            f"{window}; choose a wider window"
        )
    return found


def _with_pairs(table: xr.Dataset, edges: np.ndarray) -> xr.Dataset:
    """Differences of pairs whose distance lies between the edges, and their summary."""
    first, second, distance = _pairs(table["lon"].to_numpy(), table["lat"].to_numpy(), edges)
    residual = _bare(table["residual"])
    at = [residual.isel(station=xr.DataArray(part, dims="pair")) for part in (first, second)]
    difference = abs(at[0] - at[1])
    if not first.size:  # dask has no blocks of nothing
        difference = difference.copy(data=np.empty(difference.shape))
    elif difference.chunks is not None:
        difference = difference.chunk(component=-1, pair=-1)
    limits = np.array(list(REQUIREMENTS.values()))
    across = [["component", "bin"], ["component", "bin"], ["component", "requirement", "bin"]]
    rms, count, share, within, within_count = xr.apply_ufunc(
        kernel.summarise_pairs,
        difference,
        kwargs={"distance_km": distance, "edges": edges, "limits": limits, "reach": REACH},
        input_core_dims=[["component", "pair"]],
        output_core_dims=[*across, ["component", "requirement"], ["component"]],
        dask="parallelized",
        output_dtypes=[np.float64, np.int64, np.float64, np.float64, np.int64],
        dask_gufunc_kwargs={"output_sizes": {"bin": edges.size - 1, "requirement": limits.size}},
    )
    names = table["station"].to_numpy()
    what = "share of the pairs that differ by no more than the limit"
    return table.assign(
        pair_difference=_labelled(difference, _UNITS, "absolute difference of the residuals of two stations"),
        bin_rms=_labelled(rms, _UNITS, "root mean square of the differences of pairs, by distance"),
        bin_count=_labelled(count, "1", "pairs, by distance"),
        bin_within=_labelled(share, "1", f"{what}, by distance"),
        within=_labelled(within, "1", f"{what}, {REACH[0]:g} to {REACH[1]:g} km"),
        within_count=_labelled(within_count, "1", f"pairs, {REACH[0]:g} to {REACH[1]:g} km"),
        limit=("requirement", limits, {"units": _UNITS, "long_name": "difference that 68.3 % of the pairs may have"}),
        bin_edge=("edge", edges, {"units": "km", "long_name": "edges of the classes of distance"}),
    ).assign_coords(
        requirement=np.array(list(REQUIREMENTS), dtype=object),
        first=("pair", names[first]),
        second=("pair", names[second]),
        distance_km=("pair", distance, {"units": "km", "long_name": "geodesic distance of two stations"}),
    )


def _labelled(array: xr.DataArray, units: str, long_name: str) -> xr.DataArray:
    return array.assign_attrs(units=units, long_name=long_name)


def _pairs(lon: np.ndarray, lat: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of stations within the edges, and their distance in km."""
    from pyproj import Geod

    first, second = np.triu_indices(lon.size, 1)
    if not first.size:
        return first, second, np.empty(0)
    *_, metres = Geod(ellps="WGS84").inv(lon[first], lat[first], lon[second], lat[second])
    distance = np.asarray(metres) / 1000
    near = (distance >= edges[0]) & (distance <= edges[-1])
    return first[near], second[near], distance[near]


# ---- frames --------------------------------------------------------------------------------------


def _product_frame(product: xr.Dataset) -> str:
    """What the velocities of the product are relative to."""
    attrs = product.attrs
    if attrs.get("reference_frame"):
        frame = str(attrs["reference_frame"])
    elif attrs.get("reference_polygon"):
        frame = "relative to a polygon"
    elif (point := attrs.get("reference_point")) is not None:
        frame = "relative to the point {:.6g} {:.6g}".format(*point)
    else:
        frame = "relative to an unknown place"
    removed = attrs.get("plate_motion")
    return f"{frame}, without motion of {removed['plate']}" if isinstance(removed, Mapping) else frame


def _frame_note(product: xr.Dataset, frame: str, tied: Sequence[str]) -> str:
    """What the frames of both leave in the residuals; "" if nothing."""
    attrs, notes = product.attrs, []
    own, removed = str(attrs.get("reference_frame") or ""), attrs.get("plate_motion")
    if not frame:
        notes.append("the table does not say the frame of the stations")
    elif is_plate_frame(frame) and not (removed or own):
        notes.append(
            f"the stations move with a plate ({frame}), the product does not: the plate leaves a ramp, of some mm/yr "
            "across a track, which one offset hides only in the mean (remove_plate_motion)"
        )
    elif is_plate_frame(frame) and isinstance(removed, Mapping):
        notes.append(
            f"the product moves with {removed['plate']}, the stations with the plate of {frame}: if these are two, "
            "they differ by a rotation"
        )
    elif own and own != frame and not (removed and is_global_frame(own)):
        notes.append(f"the product is in {own}, the stations in {frame}: frames differ by more than an offset")
    if not own:
        notes.append(
            f"the product is {_product_frame(product)}: the offset holds the motion of that place, and only the "
            "residual after it can be judged"
        )
    if is_global_frame(frame) and not (own or removed):
        notes.append(
            f"plates move in {frame}: if the motion of one was taken out of the product, and it does not say so, its "
            "rotation is in the residual"
        )
    if "ramp_removed" in attrs:
        notes.append("a ramp was removed from the product, and with it motion that the stations have")
    if tied:
        notes.append(f"{len(tied)} of the stations were used to tie the product, and are no independent check of it")
    return "; ".join(notes)
