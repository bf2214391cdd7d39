"""Slip rates and locking depths of faults from profiles across them, and how much they depend on the datum."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.screwfit import (
    CHOICES,
    MODELS,
    ScrewFit,
    ScrewModel,
    fit_screw,
    pooled_std,
    profile_covariance,
    screw_velocity,
)
from mimtpy_cloud.schema import require_dims, require_variables

__all__ = ["fit_transects", "predict_transects"]

_METRES = 1000.0
#: Depth that belongs to each rate, and what both are.
_DEPTHS = {"slip_rate": "locking_depth", "creep_rate": "creep_depth", "second_slip_rate": "second_locking_depth"}
_SAYS = {
    "slip_rate": "slip rate below the locking depth, right-lateral positive",
    "locking_depth": "depth above which the fault is locked",
    "creep_rate": "slip rate near the surface, right-lateral positive",
    "creep_depth": "depth down to which the fault creeps",
    "second_slip_rate": "slip rate of the second fault, right-lateral positive",
    "second_locking_depth": "depth above which the second fault is locked",
    "offset": "velocity on the fault",
}


@dataclass(frozen=True)
class _Options:
    """What all profiles share."""

    kind: str
    depth_range: tuple[float, float]
    creep_range: tuple[float, float]
    range_m: float
    near: float
    sign: float

    def model(self, second_km: float) -> ScrewModel:
        """Model of one profile, whose axis points to the left of the strike."""
        return ScrewModel(self.kind, self.depth_range, self.creep_range, self.sign * second_km * _METRES)

    @property
    def names(self) -> list[str]:
        """Parameters, in the order of the numbers."""
        rates = MODELS[self.kind]
        return [*rates, *(_DEPTHS[rate] for rate in rates), "offset"]


def fit_transects(
    profiles: xr.Dataset,
    variable: str = "fault_parallel",
    *,
    model: str = "screw",
    correlation_km: float | None = None,
    std: float | xr.DataArray | None = None,
    depth_range_km: tuple[float, float] = (1.0, 50.0),
    creep_depth_range_km: tuple[float, float] = (0.5, 15.0),
    second_fault_km: float | xr.DataArray | None = None,
    near_km: float = 5.0,
) -> xr.Dataset:
    """
    Fit a vertical strike-slip fault to each profile across it, for several choices of the datum.

    Parameters
    ----------
    profiles : xr.Dataset
        Profiles as `profile_across_fault` makes them, lazy or not: means in bins with dimensions ``(profile,
        distance)``, and `distance_km`, positive to the right of the strike (to the left with the attribute ``flip``).
    variable : str
        What is fitted, m/yr: motion along the strike, positive in its direction.
    model : {"screw", "creep", "two_faults"}
        ``"screw"``: locked above a depth. ``"creep"``: it also creeps from the surface to a shallower depth.
        ``"two_faults"``: two locked faults.
    correlation_km : float, optional
        Distance over which the correlation of the noise of bins falls to 1/e; by default the attribute
        ``correlation_km`` of the profiles, else bins are independent.
    std : float or xr.DataArray, optional
        Standard deviation of the noise of a bin in m/yr, one for all, or with dimensions of the profiles. By default
        from ``VARIABLE_std``, the scatter of the pixels of the bins, and ``VARIABLE_effective_count``, see
        `mimtpy_cloud.kernels.screwfit.pooled_std`.
    depth_range_km, creep_depth_range_km : tuple of float
        Least and greatest depth of locking and of creep, km.
    second_fault_km : float or xr.DataArray, optional
        Distance of the second fault, km, as `distance_km` counts; one for all, or on dimension ``profile``.
    near_km : float
        What the choice ``"far"`` leaves out on either side of the fault, km.

    Returns
    -------
    xr.Dataset
        Lazy if `profiles` are. On dimension ``profile`` for each parameter NAME the value and ``NAME_std``:
        `slip_rate` (m/yr), **positive if the fault is right-lateral**, whichever way the trace runs; `locking_depth`
        (m); `offset` (m/yr), the velocity on the fault; of model ``"creep"`` `creep_rate` and `creep_depth`, of
        ``"two_faults"`` `second_slip_rate` and `second_locking_depth`. `chi2` of a degree of freedom; `count` of bins;
        ``DEPTH_at_bound``, True where a depth ends at a limit of its range and only that is known of it. On dimensions
        ``(profile, choice)`` ``NAME_choice``, and over the choices ``NAME_spread``, their standard deviation, and
        ``NAME_range``, greatest less least, of the `choice_count` choices whose depths lie inside their ranges; of the
        others `choice_at_bound` is True. NaN of profiles with too few bins, or fewer than three on either side.

        The choices are, of the datum and the bins: ``offset``, a free constant, the one of the values above; ``slope``,
        a constant and a slope along the profile; ``left`` and ``right``, no constant, but data and model have mean zero
        in the outer third of that side; ``far``, a constant, without the bins within `near_km` of the fault;
        ``short``, a constant, without the outer third of both sides.

    Raises
    ------
    SchemaError
        If a variable or dimension is missing, it is no rate, or an option is not as above.

    See Also
    --------
    predict_transects : The curves of the result.
    mimtpy_cloud.kernels.screwfit.fit_screw : The fit of one profile.
    mimtpy_cloud.view.transects.plot_slip_rates : The figure.

    Notes
    -----
    ``v(x) = c + s / pi arctan(x / D)`` with x to the left of the strike [1]_; further terms as
    `mimtpy_cloud.kernels.screwfit.screw_velocity` says. Noise has the covariance ``std_i std_j exp(-d_ij / range)``.
    Rates and constant are solved by projection, depths by a grid and steps from its best node. A standard deviation
    is that of noise; the spread is what the datum and the choice of bins add. Where `chi2` is far above one, more than
    noise differs from the model. The fault is taken as straight and endless.

    References
    ----------
    .. [1] J. C. Savage and R. O. Burford, 1973, Geodetic determination of relative plate motion in central
       California, J. Geophys. Res. 78, 832-845, DOI 10.1029/JB078i005p00832.

    Examples
    --------
    A fault that strikes east; its right side, the south, moves back, so it is right-lateral:

    >>> x = np.arange(-50.0, 51.0, 2.0)
    >>> south = -0.020 / np.pi * np.arctan(x / 15.0)
    >>> data = {"fault_parallel": (("profile", "distance"), south[np.newaxis], {"units": "m/yr"})}
    >>> profiles = xr.Dataset(data, {"distance_km": ("distance", x)})
    >>> fits = fit_transects(profiles, std=1e-3)
    >>> round(float(fits["slip_rate"][0]), 6), round(float(fits["locking_depth"][0]))
    (0.02, 15000)
    """
    require_variables("a dataset of profiles", profiles.variables, variable, "distance_km")
    values = profiles[variable]
    require_dims(variable, values.dims, "profile", "distance")
    if values.attrs.get("units") != "m/yr":
        raise SchemaError(f"{variable} must be a rate in m/yr, got units {values.attrs.get('units')!r}")
    if correlation_km is None:
        correlation_km = float(profiles.attrs.get("correlation_km") or 0.0)
    options = _options(model, depth_range_km, creep_depth_range_km, correlation_km, near_km, _left(profiles))
    second = _second(second_fault_km, options, profiles)
    numbers = xr.apply_ufunc(
        _fit_profile,
        values,
        _noise(profiles, variable, std),
        profiles["distance_km"].variable,
        second,
        kwargs={"options": options},
        input_core_dims=[["distance"], ["distance"], ["distance"], []],
        output_core_dims=[["choice", "number"]],
        vectorize=True,
        dask="parallelized",
        dask_gufunc_kwargs={
            "output_sizes": {"choice": len(CHOICES), "number": _size(options)},
            "allow_rechunk": True,
        },
        output_dtypes=[np.float64],
    )
    kept = {name: coord for name, coord in profiles.coords.items() if coord.dims == ("profile",)}
    said = {"model": model, "variable": variable, "correlation_km": correlation_km}
    out = xr.Dataset(_labelled(numbers, options), kept, {**profiles.attrs, **said})
    if model == "two_faults":
        out["second_fault_km"] = second.assign_attrs(units="km", long_name="distance of the second fault")
    return out.assign_coords(choice=list(CHOICES))


def _left(profiles: xr.Dataset) -> float:
    """Sign of the distance to the left of the strike."""
    return 1.0 if profiles.attrs.get("flip") else -1.0


def _options(
    kind: str,
    depth_range_km: tuple[float, float],
    creep_depth_range_km: tuple[float, float],
    correlation_km: float,
    near_km: float,
    sign: float,
) -> _Options:
    """Check what all profiles share."""
    for name, value in (("correlation_km", correlation_km), ("near_km", near_km)):
        if not 0 <= value < math.inf:
            raise SchemaError(f"{name} must be finite and not negative, got {value}")
    ranges = []
    for name, pair in (("depth_range_km", depth_range_km), ("creep_depth_range_km", creep_depth_range_km)):
        if len(pair) != 2:
            raise SchemaError(f"{name} must be two numbers, least and greatest depth, got {pair!r}")
        ranges.append((pair[0] * _METRES, pair[1] * _METRES))
    ScrewModel(kind, ranges[0], ranges[1], second=1.0)  # refuses what is no model
    return _Options(kind, ranges[0], ranges[1], correlation_km * _METRES, near_km * _METRES, sign)


def _second(given: float | xr.DataArray | None, options: _Options, profiles: xr.Dataset) -> xr.DataArray:
    """Distance of the second fault on each profile, km."""
    if (given is None) == (options.kind == "two_faults"):
        got = "none" if given is None else f"one for model {options.kind!r}"
        raise SchemaError(f"second_fault_km belongs to model 'two_faults', and it needs one; got {got}")
    known = xr.DataArray(np.nan if given is None else given)
    if known.dims not in ((), ("profile",)):
        raise SchemaError(f"second_fault_km is a number or has dimension profile, got {known.dims}")
    every = xr.DataArray(np.ones(profiles.sizes["profile"]), dims="profile")
    return known.drop_vars(list(known.coords)).astype(np.float64) * every


def _noise(profiles: xr.Dataset, variable: str, std: float | xr.DataArray | None) -> xr.DataArray:
    """Standard deviation of each bin, m/yr."""
    if std is not None:
        known = std if isinstance(std, xr.DataArray) else xr.DataArray(float(std))
        if known.ndim == 0 and known.chunks is None and not 0 < float(known) < math.inf:
            raise SchemaError(f"std must be positive and finite, m/yr, got {float(known)}")
        return known.broadcast_like(profiles[variable]).transpose("profile", "distance")
    names = f"{variable}_std", f"{variable}_effective_count"
    if any(name not in profiles for name in names):
        raise SchemaError(f"the noise of bins comes from {names[0]} and {names[1]}; the profiles lack one, give std")
    scatter, effective = (profiles[name].astype(np.float64) for name in names)
    whole: list[list[str]] = [["distance"], ["distance"]]
    options: dict[str, Any] = {"dask": "parallelized", "output_dtypes": [np.float64]}
    pooled: xr.DataArray = xr.apply_ufunc(
        pooled_std,
        scatter,
        effective,
        input_core_dims=whole,
        output_core_dims=[["distance"]],
        dask_gufunc_kwargs={"allow_rechunk": True},
        **options,
    )
    return pooled


def _size(options: _Options) -> int:
    """Numbers of one fit: parameters, their standard deviations, chi2, count, depths at a bound."""
    return 2 * len(options.names) + 2 + len(MODELS[options.kind])


def _fit_profile(
    velocity: np.ndarray, std: np.ndarray, distance_km: np.ndarray, second_km: float, *, options: _Options
) -> np.ndarray:
    """All choices of one profile, shape ``(choice, number)``."""
    if options.kind == "two_faults" and not (np.isfinite(second_km) and second_km != 0):
        return np.full((len(CHOICES), _size(options)), np.nan)
    distance = options.sign * distance_km * _METRES
    covariance = profile_covariance(distance, std, options.range_m)
    model = options.model(second_km)
    fits = [fit_screw(distance, velocity, covariance, model, choice=c, near=options.near) for c in CHOICES]
    return np.stack([_flat(fit) for fit in fits])


def _flat(fit: ScrewFit) -> np.ndarray:
    ends = [fit.chi2, fit.count], fit.at_bound
    stds = fit.rate_std, fit.depth_std, [fit.offset_std]
    return np.concatenate([fit.rates, fit.depths, [fit.offset], *stds, *ends])


def _labelled(numbers: xr.DataArray, options: _Options) -> dict[str, xr.DataArray]:
    """Name the numbers of all fits."""
    names, out = options.names, {}
    at, rates = 2 * len(names), MODELS[options.kind]
    every = numbers.transpose("profile", "choice", "number").drop_vars(list(numbers.coords))
    main = every.isel(choice=0)
    inside = (every.isel(number=slice(at + 2, None)) == 0).all("number") & np.isfinite(every.isel(number=0))
    ended = {"units": "1", "long_name": "a depth of the choice lies at a limit of its range, or is not known"}
    out["choice_at_bound"] = (~inside).assign_attrs(ended)
    told_of = {"units": "1", "long_name": "choices whose depths lie inside their ranges"}
    out["choice_count"] = inside.sum("choice").assign_attrs(told_of)
    for k, name in enumerate(names):
        units = {"units": "m" if name.endswith("depth") else "m/yr"}
        choice = every.isel(number=k)
        told = choice.where(inside)
        lasting = {
            "": (main.isel(number=k), _SAYS[name]),
            "_std": (main.isel(number=len(names) + k), f"standard deviation of {name} from noise"),
            "_choice": (choice, f"{_SAYS[name]}, by choice of the datum and the bins"),
            "_spread": (_spread(told), f"standard deviation of {name} over the choices"),
            "_range": (told.max("choice") - told.min("choice"), f"greatest less least {name} of the choices"),
        }
        out |= {
            f"{name}{end}": values.assign_attrs({**units, "long_name": text}) for end, (values, text) in lasting.items()
        }
    out["chi2"] = main.isel(number=at).assign_attrs(units="1", long_name="weighted squares over degrees of freedom")
    count = main.isel(number=at + 1).fillna(0).astype(np.int64)
    out["count"] = count.assign_attrs(units="1", long_name="bins used")
    for k, rate in enumerate(rates):
        ends = {"units": "1", "long_name": f"{_DEPTHS[rate]} lies at a limit of its range"}
        out[f"{_DEPTHS[rate]}_at_bound"] = (main.isel(number=at + 2 + k) > 0).assign_attrs(ends)
    return out


def _spread(told: xr.DataArray) -> xr.DataArray:
    """Standard deviation over the choices; NaN, without a word, where none is known."""
    known = told.notnull().sum("choice")
    known = known.where(known > 0)
    mean = told.sum("choice") / known
    return (((told - mean) ** 2).sum("choice") / known) ** 0.5


def predict_transects(fits: xr.Dataset, distance_km: Any) -> xr.DataArray:
    """
    Evaluate fitted faults along their profiles.

    Parameters
    ----------
    fits : xr.Dataset
        As `fit_transects` gives it, lazy or not.
    distance_km : array-like
        Distances from the fault, km, shape ``(distance,)``, with the sign of those that were fitted.

    Returns
    -------
    xr.DataArray
        Velocity in m/yr, dimensions ``(profile, distance)``; NaN of profiles without a fit. Lazy if `fits` are.

    Raises
    ------
    SchemaError
        If it is no result of `fit_transects`.

    See Also
    --------
    fit_transects : What is evaluated.
    """
    kind = str(fits.attrs.get("model"))
    if kind not in MODELS:
        raise SchemaError(f"curves need a result of fit_transects, got attribute model {fits.attrs.get('model')!r}")
    parameters = [name for rate in MODELS[kind] for name in (rate, _DEPTHS[rate])]
    require_variables("a result of fit_transects", fits, *parameters, "offset")
    distance = xr.DataArray(np.asarray(distance_km, np.float64), dims="distance")
    second = fits["second_fault_km"] if kind == "two_faults" else xr.zeros_like(fits["offset"])
    curves = xr.apply_ufunc(
        _curve,
        fits["offset"],
        second,
        distance,
        *(fits[name] for name in parameters),
        kwargs={"kind": kind, "sign": _left(fits)},
        input_core_dims=[[], [], ["distance"], *([[]] * len(parameters))],
        output_core_dims=[["distance"]],
        vectorize=True,
        dask="parallelized",
        output_dtypes=[np.float64],
    )
    out: xr.DataArray = curves.assign_coords(distance_km=("distance", distance.values, {"units": "km"}))
    return out.assign_attrs(units="m/yr", long_name=f"modelled {fits.attrs['variable']}")


def _curve(
    offset: float, second_km: float, distance_km: np.ndarray, *parameters: float, kind: str, sign: float
) -> np.ndarray:
    """Curve of one profile."""
    if not np.isfinite(offset):
        return np.full(distance_km.shape, np.nan)
    model = ScrewModel(kind, second=sign * second_km * _METRES)
    rates, depths = np.array(parameters[::2]), np.array(parameters[1::2])
    return screw_velocity(sign * distance_km * _METRES, model, rates, depths, offset)
