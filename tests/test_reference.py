"""Spatial and temporal datum."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from lazy import no_compute
from strategies import chunkings
from synthetic import DATES, lattice_dataset, small_window

from mimtpy_cloud.errors import DateError, ReferencePointError, SchemaError
from mimtpy_cloud.ops.enu import invert_enu
from mimtpy_cloud.ops.rate import estimate_velocity
from mimtpy_cloud.ops.reference import set_reference
from mimtpy_cloud.plan.grid import Grid

WINDOW = small_window(5, 7)
POINT = (float(WINDOW.x[3]), float(WINDOW.y[2]))
UNTOUCHED = ("valid", "temporal_coherence", "height", "los_east", "los_north", "los_up", "spatial_ref")


def noisy_series(seed=0):
    data = np.random.default_rng(seed).standard_normal((DATES.size, *WINDOW.shape)).astype(np.float32)
    return lattice_dataset(WINDOW, displacement=data)


def test_reference_point_of_oracle_o42(oracles):
    case = oracles["O42"]
    window = small_window(2, 2)
    ds = lattice_dataset(window, velocity=np.array(case["data"], float))
    row, col = case["ref_rc"]
    result = set_reference(ds, point=(window.x[col], window.y[row]))
    np.testing.assert_allclose(result["velocity"], np.array(case["result"], float))
    with pytest.raises(ReferencePointError):
        set_reference(ds, point=(window.x[0], window.y[1]))


def test_reference_date_of_oracle_o54(oracles):
    case = oracles["O54"]
    series = np.array(case["ts"], float)[:, None, :].repeat(2, axis=1)
    dates = [f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in case["dates"]]
    kept = lattice_dataset(small_window(2, 2), dates=dates, displacement=series).isel(time=slice(1, None))
    result = set_reference(kept, date=case["keep"][0])
    np.testing.assert_allclose(result["displacement"][:, 0], case["rebased"])
    assert result.attrs["reference_date"] == "2020-01-13"
    assert result.attrs["reference_point"] == kept.attrs["reference_point"]


@pytest.mark.parametrize("track", ["AT064", "DT071"])
def test_velocity_is_referred_exactly_as_mintpy_does(shared, track):
    import h5py

    folder = shared / "data" / "mintpy_oracles"
    with h5py.File(folder / "velocity" / track / "velocity.h5") as file:
        velocity, attrs = file["velocity"][:], dict(file.attrs)
    with h5py.File(folder / "refpoint" / track / "velocity_ref.h5") as file:
        wanted = file["velocity"][:]
    step, (ny, nx) = float(attrs["X_STEP"]), velocity.shape
    grid = Grid(float(attrs["X_FIRST"]), float(attrs["Y_FIRST"]), step, step, nx, ny)
    ds = xr.Dataset({"velocity": (("y", "x"), velocity)}, {"y": grid.y, "x": grid.x})
    result = set_reference(ds, point=(-118.90, 36.70))
    np.testing.assert_array_equal(result["velocity"], wanted)


def test_series_is_zero_at_the_reference_on_every_date():
    ds = noisy_series()
    result = set_reference(ds, point=POINT)
    np.testing.assert_array_equal(result["displacement"], ds["displacement"] - ds["displacement"][:, 2:3, 3:4].values)
    assert (result["displacement"][:, 2, 3] == 0).all()
    assert result.attrs["reference_point"] == list(POINT)
    assert result.attrs["reference_date"] == ds.attrs["reference_date"]
    assert result["displacement"].dtype == np.float32
    assert result["displacement"].attrs == ds["displacement"].attrs
    for name in UNTOUCHED:
        xr.testing.assert_identical(result[name], ds[name])


def test_the_pixel_that_contains_the_point_is_the_reference():
    ds = noisy_series()
    half = 0.5 / WINDOW.n
    for dx, dy in ((0.9, 0.9), (-0.9, -0.9), (-1.0, 1.0)):
        result = set_reference(ds, point=(POINT[0] + dx * half, POINT[1] + dy * half))
        assert result.attrs["reference_point"] == list(POINT)
    east = set_reference(ds, point=(POINT[0] + half, POINT[1]))
    assert east.attrs["reference_point"] == [float(WINDOW.x[4]), POINT[1]]


def test_velocity_product_keeps_its_standard_deviation():
    ds = estimate_velocity(noisy_series())
    result = set_reference(ds, point=POINT)
    for name in ("velocity", "intercept"):
        np.testing.assert_array_equal(result[name], ds[name] - ds[name][2, 3])
    for name in ("velocity_std", "count", *UNTOUCHED):
        xr.testing.assert_identical(result[name], ds[name])


def test_referring_and_fitting_commute():
    ds = noisy_series()
    one = estimate_velocity(set_reference(ds, point=POINT, date=DATES[2]))
    two = set_reference(estimate_velocity(ds), point=POINT)
    np.testing.assert_allclose(one["velocity"], two["velocity"], atol=1e-5)


def test_window_averages_valid_pixels_that_have_every_date():
    ds = noisy_series()
    ds["displacement"][1, 1, 2] = np.nan
    ds["valid"][3, 4] = False
    good = np.ones((3, 3), bool)
    good[0, 0] = good[2, 2] = False
    mean = ds["displacement"].values[:, 1:4, 2:5][:, good].mean(axis=1, dtype=float)
    result = set_reference(ds, point=POINT, window=3)
    np.testing.assert_allclose(result["displacement"], ds["displacement"] - mean[:, None, None], atol=1e-6)
    assert result.attrs["reference_point"] == list(POINT)


def test_window_is_cut_at_the_edge_of_the_grid():
    ds = noisy_series()
    result = set_reference(ds, point=(WINDOW.x[0], WINDOW.y[0]), window=5)
    mean = ds["displacement"].values[:, :3, :3].mean(axis=(1, 2), dtype=float)
    np.testing.assert_allclose(result["displacement"], ds["displacement"] - mean[:, None, None], atol=1e-6)


def test_dataset_without_valid_needs_only_finite_values():
    result = set_reference(noisy_series().drop_vars("valid"), point=POINT)
    assert (result["displacement"][:, 2, 3] == 0).all()


def test_point_on_a_projected_grid_is_given_in_degrees():
    from pyproj import CRS, Proj

    crs = CRS.from_epsg(32611)
    x, y = Proj(crs)(-118.0, 37.0)
    grid = Grid(x - 1000.0, y + 500.0, 100.0, 100.0, 20, 10, "EPSG:32611")
    velocity = np.arange(200, dtype=np.float32).reshape(10, 20)
    ds = xr.Dataset({"velocity": (("y", "x"), velocity)}, {"y": grid.y, "x": grid.x})
    ds = ds.assign_coords(spatial_ref=((), 0, {"crs_wkt": crs.to_wkt()}))
    result = set_reference(ds, point=(-117.9995, 37.0003))
    np.testing.assert_array_equal(result["velocity"], velocity - velocity[4, 10])
    np.testing.assert_allclose(result.attrs["reference_point"], [-118.0, 37.0], atol=1e-3)


@given(chunkings(time=5, y=5, x=7))
def test_chunked_equals_numpy(chunks):
    ds = noisy_series()[["displacement", "valid"]]
    with no_compute():
        lazy = set_reference(ds.chunk(chunks), point=POINT, window=3, date="20200125")
    xr.testing.assert_identical(lazy.compute(), set_reference(ds, point=POINT, window=3, date="20200125"))
    assert (lazy["displacement"].chunksizes["y"], lazy["displacement"].chunksizes["x"]) == (chunks["y"], chunks["x"])


def test_lazy_velocity_is_referred_without_computing():
    ds = lattice_dataset(WINDOW, velocity=np.arange(35.0).reshape(5, 7)).chunk(y=2, x=3)
    with no_compute():
        result = set_reference(ds, point=POINT)
    np.testing.assert_array_equal(result["velocity"], np.arange(35.0).reshape(5, 7) - 17)


def test_reference_without_data_fails_when_computed_and_names_a_better_pixel():
    data = np.ones((DATES.size, *WINDOW.shape))
    data[:, 1:4, 2:5] = np.nan
    data[1, 0, 0] = np.nan
    ds = lattice_dataset(WINDOW, displacement=data).chunk(y=2)
    with no_compute():
        lazy = set_reference(ds, point=POINT)
    nearest = f"nearest valid pixel is at {WINDOW.x[3]:.6g}, {WINDOW.y[0]:.6g}"
    with pytest.raises(ReferencePointError, match=f"no usable data; .*; the {nearest}"):
        lazy.compute()
    with pytest.raises(ReferencePointError, match=r"or a wider window$"):
        set_reference(ds.drop_vars("valid"), point=POINT, window=3).compute()
    with pytest.raises(ReferencePointError, match="no usable data on 2020-01-13; choose"):
        set_reference(ds, point=(WINDOW.x[0], WINDOW.y[0])).compute()


def test_many_dates_without_reference_are_counted():
    data = np.ones((9, *WINDOW.shape))
    data[2:, 2, 3] = np.nan
    dates = np.datetime64("2020-01-01") + 12 * np.arange(9)
    ds = lattice_dataset(WINDOW, dates=dates, displacement=data)
    with pytest.raises(ReferencePointError, match=r"on 2020-01-25, .*, 2020-03-13 and 2 more dates; choose"):
        set_reference(ds, point=POINT)


def test_the_window_may_be_a_whole_number_of_any_type():
    ds = noisy_series()
    for window in (3.0, np.int64(3)):
        xr.testing.assert_identical(
            set_reference(ds, point=POINT, window=window), set_reference(ds, point=POINT, window=3)
        )


def test_a_mask_of_whole_numbers_is_a_mask():
    ds = noisy_series()
    ds["valid"][2, 2:] = False
    whole = ds.assign(valid=ds.valid.astype("u1"))
    expected, got = (set_reference(d, point=POINT, window=3)["displacement"] for d in (ds, whole))
    xr.testing.assert_identical(got, expected)


@pytest.mark.parametrize("components", ["eu", 16])
def test_decomposed_motion_is_referred_too(components):
    rates = np.linspace(-0.02, 0.03, 35).reshape(5, 7)
    found = [
        lattice_dataset(WINDOW, velocity=rates * k, los_azimuth_angle=a, track=f"T00{k}")
        for k, a in ((1, 102), (2, -102))
    ]
    motion = invert_enu(found, components).compute()
    names = ("east", "up") if components == "eu" else ("horizontal", "up")
    result = set_reference(motion, point=POINT)
    for name in names:
        np.testing.assert_array_equal(result[name], motion[name] - motion[name][2, 3])
        assert abs(motion[name][2, 3]) > 1e-4
    others = [name for name in motion.data_vars if name not in names]
    xr.testing.assert_identical(result[others], motion[others].assign_attrs(reference_point=list(POINT)))


def test_wrong_requests_fail_at_once():
    ds = noisy_series().chunk(y=2)
    with no_compute():
        with pytest.raises(ReferencePointError, match=r"\(0.0, 36.98\).* outside the grid \[-119"):
            set_reference(ds, point=(0.0, 36.98))
        with pytest.raises(ReferencePointError, match="odd number of pixels, got 4"):
            set_reference(ds, point=POINT, window=4)
        for window in (-1, 3.5, float("nan"), "3", None):
            with pytest.raises(ReferencePointError, match=f"odd number of pixels, got {window!r}"):
                set_reference(ds, point=POINT, window=window)
        with pytest.raises(ReferencePointError, match=r"a point .*, a date, or both; got neither"):
            set_reference(ds)
        with pytest.raises(DateError, match="nearest: 2020-01-01"):
            set_reference(ds, date="20200102")
        with pytest.raises(SchemaError, match=r"needs one of displacement, velocity, intercept, east.*; it has valid"):
            set_reference(ds[["valid"]], point=POINT)
        with pytest.raises(SchemaError, match="displacement needs dimensions"):
            set_reference(ds.isel(time=0), date="20200101")
        with pytest.raises(SchemaError, match="needs displacement"):
            set_reference(lattice_dataset(WINDOW, velocity=1.0), date="20200101")


def corners(rows, cols):
    """Outline halfway between the pixel centres of a block."""
    x, y, half = WINDOW.x, WINDOW.y, 0.5 / WINDOW.n
    west, east, south, north = x[cols[0]] - half, x[cols[1]] + half, y[rows[1]] - half, y[rows[0]] + half
    return np.array([[west, south], [east, south], [east, north], [west, north]])


def test_mean_of_a_polygon_becomes_zero_on_every_date():
    ds = noisy_series()
    ds["displacement"][1, 1, 2] = np.nan
    ds["valid"][3, 4] = False
    good = np.zeros(WINDOW.shape, bool)
    good[1:4, 2:5] = True
    good[1, 2] = good[3, 4] = False
    mean = ds["displacement"].values[:, good].mean(axis=1, dtype=float)
    result = set_reference(ds, polygon=corners((1, 3), (2, 4)))
    np.testing.assert_allclose(result["displacement"], ds["displacement"] - mean[:, None, None], atol=1e-6)
    np.testing.assert_allclose(result["reference_displacement"], mean, rtol=1e-6)
    assert result["reference_displacement"].attrs["units"] == "m"
    assert result["displacement"].dtype == np.float32
    assert result.attrs["reference_polygon"] == [corners((1, 3), (2, 4)).tolist()]
    assert "reference_point" not in result.attrs
    for name in UNTOUCHED:
        xr.testing.assert_identical(result[name], ds[name])


def test_several_polygons_are_one_area_and_pixels_in_two_count_once():
    ds = lattice_dataset(WINDOW, velocity=np.arange(35.0).reshape(5, 7))
    parts = [corners((0, 0), (0, 1)), corners((0, 0), (1, 1)), corners((4, 4), (6, 6)).tolist()]
    result = set_reference(ds, polygon=parts)
    assert float(result["reference_velocity"]) == pytest.approx((0 + 1 + 34) / 3)


def test_a_polygon_of_a_window_is_the_window():
    ds = noisy_series()
    square, polygon = set_reference(ds, point=POINT, window=3), set_reference(ds, polygon=corners((1, 3), (2, 4)))
    xr.testing.assert_allclose(
        square[["displacement", "reference_displacement"]], polygon[["displacement", "reference_displacement"]]
    )


def test_polygon_is_found_beyond_the_antimeridian_and_on_projected_grids():
    beyond = small_window(5, 7, west=179.98)
    ds = lattice_dataset(beyond, velocity=np.arange(35.0).reshape(5, 7))
    half = 0.5 / beyond.n
    lon = np.array([beyond.x[1] - half, beyond.x[5] + half, beyond.x[5] + half, beyond.x[1] - half])
    lat = np.array([beyond.y[4] - half, beyond.y[4] - half, beyond.y[3] + half, beyond.y[3] + half])
    polygon = np.column_stack([(lon + 180) % 360 - 180, lat])
    assert np.ptp(polygon[:, 0]) > 300
    result = set_reference(ds, polygon=polygon)
    np.testing.assert_allclose(result["reference_velocity"], np.arange(35.0).reshape(5, 7)[3:, 1:6].mean())

    from pyproj import CRS, Proj

    crs = CRS.from_epsg(32611)
    grid = Grid(*Proj(crs)(-118.0, 37.0), 100.0, 100.0, 20, 10, "EPSG:32611")
    velocity = np.arange(200, dtype=np.float32).reshape(10, 20)
    ds = xr.Dataset({"velocity": (("y", "x"), velocity)}, {"y": grid.y, "x": grid.x})
    ds = ds.assign_coords(spatial_ref=((), 0, {"crs_wkt": crs.to_wkt()}))
    metres = np.array([[210.0, -310.0], [590.0, -310.0], [590.0, -590.0], [210.0, -590.0]])
    lon, lat = Proj(crs)(grid.west + metres[:, 0], grid.north + metres[:, 1], inverse=True)
    result = set_reference(ds, polygon=np.column_stack([lon, lat]))
    np.testing.assert_allclose(result["reference_velocity"], velocity[3:6, 2:6].mean())


@given(chunkings(time=5, y=5, x=7))
def test_polygon_of_chunks_equals_numpy(chunks):
    ds = noisy_series()[["displacement", "valid"]]
    with no_compute():
        lazy = set_reference(ds.chunk(chunks), polygon=corners((0, 3), (2, 5)), date="20200125")
    xr.testing.assert_allclose(lazy.compute(), set_reference(ds, polygon=corners((0, 3), (2, 5)), date="20200125"))
    assert lazy["displacement"].chunksizes["y"] == chunks["y"]


def test_a_bad_polygon_is_refused():
    ds = lattice_dataset(WINDOW, velocity=np.nan).chunk(y=2)
    with no_compute():
        for polygon in ([[0, 0], [1, 1]], np.zeros((4, 3)), [[0, 0], [1, 0], [1, np.nan]], np.zeros(4)):
            with pytest.raises(ReferencePointError, match=r"three or more corners \(lon, lat\), finite, got an array"):
                set_reference(ds, polygon=polygon)
        tiny = corners((2, 2), (3, 3)) + 0.6 / WINDOW.n
        with pytest.raises(
            ReferencePointError, match=r"no pixel centre of the grid \[-119, 36.96, .*; choose a larger"
        ):
            set_reference(ds, polygon=(tiny - tiny.mean(axis=0)) * 0.1 + tiny.mean(axis=0))
        with pytest.raises(ReferencePointError, match="holds no pixel centre"):
            set_reference(ds, polygon=[[0, 0], [1, 0], [1, 1]])
        lazy = set_reference(ds, polygon=corners((1, 3), (2, 4)))
        with pytest.raises(ReferencePointError, match="needs one place, got point and polygon; choose one"):
            set_reference(ds, point=POINT, polygon=corners((1, 3), (2, 4)))
    with pytest.raises(ReferencePointError, match="none of the 9 pixels in the polygon is valid"):
        lazy.compute()


def test_what_was_subtracted_is_recorded():
    ds = noisy_series()
    result = set_reference(ds, point=POINT)
    np.testing.assert_array_equal(result["reference_displacement"], ds["displacement"][:, 2, 3])
    np.testing.assert_allclose(result["displacement"] + result["reference_displacement"], ds["displacement"], atol=1e-6)
    velocity = set_reference(estimate_velocity(ds), point=POINT)
    assert velocity["reference_velocity"].dims == ()
    assert velocity["reference_velocity"].attrs["units"] == "m/yr"


@pytest.mark.parametrize("track", ["AT064", "DT071"])
@pytest.mark.parametrize("chunked", [False, True])
def test_masked_velocity_is_referred_as_mintpy_does(shared, track, chunked):
    import h5py

    folder = shared / "data" / "mintpy_oracles" / "refpoint" / track
    with h5py.File(folder / "velocity_msk.h5") as file:
        masked, attrs = file["velocity"][:], dict(file.attrs)
    with h5py.File(folder / "velocity_ref_msk.h5") as file:
        wanted = file["velocity"][:]
    step, (ny, nx) = float(attrs["X_STEP"]), masked.shape
    grid = Grid(float(attrs["X_FIRST"]), float(attrs["Y_FIRST"]), step, step, nx, ny)
    ds = xr.Dataset({"velocity": (("y", "x"), masked)}, {"y": grid.y, "x": grid.x})
    result = set_reference(ds.chunk(y=30, x=41) if chunked else ds, point=(-118.90, 36.70))
    np.testing.assert_array_equal(result["velocity"], wanted)


def test_series_is_referred_as_mintpy_does(shared):
    import h5py

    source = shared / "data/he5/small/SynthSenAT064/mintpy/geo_timeseries_ERA5_demErr.h5"
    with h5py.File(source) as file:
        series, attrs, names = file["timeseries"][:], dict(file.attrs), file["date"][:]
    with h5py.File(shared / "data/mintpy_oracles/refpoint/AT064/ts_ref.h5") as file:
        wanted = file["timeseries"][:]
    step, (_, ny, nx) = float(attrs["X_STEP"]), series.shape
    grid = Grid(float(attrs["X_FIRST"]), float(attrs["Y_FIRST"]), step, step, nx, ny)
    time = np.array([f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in names.astype(str)], "datetime64[ns]")
    ds = xr.Dataset({"displacement": (("time", "y", "x"), series)}, {"time": time, "y": grid.y, "x": grid.x})
    result = set_reference(ds.chunk(time=3, y=50), point=(-118.90, 36.70))
    np.testing.assert_allclose(result["displacement"], wanted, atol=1e-7)


def some_stations(n=12, seed=0, **values):
    rng = np.random.default_rng(seed)
    rows, cols = np.arange(n) % 5, (3 * np.arange(n)) % 7
    coords = {
        "station": [f"S{k}" for k in range(n)],
        "lon": ("station", WINDOW.x[cols]),
        "lat": ("station", WINDOW.y[rows]),
    }
    data = {name: ("station", rng.normal(0, 0.02, n)) for name in ("east", "north", "up")}
    data |= {f"{name}_std": ("station", np.full(n, 1e-3)) for name in ("east", "north", "up")}
    return xr.Dataset(data, coords, {"frame": "IGS14"}), rows, cols


def track_at_stations(offset, noise=0.0, outlier=0.0):
    """Track that observes what the stations say, plus a constant."""
    stations, rows, cols = some_stations()
    ds = lattice_dataset(WINDOW, velocity=0.0)
    look = [ds[name].values[0, 0].astype(float) for name in ("los_east", "los_north", "los_up")]
    los = sum(stations[name].values * part for name, part in zip(("east", "north", "up"), look, strict=True))
    ds["velocity"][:] = 0.5  # nowhere near, where there is no station
    errors = noise * np.random.default_rng(1).standard_normal(los.size)
    errors[3] += outlier
    ds["velocity"].values[rows, cols] = los + offset + errors
    return ds, stations, los, (rows, cols)


def test_stations_put_a_track_into_their_frame():
    ds, stations, los, (rows, cols) = track_at_stations(offset=0.013)
    result = set_reference(ds, stations=stations)
    np.testing.assert_allclose(result["velocity"].values[rows, cols], los, atol=1e-8)
    assert float(result["reference_velocity"]) == pytest.approx(0.013, abs=1e-8)
    assert (int(result["reference_count"]), float(result["reference_noise"])) == (12, 0.0)
    np.testing.assert_allclose(result["reference_velocity_std"], 1e-3 / np.sqrt(12), rtol=1e-3)
    assert result.attrs["reference_frame"] == "IGS14"
    assert result.attrs["reference_stations"] == [f"S{k}" for k in range(12)]
    assert "reference_point" not in result.attrs
    for name in (*UNTOUCHED, "velocity_std"):
        xr.testing.assert_identical(result[name], ds[name])
    again = set_reference(result, point=POINT)
    assert not {"reference_frame", "reference_stations", "reference_polygon"} & set(again.attrs)


def test_one_bad_station_moves_nothing():
    ds, stations, *_ = track_at_stations(offset=0.013, noise=1e-3, outlier=0.5)
    result = set_reference(ds, stations=stations)
    assert abs(float(result["reference_velocity"]) - 0.013) < 1e-3
    assert float(result["reference_velocity_std"]) < 1e-3


@given(chunkings(y=5, x=7))
def test_stations_and_chunks_give_what_numpy_gives(chunks):
    ds, stations, *_ = track_at_stations(offset=0.013, noise=1e-3)
    with no_compute():
        lazy = set_reference(ds.chunk(chunks), stations=stations, window=3)
    assert lazy["reference_velocity"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), set_reference(ds, stations=stations, window=3))


def test_stations_without_vertical_velocity_serve_if_asked():
    ds, stations, *_ = track_at_stations(offset=0.0)
    flat = stations.assign(up=stations["up"] * np.nan)
    with pytest.raises(ReferencePointError, match=r"none of the 12 stations .*12 without up velocity, which up='zero'"):
        set_reference(ds, stations=flat)
    assert int(set_reference(ds, stations=flat, up="zero")["reference_count"]) == 12


def test_stations_that_cannot_serve_are_an_error():
    ds, stations, *_ = track_at_stations(offset=0.0)
    with no_compute():
        far = stations.assign_coords(lon=stations["lon"] + 10)
        with pytest.raises(
            ReferencePointError, match=r"none of the 12 stations can be used in the grid \[-119, .*: 12 outside"
        ):
            set_reference(ds.chunk(y=2), stations=far)
        with pytest.raises(SchemaError, match="take estimate_velocity first"):
            set_reference(noisy_series().chunk(y=2), stations=stations)
        fixed = ds.assign_attrs(plate_motion={"plate": "Eurasia"})
        with pytest.raises(SchemaError, match="moves with Eurasia, the stations are in IGS14: tie it first"):
            set_reference(fixed, stations=stations)
        set_reference(fixed.chunk(y=2), stations=stations.assign_attrs(frame="EU"))
        lazy = set_reference(ds.assign(valid=ds["valid"] & False).chunk(y=2), stations=stations)
    with pytest.raises(
        ReferencePointError, match="none of the 12 stations in the grid has a usable pixel in its window of 1"
    ):
        lazy.compute()
