"""Motion of plates: signs, the published model, known sites, and its ramp through a track."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from lazy import no_compute
from strategies import chunkings
from synthetic import DATES, lattice_dataset, small_window

from mimtpy_cloud.errors import ReferencePointError, SchemaError
from mimtpy_cloud.io.gnss import read_stations
from mimtpy_cloud.kernels import plate as kernel
from mimtpy_cloud.ops.enu import invert_enu
from mimtpy_cloud.ops.plate import remove_plate_motion
from mimtpy_cloud.ops.reference import set_reference

WINDOW = small_window(5, 7, west=33.0, north=40.0)
POINT = (float(WINDOW.x[3]), float(WINDOW.y[2]))
#: |omega| of Altamimi et al. (2017), Table 1, degrees a Myr.
RATES = {"ANTA": 0.219, "ARAB": 0.515, "AUST": 0.631, "EURA": 0.261, "INDI": 0.516, "NAZC": 0.629}
RATES |= {"NOAM": 0.194, "NUBI": 0.267, "PCFC": 0.679, "SOAM": 0.119, "SOMA": 0.332}
MAS = np.deg2rad(1e-3 / 3600)
ANGLES = st.tuples(st.floats(-89, 89), st.floats(-180, 180))


def by_cross_product(lat, lon, rotation):
    """East, north, up of omega x r, with explicit geocentric coordinates and local axes."""
    phi, lam = np.deg2rad(lat), np.deg2rad(lon)
    f = 1 / 298.257223563
    n = 6378137.0 / np.sqrt(1 - f * (2 - f) * np.sin(phi) ** 2)
    r = n * np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), (1 - f) ** 2 * np.sin(phi)])
    axes = [
        [-np.sin(lam), np.cos(lam), 0.0],
        [-np.sin(phi) * np.cos(lam), -np.sin(phi) * np.sin(lam), np.cos(phi)],
        [np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)],
    ]
    return np.array(axes) @ np.cross(rotation, r)


def plate_los(ds, plate="Eurasia"):
    """Line-of-sight motion of a plate in every pixel, one by one."""
    look = np.stack([ds[name].values.astype(float) for name in ("los_east", "los_north", "los_up")])
    lat, lon = np.meshgrid(ds["y"].values, ds["x"].values, indexing="ij")
    moved = [by_cross_product(a, b, kernel.rotation_of(plate)) for a, b in zip(lat.ravel(), lon.ravel(), strict=True)]
    return np.einsum("kij,ijk->ij", look, np.reshape(moved, (*lat.shape, 3)))


def on_plate(**options):
    """Track that sees nothing but Eurasia."""
    ds = lattice_dataset(WINDOW, velocity=0.0, **options)
    ds["velocity"] = (("y", "x"), plate_los(ds).astype(np.float32), ds["velocity"].attrs)
    ds.attrs.pop("reference_point")
    return ds


@given(ANGLES, st.tuples(*[st.floats(-1e-8, 1e-8)] * 3))
def test_separable_components_are_the_cross_product(place, rotation):
    found = kernel.plate_velocity(*place, np.array(rotation))
    np.testing.assert_allclose(found, by_cross_product(*place, rotation), atol=1e-12)


@given(ANGLES, st.floats(-1, 1), ANGLES)
def test_a_pole_is_its_rotation_vector(pole, rate, place):
    rotation = kernel.rotation_vector(*pole, rate)
    phi, lam = np.deg2rad(pole)
    axis = [np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)]
    np.testing.assert_allclose(rotation, np.deg2rad(rate) * 1e-6 * np.array(axis), atol=1e-20)
    np.testing.assert_allclose(kernel.plate_velocity(*pole, rotation)[0], 0, atol=4e-4)  # geodetic is not geocentric
    assert np.linalg.norm(kernel.plate_velocity(*place, rotation)) <= abs(np.deg2rad(rate)) * 6.3782 + 1e-150


def test_a_plate_turns_anticlockwise_around_its_pole():
    north = kernel.rotation_vector(90.0, 0.0, 1.0)
    east, up = kernel.plate_velocity(0.0, 123.0, north)[::2]
    assert east == pytest.approx(np.deg2rad(1e-6) * 6378137.0)
    assert up == 0
    south_pole = kernel.rotation_vector(-90.0, 0.0, 1.0)
    assert kernel.plate_velocity(0.0, 123.0, south_pole)[0] == pytest.approx(-east)


def test_table_is_that_of_proj_and_its_rates_are_those_published():
    from pyproj import Transformer

    assert sorted(RATES) == sorted(plate.code for plate in kernel.PLATES.values())
    for name, (code, *mas) in kernel.PLATES.items():
        assert round(np.linalg.norm(mas) / 3.6, 3) == RATES[code]
        np.testing.assert_array_equal(kernel.rotation_of(name), kernel.rotation_of(code.lower()))
        model = Transformer.from_pipeline(f"+proj=pipeline +step +init=ITRF2014:{code} +t_epoch=2010")
        position = (4.0e6, 1.0e6, 4.8e6)
        moved = np.array(model.transform(*position, 3010.0)[:3]) - np.array(model.transform(*position, 2010.0)[:3])
        np.testing.assert_allclose(moved / 1000.0, np.cross(MAS * np.array(mas), position), atol=2e-6)


@pytest.mark.parametrize(
    ("region", "site", "plate", "limit"),
    [
        ("hawaii_bigisland", "MKEA", "Pacific", 0.5e-3),
        ("turkey", "YLDZ", "Eurasia", 0.5e-3),
        ("turkey", "ZONG", "Eurasia", 1.0e-3),
        ("turkey", "DYR2", "Arabia", 0.5e-3),
        ("california_coso_mojave", "SNOE", "North America", 0.5e-3),
    ],
)
def test_published_velocities_of_sites_on_plates_are_met(shared, region, site, plate, limit):
    stations = read_stations(shared / f"data/real/gnss_midas/midas.IGS08.{region}.txt").sel(station=site)
    east, north, _ = kernel.plate_velocity(stations["lat"], stations["lon"], kernel.rotation_of(plate))
    assert np.hypot(stations["east"] - east, stations["north"] - north) < limit
    assert np.hypot(east, north) > 0.015


def test_eurasia_moves_north_east_by_some_25_mm():
    east, north, up = kernel.plate_velocity([52.4, 55.0, 41.0], [13.1, 37.0, 29.0], kernel.rotation_of("Eurasia"))
    assert (east > 0.018).all()
    assert (north > 0.008).all()
    assert ((np.hypot(east, north) > 0.023) & (np.hypot(east, north) < 0.029)).all()
    assert (abs(up) < 1e-4).all()


def test_what_a_track_sees_of_a_plate_is_removed():
    for azimuth in (102.0, -102.0):
        ds = on_plate(los_azimuth_angle=azimuth)
        assert np.sign(ds["velocity"].values).min() == np.sign(
            -azimuth
        )  # eastward: away in the west, toward in the east
        result = remove_plate_motion(ds, "Eurasia")
        np.testing.assert_allclose(result["velocity"], 0, atol=2e-9)
        assert result["velocity"].dtype == np.float32
        assert result["velocity"].attrs == ds["velocity"].attrs
        assert result.attrs["plate_motion"] == {
            "plate": "Eurasia", "model": "ITRF2014", "mas_per_year": [-0.085, -0.531, 0.77]
        }  # fmt: skip
        for name in ("velocity_std", "valid", "height", "los_east"):
            xr.testing.assert_identical(result[name], ds[name])


def test_the_pole_of_a_plate_does_as_its_name():
    x, y, z = kernel.rotation_of("Eurasia")
    pole = np.rad2deg([np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x), 1e6 * np.linalg.norm([x, y, z])])
    np.testing.assert_allclose(pole, [55.07, -99.10, 0.261], atol=0.01)
    ds = on_plate()
    named, given = remove_plate_motion(ds, "EURA"), remove_plate_motion(ds, tuple(pole))
    np.testing.assert_allclose(named["velocity"], given["velocity"], atol=1e-9)
    assert given.attrs["plate_motion"]["model"] == ""


def test_a_plate_is_a_ramp_through_a_track_of_250_km():
    window = small_window(4, 375, west=31.0, north=40.0)
    incidence = np.broadcast_to(np.linspace(30.0, 46.0, window.nx), window.shape)
    ds = lattice_dataset(window, velocity=0.0, incidence_angle=incidence)
    ds.attrs.pop("reference_point")
    seen = -remove_plate_motion(ds, "Eurasia")["velocity"]
    ramp = float(seen[0, -1] - seen[0, 0])
    assert 3e-3 < abs(ramp) < 8e-3
    alike = lattice_dataset(window, velocity=0.0, incidence_angle=38.0).assign_attrs(reference_point=[31.1, 39.99])
    rest = remove_plate_motion(alike, "Eurasia")["velocity"]
    assert float(abs(rest).max()) < 0.25 * abs(ramp)  # it is the look vector that turns, not the plate


def test_data_that_refer_to_a_place_keep_their_zero_there():
    ds = on_plate(incidence_angle=np.broadcast_to(np.linspace(30, 46, 7), WINDOW.shape))
    ds["velocity"] = ds["velocity"] + np.float32(1e-3) * np.arange(7, dtype=np.float32)
    at_point = set_reference(ds, point=POINT)
    result = remove_plate_motion(at_point, "Eurasia")
    np.testing.assert_allclose(result["velocity"][0], 1e-3 * (np.arange(7) - 3), atol=1e-8)
    assert result.attrs["reference_point"] == list(POINT)
    whole = remove_plate_motion(at_point, "Eurasia", keep_reference=False)
    np.testing.assert_allclose(whole["velocity"][2, 3], -plate_los(ds)[2, 3], atol=1e-8)
    assert "reference_point" not in whole.attrs
    x, y, half = WINDOW.x, WINDOW.y, 0.5 / WINDOW.n
    west, east, south, north = x[0] - half, x[2] + half, y[4] - half, y[0] + half
    outline = np.array([[west, south], [east, south], [east, north], [west, north]])
    area = remove_plate_motion(set_reference(ds, polygon=outline), "Eurasia")
    np.testing.assert_allclose(area["velocity"][0], 1e-3 * (np.arange(7) - 1), atol=1e-8)


def test_a_series_loses_the_motion_since_its_reference_date():
    rate = plate_los(lattice_dataset(WINDOW, velocity=0.0))
    ds = lattice_dataset(WINDOW, dates=DATES, velocity=rate)
    ds.attrs.pop("reference_point")
    np.testing.assert_allclose(remove_plate_motion(ds, "Eurasia")["displacement"], 0, atol=1e-8)
    later = set_reference(ds, date=DATES[3])
    np.testing.assert_allclose(remove_plate_motion(later, "Eurasia")["displacement"], 0, atol=1e-8)
    unknown = ds.copy()
    unknown.attrs.pop("reference_date")
    np.testing.assert_allclose(remove_plate_motion(unknown, "Eurasia")["displacement"], 0, atol=1e-8)


def test_a_displacement_between_two_dates_loses_that_of_its_time():
    ds = lattice_dataset(WINDOW, displacement=0.0).isel(time=0, drop=True)
    ds = ds.assign_attrs(start_date="2020-01-01", end_date="2022-01-01")
    ds.attrs.pop("reference_point")
    years = 731 / 365.25
    np.testing.assert_allclose(remove_plate_motion(ds, "Eurasia")["displacement"], -years * plate_los(ds), rtol=1e-5)
    del ds.attrs["end_date"]
    with pytest.raises(SchemaError, match="needs the unit m/yr, or m and the attributes start_date and end_date"):
        remove_plate_motion(ds, "Eurasia")


def test_a_decomposition_loses_its_components():
    lat, lon = np.meshgrid(WINDOW.y, WINDOW.x, indexing="ij")
    east, north, up = kernel.plate_velocity(lat, lon, kernel.rotation_of("Eurasia"))
    coords = {"y": WINDOW.y, "x": WINDOW.x}
    parts = {"east": east, "north": north, "up": up, "horizontal": east * np.sin(np.pi / 6) + north * np.cos(np.pi / 6)}
    data = {name: (("y", "x"), values.astype(np.float32), {"units": "m/yr"}) for name, values in parts.items()}
    ds = xr.Dataset(data, coords, {"azimuth": 30.0})
    result = remove_plate_motion(ds, "Eurasia")
    for name in parts:
        np.testing.assert_allclose(result[name], 0, atol=2e-9)
    with pytest.raises(SchemaError, match="needs the attribute azimuth"):
        remove_plate_motion(ds.drop_attrs(), "Eurasia")


def test_removing_before_decomposing_leaves_nothing():
    tracks = [on_plate(los_azimuth_angle=a, track=t) for a, t in ((102.0, "A014"), (-102.0, "D094"))]
    motion = invert_enu([remove_plate_motion(t, "Eurasia") for t in tracks])
    for name in ("east", "up"):
        np.testing.assert_allclose(motion[name], 0, atol=1e-8)


@given(chunkings(time=5, y=5, x=7))
def test_chunked_equals_numpy(chunks):
    ds = lattice_dataset(WINDOW, dates=DATES, velocity=0.01)
    with no_compute():
        lazy = remove_plate_motion(ds.chunk(chunks), "Eurasia")
    assert lazy["displacement"].chunksizes["y"] == chunks["y"]
    assert lazy["displacement"].dtype == np.float32
    xr.testing.assert_identical(lazy.compute(), remove_plate_motion(ds, "Eurasia"))


def test_components_stay_lazy_and_names_are_those_of_the_input():
    ds = xr.Dataset({"east": (("y", "x"), np.zeros(WINDOW.shape, "f4"))}, {"y": WINDOW.y, "x": WINDOW.x}).chunk(
        y=2, x=3
    )
    with no_compute():
        lazy = remove_plate_motion(ds, "Eurasia")
    assert lazy["east"].data.name == remove_plate_motion(ds, "Eurasia")["east"].data.name
    assert lazy["east"].data.name != remove_plate_motion(ds, "Nubia")["east"].data.name
    assert lazy["east"].chunks == ds["east"].chunks


def test_a_grid_of_a_continent_is_never_made_in_memory():
    import dask.array as da

    window = small_window(20_000, 20_000, n=1250, west=20.0, north=60.0)
    zeros = da.zeros(window.shape, np.float32, chunks=1000)
    names = ("velocity", "los_east", "los_north", "los_up")
    ds = xr.Dataset(dict.fromkeys(names, (("y", "x"), zeros)), {"y": window.y, "x": window.x})
    with no_compute():
        lazy = remove_plate_motion(ds, "Eurasia")
    assert float(lazy["velocity"][-1, -1].compute()) == 0.0


def test_wrong_requests_fail_at_once():
    ds = on_plate().chunk(y=2)
    with no_compute():
        with pytest.raises(
            SchemaError, match=r"unknown plate 'Atlantis'; choose Antarctica, .*Somalia, or give a pole"
        ):
            remove_plate_motion(ds, "Atlantis")
        for pole in ((1.0, 2.0), None, ("a", 1, 2)):
            with pytest.raises(SchemaError, match=r"is the name of a plate, or \(lat, lon, degrees a Myr\), got"):
                remove_plate_motion(ds, pole)
        for pole in ((95.0, 0.0, 1.0), (0.0, 0.0, np.nan)):
            with pytest.raises(SchemaError, match=r"with lat within 90 and lon within 360, got"):
                remove_plate_motion(ds, pole)
        with pytest.raises(SchemaError, match=r"needs one of displacement, velocity, east.*; it has valid"):
            remove_plate_motion(ds[["valid"]], "Eurasia")
        with pytest.raises(SchemaError, match="the dataset needs los_up"):
            remove_plate_motion(ds.drop_vars("los_up"), "Eurasia")
        with pytest.raises(SchemaError, match="the motion of Eurasia has been removed already"):
            remove_plate_motion(remove_plate_motion(ds, "Eurasia"), "Nubia")
        with pytest.raises(SchemaError, match="in the frame NA12, which moves with a plate already"):
            remove_plate_motion(ds.assign_attrs(reference_frame="NA12"), "North America")
        outside = ds.assign_attrs(reference_point=[0.0, 0.0])
        with pytest.raises(ReferencePointError, match=r"\(0.0, 0.0\) lies outside the grid.*keep_reference=False"):
            remove_plate_motion(outside, "Eurasia")
        remove_plate_motion(outside, "Eurasia", keep_reference=False)

        from pyproj import CRS

        metres = ds.assign_coords(spatial_ref=((), 0, {"crs_wkt": CRS.from_epsg(32636).to_wkt()}))
        with pytest.raises(SchemaError, match="needs a grid of longitude and latitude; ingest"):
            remove_plate_motion(metres, "Eurasia")
