"""Velocities of stations in the line of sight of a track, and what the track observes there."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from lazy import no_compute
from strategies import chunkings
from synthetic import lattice_dataset, look_vector, small_window

from mimtpy_cloud.errors import ReferencePointError, SchemaError
from mimtpy_cloud.kernels import tie
from mimtpy_cloud.ops.stations import project_stations, select_stations

WINDOW = small_window(5, 7)
RATES = np.arange(35.0).reshape(5, 7) * 1e-3
VELOCITIES = ("east", "north", "up")


def table(lon, lat, east=0.0, north=0.0, up=0.0, sigma=1e-3, frame="IGS14"):
    n = np.size(lon)
    given = zip(VELOCITIES, (east, north, up), strict=True)
    data = {name: ("station", np.broadcast_to(v, n).astype(float)) for name, v in given}
    data |= {f"{name}_std": ("station", np.broadcast_to(sigma, n).astype(float)) for name in VELOCITIES}
    coords = {
        "station": [f"S{k}" for k in range(n)],
        "lon": ("station", np.array(lon)),
        "lat": ("station", np.array(lat)),
    }
    return xr.Dataset(data, coords, {"frame": frame, "source": "memory"})


def track(**options):
    return lattice_dataset(WINDOW, velocity=RATES, **options)


def four_stations(**values):
    """Three inside, in the middle of a pixel, near the corner of one, and on an edge; one outside."""
    half = 0.5 / WINDOW.n
    lon = [WINDOW.x[3], WINDOW.x[0] - 0.9 * half, WINDOW.x[2] + half, WINDOW.x[0] - 1.1 * half]
    lat = [WINDOW.y[2], WINDOW.y[0] + 0.9 * half, WINDOW.y[4], WINDOW.y[0]]
    return table(lon, lat, **values)


def test_line_of_sight_of_oracle_o55(oracles):
    case = oracles["O55"]
    ds = track(incidence_angle=case["inc"], los_azimuth_angle=case["az"])
    east, north, up = np.array(case["enu"]).T
    stations = table(WINDOW.x[[1, 2]], WINDOW.y[[1, 2]], east, north, up)
    np.testing.assert_allclose(project_stations(ds, stations)["los"], case["los"], rtol=1e-6)
    flat = stations.assign(up=stations["up"] * np.nan)
    np.testing.assert_allclose(project_stations(ds, flat, up="zero")["los"], case["horizontal_only"], rtol=1e-6)


def test_motion_toward_the_satellite_is_positive_for_both_directions():
    for azimuth, sign in ((102.0, -1.0), (-102.0, 1.0)):  # satellite in the west, in the east
        ds = track(los_azimuth_angle=azimuth)
        assert np.sign(project_stations(ds, four_stations(east=0.01))["los"]).values.tolist() == [sign] * 3
        assert (project_stations(ds, four_stations(up=0.01))["los"] > 0).all()


def test_each_station_sees_its_own_pixel():
    result = project_stations(track(), four_stations())
    assert result.station.values.tolist() == ["S0", "S1", "S2"]
    assert result["row"].values.tolist() == [2, 0, 4]
    assert result["col"].values.tolist() == [3, 0, 3]
    np.testing.assert_allclose(result["observed"], RATES[[2, 0, 4], [3, 0, 3]], rtol=1e-6)
    assert result["observed_count"].values.tolist() == [1, 1, 1]
    assert set(result.coords) == {"station", "lon", "lat"}
    assert result.attrs == {
        "frame": "IGS14", "source": "memory", "outside": 1, "without_velocity": 0, "without_up": 0
    }  # fmt: skip
    for name in ("los", "los_std", "observed"):
        assert (result[name].attrs["units"], result[name].dtype) == ("m/yr", float)


def test_standard_deviation_is_propagated():
    stations = four_stations()
    stations["east_std"][:], stations["north_std"][:], stations["up_std"][:] = 1e-3, 2e-3, 3e-3
    stations["up_std"][1] = np.nan
    east, north, up = look_vector(39.0, 102.0)
    result = project_stations(track(), stations)["los_std"]
    np.testing.assert_allclose(result[0], 1e-3 * np.sqrt(east**2 + (2 * north) ** 2 + (3 * up) ** 2), rtol=1e-6)
    assert np.isnan(result[1])


def test_window_averages_usable_pixels_and_is_cut_at_the_edge():
    ds = track()
    ds["velocity"][1, 2] = np.nan
    ds["valid"][2, 2] = False
    good = np.isfinite(ds["velocity"].values) & ds["valid"].values
    result = project_stations(ds, four_stations(), window=3)
    values = ds["velocity"].values.astype(float)
    for k, (rows, cols) in enumerate(
        [(slice(1, 4), slice(2, 5)), (slice(0, 2), slice(0, 2)), (slice(3, 5), slice(2, 5))]
    ):
        chosen = values[rows, cols][good[rows, cols]]
        assert int(result["observed_count"][k]) == chosen.size
        np.testing.assert_allclose(result["observed"][k], chosen.mean(), rtol=1e-12)
    assert result["observed_count"].values.tolist() == [7, 4, 6]


def test_a_window_without_usable_pixels_is_nan():
    ds = track()
    ds["valid"][2, 3] = False
    result = project_stations(ds, four_stations())
    assert np.isnan(result["observed"][0])
    assert int(result["observed_count"][0]) == 0
    assert np.isfinite(result["los"]).all()


def test_stations_without_vertical_or_horizontal_velocity_are_left_out_and_counted():
    stations = four_stations(east=0.01, up=0.02)
    stations["up"][0] = np.nan
    stations["north"][1] = np.nan
    result = project_stations(track(), stations)
    assert result.station.values.tolist() == ["S2"]
    counts = {name: result.attrs[name] for name in ("outside", "without_velocity", "without_up")}
    assert counts == {"outside": 1, "without_velocity": 1, "without_up": 1}
    zero = project_stations(
        track(), stations.assign(up_std=stations["up_std"].where(stations["up"].notnull())), up="zero"
    )
    assert zero.station.values.tolist() == ["S0", "S2"]
    east, north, up = look_vector(39.0, 102.0)
    np.testing.assert_allclose(zero["los"], [0.01 * east, 0.01 * east + 0.02 * up], rtol=1e-6)
    np.testing.assert_allclose(zero["los_std"][0], 1e-3 * np.hypot(east, north), rtol=1e-6)


def test_stations_of_a_table_without_sigma_have_none():
    result = project_stations(track(), four_stations().drop_vars(["east_std", "north_std", "up_std"]))
    assert result["los_std"].isnull().all()
    assert result["los"].notnull().all()


def test_no_station_inside_gives_none():
    for ds in (track(), track().chunk(y=2, x=3)):
        result = project_stations(ds, table([0.0, 1.0], [0.0, 1.0]), window=3).compute()
        assert result.sizes["station"] == 0
        assert result.attrs["outside"] == 2


def test_stations_are_found_on_grids_beyond_the_antimeridian_and_on_projected_ones():
    beyond = small_window(5, 7, west=179.98)
    ds = lattice_dataset(beyond, velocity=RATES)
    assert beyond.x[-1] > 180
    result = project_stations(ds, table([beyond.x[6] - 360.0, beyond.x[0]], [beyond.y[1]] * 2))
    assert result["col"].values.tolist() == [6, 0]

    from pyproj import CRS, Proj

    crs = CRS.from_epsg(32611)
    x, y = Proj(crs)(-118.0, 37.0)
    metres = track().assign_coords(x=x + 100.0 * np.arange(7), y=y - 100.0 * np.arange(5))
    metres = metres.assign_coords(spatial_ref=((), 0, {"crs_wkt": crs.to_wkt()}))
    metres.attrs.pop("pixels_per_degree")
    lon, lat = Proj(crs)(x + 520.0, y - 110.0, inverse=True)
    result = project_stations(metres, table([lon], [lat]))
    assert (int(result["row"][0]), int(result["col"][0])) == (1, 5)


@given(chunkings(y=5, x=7))
def test_chunked_equals_numpy(chunks):
    ds, stations = track(), four_stations(east=0.01, north=-0.02, up=0.003)
    with no_compute():
        lazy = project_stations(ds.chunk(chunks), stations, window=3)
    assert all(lazy[name].chunks is not None for name in ("los", "los_std", "observed", "observed_count"))
    xr.testing.assert_identical(lazy.compute(), project_stations(ds, stations, window=3))


def test_only_blocks_that_hold_stations_are_read():
    import dask.array as da

    read = []

    def block(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.zeros(block_info[None]["chunk-shape"], np.float32)

    window = small_window(40, 40)
    ds = lattice_dataset(window, velocity=0.0)
    ds["velocity"] = (
        ("y", "x"),
        da.map_blocks(block, chunks=((10,) * 4, (10,) * 4), dtype=np.float32, meta=np.empty((0, 0))),
    )
    stations = table(window.x[[5, 20]], window.y[[5, 35]])
    project_stations(ds, stations, window=3)["observed"].compute(scheduler="sync")
    assert set(read) == {(0, 0), (3, 1), (3, 2)}


def test_graph_names_are_the_same_for_the_same_input():
    ds, stations = track().chunk(y=2), four_stations()
    names = [project_stations(ds, stations)["observed"].data.name for _ in range(2)]
    assert names[0] == names[1]


def test_wrong_requests_fail_at_once():
    ds, stations = track().chunk(y=2), four_stations()
    with no_compute():
        with pytest.raises(SchemaError, match="up must be 'drop' or 'zero', got 'ignore'"):
            project_stations(ds, stations, up="ignore")
        with pytest.raises(ReferencePointError, match="odd number of pixels, got 2"):
            project_stations(ds, stations, window=2)
        with pytest.raises(SchemaError, match=r"a displacement; take estimate_velocity first"):
            project_stations(lattice_dataset(WINDOW, displacement=1.0), stations)
        with pytest.raises(SchemaError, match="the dataset needs los_up"):
            project_stations(ds.drop_vars("los_up"), stations)
        with pytest.raises(SchemaError, match="the stations needs north, lat"):
            project_stations(ds, stations.drop_vars(["north", "lat"]))
        with pytest.raises(SchemaError, match="velocity needs dimensions"):
            project_stations(ds.expand_dims("time"), stations)
        ds["velocity"].attrs["units"] = "mm/yr"
        with pytest.raises(SchemaError, match="must be in m/yr, got mm/yr; convert it first"):
            project_stations(ds, stations)


def test_constant_is_the_weighted_mean_where_errors_are_as_the_sigmas_say():
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.5, 2.0, 4000)
    constant, std, extra, count = tie.fit_constant(7.0 + sigma * rng.standard_normal(4000), sigma)
    assert abs(constant - 7.0) < 4 * std
    assert std == pytest.approx(1 / np.sqrt((sigma**-2).sum()), rel=0.15)
    assert extra < 0.7
    assert count == 4000


def test_constant_resists_outliers_and_stations_of_tiny_sigma():
    rng = np.random.default_rng(1)
    difference = 3.0 + rng.standard_normal(60)
    sigma = np.full(60, 0.3)
    difference[:6] += 100.0
    sigma[0] = 1e-6
    constant, std, extra, _ = tie.fit_constant(difference, sigma)
    assert abs(constant - 3.0) < 0.5
    assert 0.6 < extra < 1.6  # the truth is 0.95
    assert 0.08 < std < 0.4


def test_standard_deviation_of_the_constant_covers_the_truth():
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(400):
        sigma = rng.uniform(0.3, 1.0, 25)
        errors = np.hypot(sigma, 1.0) * rng.standard_normal(25)
        constant, std, *_ = tie.fit_constant(errors, sigma)
        inside += abs(constant) < std
    assert 0.58 < inside / 400 < 0.78


def test_constant_of_few_differences():
    assert tie.fit_constant(np.array([np.nan]), np.array([1.0])).tolist()[3] == 0
    np.testing.assert_allclose(tie.fit_constant(np.array([2.0]), np.array([0.5])), [2.0, 0.5, 0.0, 1])
    np.testing.assert_allclose(tie.fit_constant(np.array([2.0, 4.0, 3.0]), np.full(3, np.nan))[0], 3.0)
    np.testing.assert_allclose(tie.fit_constant(np.full(3, 2.0), np.zeros(3)), [2.0, 0.0, 0.0, 3])
    assert np.isnan(tie.fit_constant(np.array([2.0]), np.array([np.nan]))[1])


def test_stations_are_selected_by_box_and_name_in_their_order():
    stations = table([-179.5, 170.0, 10.0, 20.0], [0.0, 0.0, 50.0, -50.0]).assign_coords(station=list("ABCD"))
    assert select_stations(stations, bbox=(160, -10, 190, 10)).station.values.tolist() == ["A", "B"]
    assert select_stations(stations, bbox=(-200, -10, -170, 10)).station.values.tolist() == ["A", "B"]
    assert select_stations(stations, names=["d", "A"]).station.values.tolist() == ["A", "D"]
    assert select_stations(stations, bbox=(10, 50, 11, 51), names=["A", "C"]).station.values.tolist() == ["C"]
    assert select_stations(stations, bbox=(0, 0, 1, 1)).sizes["station"] == 0
    xr.testing.assert_identical(select_stations(stations), stations)
    with pytest.raises(SchemaError, match="no station X among 4"):
        select_stations(stations, names=["X"])
    with pytest.raises(SchemaError, match="a box is west, south, east, north"):
        select_stations(stations, bbox=(5, 0, 1, 1))
