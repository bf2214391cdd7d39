"""Searches on real data: thirty RELAX models against GPS of El Mayor-Cucapah, and a fault in Anatolia."""

import numpy as np
import pytest
import xarray as xr

import mimtpy_cloud as mc
from mimtpy_cloud import relax
from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.io.relax import read_gps_table
from mimtpy_cloud.io.vectors import read_lines
from mimtpy_cloud.ops.covariance import covariance_model, estimate_covariance
from mimtpy_cloud.ops.forward import TraceScrew, fault_distance
from mimtpy_cloud.plan.places import Places
from mimtpy_cloud.search import residual

STATIONS = ("P066", "P473", "P492", "P497", "P508")
TIMES = np.arange(0.25, 3.01, 0.25)
WITHOUT_P508 = (
    "Lower_crust_Newtonian_rheology_3D_ST_geometry_topdepth10km",
    "Lower_crust_powerlaw_rheology_n2.5_uniform_thickness_12kmthick",
)
UNSTABLE = "Afterslip_beneathrupture_downtoLAB_plusYuhaDesert_downtoLAB_absig10"


@pytest.fixture(scope="module")
def elmayor(shared):
    """Models and observed series at the five stations every three months, and their variances."""
    folder = shared / "data" / "real" / "relax_elmayor"
    models = relax.open_output(folder / "models", times=TIMES).sel(station=list(STATIONS))
    series = [read_gps_table(folder / "gps_timeseries" / f"{name.lower()}.dat").interp(time=TIMES) for name in STATIONS]
    observed = xr.concat(series, xr.DataArray(list(STATIONS), dims="station", name="station"))
    return models, observed


def components(ds, *names, end=""):
    along = xr.DataArray(list(names), dims="component", name="component")
    return xr.concat([ds[f"{name}{end}"].reset_coords(drop=True) for name in names], along).assign_attrs(units="m")


def ranked(elmayor, names, *, weighted):
    models, observed = elmayor
    values = components(observed, *names).transpose("component", "station", "time")
    variance = components(observed, *names, end="_std").transpose(*values.dims) ** 2
    result = mc.search_grid(
        values,
        components(models, *names).transpose("model", *values.dims),
        "chi2" if weighted else "rms",
        covariance=variance if weighted else None,
    )
    return result.compute()


@pytest.mark.parametrize(
    ("names", "weighted", "worth"),
    [
        (("east", "north"), False, 0.00381),
        (("east", "north", "up"), False, 0.00355),
        (("east", "north", "up"), True, 0.7245),
    ],
)
def test_the_coupled_model_explains_el_mayor_best(elmayor, names, weighted, worth):
    """As in the paper that the models come with: afterslip and viscoelastic flow together."""
    result = ranked(elmayor, names, weighted=weighted)
    metric = result[result.attrs["metric"]]
    assert result["best_model"].item() == "Coupled_model2"
    assert float(metric.min()) == pytest.approx(worth, rel=2e-3)
    assert float(metric.sel(model=UNSTABLE)) > 10 * worth  # its last step explodes
    points = len(names) * len(STATIONS) * TIMES.size
    told = {str(m): str(p) for m, p in zip(result["model"].values, result["problem"].values, strict=True) if p}
    assert told == dict.fromkeys(WITHOUT_P508, f"no value at {points // 5} of {points} points")
    assert int(np.isfinite(metric).sum()) == 28


def test_the_ranking_is_that_of_plain_numpy(elmayor):
    models, observed = elmayor
    result = ranked(elmayor, ("east", "north"), weighted=False)
    names = ("east", "north")
    left = [(observed[n] - models[n]).transpose("model", ...).values.reshape(30, -1) for n in names]
    plain = np.sqrt(np.mean(np.concatenate(left, axis=1) ** 2, axis=1))
    np.testing.assert_allclose(result["rms"], plain, rtol=1e-12)


def test_the_north_anatolian_fault_slips_17_mm_a_year_below_8_km(shared, tmp_path):
    real = shared / "data" / "real"
    frames = ("014A_04939_131313", "087A_04904_121313", "094D_04913_101213", "167D_04884_131212")
    sources = [real / "anatolia_licsbas_4tracks" / frame for frame in frames]
    ingest(sources, tmp_path, resolution="licsbas", pixels_per_degree=100, resampling="bilinear")
    tracks = {n: mc.open_track(tmp_path, n, resolution="licsbas") for n in ("A014", "A087", "D094", "D167")}
    joined = [mc.mosaic([tracks[a], tracks[b]]) for a, b in (("A014", "A087"), ("D094", "D167"))]
    east = mc.invert_enu([mc.set_reference(m, point=(34.5, 41.2), window=5) for m in joined])["east"].compute()
    (line,) = read_lines(real / "anatolia_licsbas_native" / "naf_trace.xy")
    fault = TraceScrew(tuple(map(tuple, line.tolist())))
    noise = covariance_model(estimate_covariance(east, (33.2, 39.6, 34.4, 40.2)))
    thin = east[::5, ::5]
    places = Places(np.tile(thin["x"], thin.sizes["y"]), np.repeat(thin["y"].values, thin.sizes["x"]))
    near = np.abs(fault_distance(places, line)[0]).reshape(thin.shape) < 100e3
    mask = thin.copy(data=near & (thin["x"].values < line[:, 0].max()))
    grid = {"slip_rate": np.arange(12, 25) * 1e-3, "locking_depth": np.arange(4, 25, 2) * 1e3}
    result = mc.search_grid(thin, fault, parameters=grid, ramp="constant", covariance=noise, mask=mask).compute()
    assert float(result["best_slip_rate"]) == pytest.approx(0.017, abs=1.1e-3)
    assert 6e3 <= float(result["best_locking_depth"]) <= 12e3
    best = {name: float(result[f"best_{name}"]) for name in grid}
    left = residual(thin, fault, parameters=best, ramp="constant", covariance=noise, mask=mask).compute()
    step = float(thin.where(mask).std())
    assert float(left["residual_rms"]) < 0.6 * step
