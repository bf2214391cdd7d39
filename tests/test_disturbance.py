"""Ramps, swaths, air and white noise on grids."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from lazy import no_compute
from pyproj import CRS, Geod, Proj
from strategies import chunkings
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.errors import GridMismatchError, ParameterError, RampError
from mimtpy_cloud.ops.covariance import estimate_covariance
from mimtpy_cloud.ops.deramp import estimate_ramp
from mimtpy_cloud.ops.disturbance import (
    simulate_atmosphere,
    simulate_ramp,
    simulate_white_noise,
    swath_mask,
    wrap,
)

RAMP = {"c": 0.01, "ax": 1e-7, "ay": -2e-7, "axx": 1e-12, "axy": -2e-12, "ayy": 3e-12}
LINES = [(100.3, 39.0, 100.4, 41.0), (100.6, 39.0, 100.7, 41.0)]


def degrees(ny=40, nx=50, step=0.02, north=40.4, west=100.0, **attrs):
    y, x = north - step * (np.arange(ny) + 0.5), west + step * (np.arange(nx) + 0.5)
    return xr.Dataset({"valid": (("y", "x"), np.ones((ny, nx), bool))}, {"y": y, "x": x}, attrs)


def projected():
    utm = CRS.from_epsg(32647)
    y, x = 4.48e6 - 500.0 * np.arange(30), 4e5 + 500.0 * np.arange(40)
    ds = xr.Dataset({"valid": (("y", "x"), np.ones((30, 40), bool))}, {"y": y, "x": x, "spatial_ref": 0})
    ds["spatial_ref"].attrs["crs_wkt"] = utm.to_wkt("WKT1_GDAL")
    return ds, Proj(utm)


FIELDS = {
    "ramp": lambda ds: simulate_ramp(ds, RAMP, origin=(100.5, 40.0)),
    "swath_ramp": lambda ds: simulate_ramp(ds, [RAMP, {"ax": 1e-7}, {"c": 1}], boundaries=LINES, origin=(100.5, 40.0)),
    "swath": lambda ds: swath_mask(ds, LINES, origin=(100.5, 40.0)),
    "atmosphere": lambda ds: simulate_atmosphere(ds, sill=1e-4, range_m=5e3, seed=4),
    "series": lambda ds: simulate_atmosphere(ds, sill=1e-4, range_m=5e3, seed=4, dates=["2020-01-01", "2020-01-13"]),
    "white": lambda ds: simulate_white_noise(ds, std=2e-3, seed=4),
}


@pytest.mark.parametrize("field", FIELDS)
@given(chunks=chunkings(y=40, x=50), rows=st.tuples(st.integers(0, 17), st.integers(20, 40)))
def test_bits_depend_on_neither_chunks_nor_the_part_that_is_asked_for(field, chunks, rows):
    whole = FIELDS[field](degrees()).compute()
    with no_compute():
        lazy = FIELDS[field](degrees().chunk(chunks))
    assert lazy.chunksizes["y"] == chunks["y"]
    assert lazy.chunksizes["x"] == chunks["x"]
    xr.testing.assert_identical(lazy.compute(), whole)
    part = {"y": slice(*rows), "x": slice(3, 44)}
    xr.testing.assert_identical(FIELDS[field](degrees().isel(part)).compute(), whole.isel(part))


def test_a_ramp_is_that_of_true_metres():
    ds = degrees()
    middle = 100.5, 40.0
    found = simulate_ramp(ds, RAMP)
    assert found.attrs == {"units": "m", "long_name": "simulated ramp", "origin": pytest.approx(list(middle))}
    lon, lat = np.meshgrid(ds.x, ds.y)
    x, y = Proj(proj="poly", lon_0=middle[0], lat_0=middle[1], ellps="WGS84")(lon, lat)
    wanted = sum(RAMP[n] * v for n, v in {"ax": x, "ay": y, "axx": x * x, "axy": x * y, "ayy": y * y}.items())
    np.testing.assert_allclose(found, RAMP["c"] + wanted, rtol=1e-5, atol=1e-8)
    _, _, metres = Geod(ellps="WGS84").inv(*middle, middle[0], 40.3)
    north = simulate_ramp(ds, {"ay": 1e-6}, origin=middle).interp(x=middle[0], y=40.3)
    assert float(north) == pytest.approx(1e-6 * metres, rel=1e-5)  # to the north it grows, by the ellipsoid's metres


def test_what_is_simulated_is_estimated():
    ds = degrees()
    ramp = simulate_ramp(ds, {"c": 0.01, "ax": 1e-7, "ay": -2e-7})
    found = estimate_ramp(ramp).compute()
    np.testing.assert_allclose(found["coefficient"].values[1:], [1e-4, -2e-4], rtol=2e-2)  # m/km, of a sphere


def test_each_swath_has_its_own_ramp_and_no_other():
    ds = degrees()
    number = swath_mask(ds, LINES)
    assert sorted(np.unique(number)) == [1, 2, 3]
    assert (np.diff(number, axis=1) >= 0).all()
    offsets = simulate_ramp(ds, [{"c": 1.0}, {"c": 10.0}, {"c": 100.0}], boundaries=LINES)
    np.testing.assert_array_equal(offsets, np.array([0, 1, 10, 100])[number.values])
    along = number.sel(y=40.0, method="nearest").compute()  # the first line is at 100.35 there, within a pixel
    assert float(along.x[np.searchsorted(along, 2)]) == pytest.approx(100.35, abs=0.02)


def test_map_projections_have_their_own_metres():
    ds, utm = projected()
    middle = float(ds.x[0] + ds.x[-1]) / 2, float(ds.y[0] + ds.y[-1]) / 2
    ramp = simulate_ramp(ds, {"ax": 1e-6})
    np.testing.assert_allclose(ramp[0], 1e-6 * (ds.x.values - middle[0]), atol=1e-9)
    lon, lat = utm(4.05e5, 4.47e6, inverse=True)
    np.testing.assert_allclose(
        simulate_ramp(ds, {"ay": 1e-6}, origin=(lon, lat))[:, 0], 1e-6 * (ds.y - 4.47e6), atol=1e-8
    )
    line = (*utm(4.0725e5, 4.465e6, inverse=True), *utm(4.0725e5, 4.48e6, inverse=True))
    assert int((swath_mask(ds, [line])[0] == 1).sum()) == 15
    air = simulate_atmosphere(ds, sill=1.0, range_m=2e3)
    np.testing.assert_array_equal(air[3:9], simulate_atmosphere(ds.isel(y=slice(3, 9)), sill=1.0, range_m=2e3))


@pytest.mark.parametrize("range_m", [3e3, 10e3])
def test_the_air_has_the_covariance_that_was_asked_for(range_m):
    ds = degrees(300, 300, 0.008)  # 267 x 204 km
    found = []
    for seed in range(4):
        air = simulate_atmosphere(ds, sill=2e-4, range_m=range_m, seed=seed)
        estimate = estimate_covariance(air, ramp=None).compute()
        found.append([float(estimate["sill"]), float(estimate["range_km"]), float(estimate["nugget"])])
    sill, range_km, nugget = np.mean(found, axis=0)
    assert sill == pytest.approx(2e-4, rel=0.08)
    assert range_km * 1e3 == pytest.approx(range_m, rel=0.08)
    assert nugget < 2e-5


def test_the_air_goes_on_beyond_the_antimeridian():
    east, west = degrees(5, 5, west=179.95), degrees(5, 5, west=-180.05)
    air = [simulate_atmosphere(ds, sill=1.0, range_m=5e3) for ds in (east, west)]
    np.testing.assert_allclose(air[0], air[1], atol=1e-5)


def test_white_noise_is_white_and_of_the_lattice():
    ds = degrees(200, 200)
    noise = simulate_white_noise(ds, std=2e-3, seed=3)
    assert float(noise.std()) == pytest.approx(2e-3, rel=0.02)
    assert abs(np.corrcoef(noise[1:].values.ravel(), noise[:-1].values.ravel())[0, 1]) < 0.02
    lattice = lattice_dataset(small_window(), velocity=0.0)
    one = simulate_white_noise(lattice.isel(y=[2], x=[3]), std=1.0)
    assert float(one[0, 0]) == float(simulate_white_noise(lattice, std=1.0)[2, 3])


@pytest.mark.parametrize(
    "field",
    [
        lambda **key: simulate_atmosphere(degrees(), sill=1.0, range_m=3e3, **key),
        lambda **key: simulate_white_noise(degrees(), std=1.0, **key),
    ],
)
def test_seeds_and_dates_have_independent_noise(field):
    dates = ["2020-01-01", "2020-01-13"]
    series = field(seed=1, dates=dates)
    assert series.dims == ("time", "y", "x")
    assert series["time"].values.astype("datetime64[D]").astype(str).tolist() == dates
    np.testing.assert_array_equal(field(seed=1, dates=dates[1:])[0], series[1])
    for other in (field(seed=2, dates=dates)[0], series[1], field(seed=1)):
        assert abs(np.corrcoef(series[0].values.ravel(), other.values.ravel())[0, 1]) < 0.3
    assert field(seed=1).data.name == field(seed=1).data.name
    assert field(seed=1).data.name != field(seed=2).data.name


def test_wrapped_displacement_is_that_of_the_oracle(oracles):
    known = oracles["O08"]
    values = xr.DataArray([float(v) for v in known["wrapped"]], dims="x", attrs={"units": "m"}).chunk()
    with no_compute():
        wrapped = wrap(values, known["wavelength"])
    np.testing.assert_allclose(wrapped, list(known["wrapped"].values()), rtol=1e-9)
    assert wrapped.attrs["units"] == "m"
    assert wrapped.attrs["wavelength"] == known["wavelength"]
    assert bool(np.isnan(wrap(xr.DataArray([np.nan]), 0.05))[0])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda ds: simulate_ramp(ds, {"a": 1}), RampError, "got a=1"),
        (lambda ds: simulate_ramp(ds, [{}], boundaries=LINES), RampError, "2 boundaries make 3 swaths.*got 1"),
        (lambda ds: swath_mask(ds, [(1, 2, 3)]), RampError, "southern and of a northern point, got 1, 2, 3"),
        (lambda ds: swath_mask(ds, [(100, 40, 101, 40)]), RampError, "different latitude"),
        (lambda ds: simulate_atmosphere(ds, sill=-1, range_m=1e3), ParameterError, "sill must be finite and not neg"),
        (lambda ds: simulate_atmosphere(ds, sill=1, range_m=0), ParameterError, "range_m must be finite and positive"),
        (lambda ds: simulate_white_noise(ds, std=float("nan")), ParameterError, "std must be finite"),
        (lambda ds: wrap(ds["valid"] * 1.0, 0), ParameterError, "wavelength must be finite and positive, in m, got 0"),
        (lambda ds: simulate_ramp(ds.isel(y=slice(0)), {}), GridMismatchError, "no pixel"),
        (
            lambda ds: simulate_atmosphere(ds.assign_coords(y=ds.y * 1e3), sill=1, range_m=1),
            GridMismatchError,
            "crs_wkt",
        ),
    ],
)
def test_what_cannot_be_simulated_says_why(make, error, message):
    with pytest.raises(error, match=message):
        make(degrees())


def test_an_origin_that_is_no_place_is_refused():
    with pytest.raises(RampError, match="origin of ramps is a longitude and a latitude in degrees, got nan, 40"):
        simulate_ramp(degrees(), RAMP, origin=(np.nan, 40.0))
