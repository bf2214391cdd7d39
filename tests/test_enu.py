"""East and up of tracks that look from different directions."""

import json

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import no_compute
from strategies import chunkings
from synthetic import lattice_dataset, look_vector

from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.catalog.tracks import open_track
from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels.plate import MAS, plate_velocity
from mimtpy_cloud.ops.decomposition import look_azimuth
from mimtpy_cloud.ops.enu import invert_enu
from mimtpy_cloud.ops.north import interpolate_stations
from mimtpy_cloud.ops.rate import estimate_velocity
from mimtpy_cloud.ops.select import mask_invalid
from mimtpy_cloud.plan.grid import Window

SHAPE = (12, 20)
EAST = np.linspace(-0.02, 0.03, 240).reshape(SHAPE)
UP = np.linspace(0.01, -0.01, 240).reshape(SHAPE)
GEOMETRY = [(39.0, 102.0, 0, 0), (34.0, -102.0, 1, 3), (44.0, 100.0, 2, 9)]  # incidence, azimuth, row, column


def tracks(east=EAST, up=UP, north=0.0, chunks=None, count=3):
    found = []
    for k, (incidence, azimuth, row, col) in enumerate(GEOMETRY[:count]):
        part = np.s_[row : row + 9, col : col + 11]
        incidences = incidence + np.linspace(0, 3, 240).reshape(SHAPE)[part]
        e, n, u = look_vector(incidences, azimuth)
        ds = lattice_dataset(
            Window(100, row, col, 9, 11),
            velocity=e * east[part] + n * north + u * up[part],
            incidence_angle=incidences,
            los_azimuth_angle=azimuth,
            track=f"T{k:03d}",
            orbit_direction="ascending" if azimuth > 0 else "descending",
            reference_point=[-179.9, 89.95],
        )
        found.append(ds if chunks is None else ds.chunk(chunks[k]))
    return found


def test_truth_comes_back_on_the_smallest_window_of_all_overlaps():
    with no_compute():
        lazy = invert_enu(tracks())
    got = lazy.compute()
    assert Window.of(got.x.values, got.y.values, 100) == Window(100, 1, 3, 9, 11)
    part = np.s_[1:10, 3:14]
    known = got.valid.values
    np.testing.assert_array_equal(known, got["count"].values >= 2)
    assert set(np.unique(got["count"])) == {0, 2, 3}
    np.testing.assert_allclose(got.east.values[known], EAST[part][known], atol=5e-9)
    np.testing.assert_allclose(got.up.values[known], UP[part][known], atol=5e-9)
    assert np.isnan(got.east.values[~known]).all()


def test_labels_state_direction_unit_and_origin():
    got = invert_enu(tracks())
    assert got.east.attrs == {"units": "m/yr", "long_name": "east velocity, positive east"}
    assert "positive up" in got.up.attrs["long_name"]
    assert got.attrs["track"] == "T000+T001+T002"
    assert got.attrs["components"] == "eu"
    assert not {"orbit_direction", "heading", "look_side"} & set(got.attrs)
    along = invert_enu(tracks(), np.int64(16))
    assert json.dumps(along.attrs["components"]) == "16.0"
    assert along.horizontal.attrs["long_name"].endswith("positive toward azimuth 16 degrees clockwise from north")
    assert set(along.data_vars) == {
        *("horizontal", "up", "horizontal_std", "up_std", "correlation", "horizontal_leak", "up_leak"),
        *("chi2", "gain", "residual", "count", "quality", "valid"),
    }
    assert along.quality.attrs["flag_meanings"].split()[2] == "too_similar_looks"
    assert along.track.values.tolist() == ["T000", "T001", "T002"]


def two_pixels(los, incidences=(39, 34), azimuths=(102, -102), **kwargs):
    return [
        lattice_dataset(
            Window(100, 0, 0, 1, 2), velocity=v, incidence_angle=i, los_azimuth_angle=a, track=f"T00{k}", **kwargs
        )
        for k, (v, i, a) in enumerate(zip(los, incidences, azimuths, strict=True))
    ]


def test_oracles_of_east_up_and_fault_parallel_hold_with_labels(oracles):
    case = oracles["O04"]
    for key in ("noN", "withN"):
        got = invert_enu(two_pixels(case[f"los_{key}"])).isel(y=0, x=0)
        np.testing.assert_allclose([got.east, got.up], case[f"EU_{key}"], rtol=1e-6)
    gains = np.array([got.east_std, got.up_std]) / 0.001  # every track has a standard deviation of 0.001
    np.testing.assert_allclose(gains, [case["sigma_factor_E"], case["sigma_factor_U"]], rtol=1e-6)
    case = oracles["O05"]
    got = invert_enu(two_pixels(case["los"]), case["strike_cw"]).isel(y=0, x=0)
    np.testing.assert_allclose([got.horizontal, got.up], case["hv"], rtol=1e-6)


@settings(max_examples=8)
@given(data=st.data(), azimuth=st.one_of(st.just("eu"), st.floats(60, 120)), order=st.permutations(range(3)))
def test_result_is_bit_equal_for_any_chunks_and_order(data, azimuth, order):
    chunks = [data.draw(chunkings(y=9, x=11)) for _ in range(3)]
    with no_compute():
        lazy = invert_enu([tracks(chunks=chunks)[k] for k in order], azimuth)
    expected = invert_enu(tracks(), azimuth).compute(scheduler="sync")
    got = lazy.compute(scheduler="sync")
    assert got.attrs == expected.attrs
    for name in expected.data_vars:
        np.testing.assert_array_equal(got[name], expected[name])


def test_north_motion_leaks_as_predicted():
    got = invert_enu(tracks(north=0.02, count=2)).isel(y=3, x=3)
    _, east, up = look_solution(3, 3)
    np.testing.assert_allclose([got.east, got.up], [east, up], rtol=1e-5)


def look_solution(y, x):
    """Plain 2 x 2 solution at a pixel of the result of the first two tracks."""
    rows, los = [], []
    for ds in tracks(north=0.02, count=2):
        pixel = ds.sel(y=90 - (y + 1.5) / 100, x=-180 + (x + 3.5) / 100, method="nearest")
        rows.append([float(pixel.los_east), float(pixel.los_up)])
        los.append(float(pixel.velocity))
    return rows, *np.linalg.solve(rows, los)


def test_sigma_comes_from_the_data_or_is_given_or_is_absent():
    found = tracks()
    plain = [t.drop_vars("velocity_std") for t in found]
    without = invert_enu(plain)
    assert not {"east_std", "up_std"} & set(without)
    assert "east_std" not in invert_enu([*found[:2], plain[2]])
    given = invert_enu(plain, sigma=0.001)
    xr.testing.assert_allclose(
        given[["east", "up", "east_std", "up_std"]], invert_enu(found)[["east", "up", "east_std", "up_std"]]
    )


def test_weights_follow_their_track_whatever_the_order():
    los, sigma = [0.01, 0.004, -0.02], [0.001, 0.002, 0.05]
    found = two_pixels(los, (39, 34, 44), (102, -102, 100))
    a = invert_enu(found, sigma=sigma).compute()
    b = invert_enu(found[::-1], sigma=sigma[::-1]).compute()
    xr.testing.assert_equal(a, b)
    two = invert_enu(found[:2]).compute()
    np.testing.assert_allclose(a.east, two.east, atol=2e-5)  # the third look hardly counts
    assert (a.east_std <= invert_enu(found[:2], sigma=sigma[:2]).east_std).all()


def test_invalid_pixels_take_no_part():
    found = tracks(count=2)
    found[0]["valid"][4, 5] = False
    got = invert_enu(found).compute()
    assert np.isnan(got.east.values[3, 2])
    assert got["count"].values[3, 2] == 0
    assert not got.valid.values[3, 2]
    assert got.valid.values[3, 3]


def test_displacement_of_two_dates_keeps_its_unit():
    found = [t.rename(velocity="displacement", velocity_std="displacement_std") for t in tracks()]
    for t in found:
        t.displacement.attrs["units"] = "m"
    got = invert_enu(found)
    assert got.east.attrs == {"units": "m", "long_name": "east displacement, positive east"}
    np.testing.assert_allclose(got.up[4, 6], UP[5, 9], atol=5e-9)


def test_displacements_of_different_periods_are_refused_and_velocities_are_not():
    found = tracks(count=2)
    found[1].attrs["end_date"] = "2021-03-01"  # 29 days later
    got = invert_enu(found)
    assert (got.attrs["start_date"], got.attrs["end_date"]) == ("2020-01-01", "2021-03-01")
    assert got.attrs["periods"] == {"T000": ["2020-01-01", "2021-01-31"], "T001": ["2020-01-01", "2021-03-01"]}
    moved = [t.rename(velocity="displacement") for t in found]
    with pytest.raises(SchemaError, match="T000 2020-01-01 to 2021-01-31; T001 2020-01-01 to 2021-03-01"):
        invert_enu(moved)
    assert "east" in invert_enu(moved, max_gap_days=29)
    del moved[1].attrs["end_date"]
    assert "east" in invert_enu(moved)


def test_a_mask_of_whole_numbers_is_a_mask():
    found = tracks(count=2)
    found[0]["valid"][4, 5] = False
    whole = [t.assign(valid=t.valid.astype("u1")) for t in found]
    xr.testing.assert_identical(invert_enu(whole).compute(), invert_enu(found).compute())


def test_too_similar_tracks_give_nan():
    got = invert_enu(two_pixels([0.01, 0.01], (39, 39.2), (102, 102)))
    assert np.isnan(got.up).all()
    assert (got["count"] == 2).all()


def test_unfit_input_has_a_clear_error():
    found = tracks()
    with pytest.raises(SchemaError, match="at least two tracks, got T000"):
        invert_enu(found[:1])
    with pytest.raises(SchemaError, match="components must be 'eu', 'enu', 'hu' or an azimuth"):
        invert_enu(found, "ue")
    with pytest.raises(SchemaError, match="components must be 'eu', 'enu', 'hu' or an azimuth"):
        invert_enu(found, float("nan"))
    with pytest.raises(SchemaError, match="track T001 needs los_up"):
        invert_enu([found[0], found[1].drop_vars("los_up")])
    with pytest.raises(SchemaError, match="one for each of 3 tracks"):
        invert_enu(found, sigma=[1, 2])
    with pytest.raises(SchemaError, match="sigma must be positive"):
        invert_enu(found, sigma=-1)
    for components in (None, True, [90.0], np.array([90.0, 0.0])):
        with pytest.raises(SchemaError, match="components must be 'eu', 'enu', 'hu' or an azimuth"):
            invert_enu(found, components)
    far = lattice_dataset(Window(100, 500, 500, 3, 3), velocity=0.0, track="T009", reference_point=[-179.9, 89.95])
    with pytest.raises(GridMismatchError, match="tracks must overlap"):
        invert_enu([found[0], far])
    with pytest.raises(GridMismatchError, match="one resolution"):
        invert_enu([found[0], lattice_dataset(Window(125, 0, 0, 3, 3), velocity=0.0)])


def test_tracks_of_different_datums_are_refused(caplog):
    found = tracks(count=2)
    moved = [found[0], found[1].assign_attrs(reference_point=[-179.87, 89.95])]
    message = r"different datums \(T000: -179.9 89.95, T001: -179.87 89.95\).*set_reference.*estimate_adjustment"
    with pytest.raises(SchemaError, match=message):
        invert_enu(moved)
    assert "east" in invert_enu(moved, same_datum=True)
    near = found[1].assign_attrs(reference_point=[180.1 + 0.012, 89.95])  # a turn further, one pixel away
    assert "east" in invert_enu([found[0], near])
    tied = [ds.assign_attrs(reference_frame="IGS14") for ds in moved]
    assert "east" in invert_enu(tied)
    with pytest.raises(SchemaError, match=r"T000: IGS14, T001: -179\.87 89\.95"):
        invert_enu([tied[0], moved[1]])
    assert not caplog.messages
    silent = found[1].copy()
    del silent.attrs["reference_point"]
    invert_enu([found[0], silent])
    assert "T001: not known to what it refers" in caplog.text


# --- north ----------------------------------------------------------------------------------------------------


def field(value, std=None, **attrs):
    """North motion on more than the tracks."""
    ds = lattice_dataset(Window(100, -5, -5, 30, 40), velocity=0.0)[["height"]]
    ds = ds.assign(north=(("y", "x"), np.full((30, 40), value), {"units": "m/yr"} | attrs))
    return ds if std is None else ds.assign(north_std=(("y", "x"), np.full((30, 40), std)))


@pytest.mark.parametrize("north", [0.02, field(0.02)["north"], field(0.02).chunk(y=7, x=11)])
def test_known_north_motion_does_not_leak(north):
    with no_compute():
        lazy = invert_enu(tracks(north=0.02), north=north)
    got, part = lazy.compute(), np.s_[1:10, 3:14]
    known = got.valid.values
    np.testing.assert_allclose(got.east.values[known], EAST[part][known], atol=5e-9)
    np.testing.assert_allclose(got.up.values[known], UP[part][known], atol=5e-9)
    np.testing.assert_allclose(got.residual.values[np.isfinite(got.residual.values)], 0, atol=5e-9)
    ignored = invert_enu(tracks(north=0.02)).compute()
    for name in ("east", "up"):  # O04: the bias is the leak times the motion
        np.testing.assert_allclose(ignored[name] - got[name], 0.02 * ignored[f"{name}_leak"], atol=5e-9)


def test_all_three_components_need_knowledge_of_north():
    found = tracks(north=0.02)
    for ds, heading in zip(found, (-12.0, -168.0, -10.0), strict=True):
        ds.attrs |= {"heading": heading, "look_side": "right"}
    with pytest.raises(SchemaError, match=r"azimuths T000 258, T001 102, T002 260 degrees.*north_std.*max_gain=1000"):
        invert_enu(found, "enu")
    prior = invert_enu(found, "enu", north=0.02, north_std=0.003).compute()
    three = prior["count"].values == 3
    np.testing.assert_allclose(prior.north.values[three], 0.02, atol=1e-6)
    assert (prior.north_std.values[three] < 0.003).all()
    assert {"correlation", "correlation_east_north", "correlation_north_up"} <= set(prior)
    assert "east_leak" not in prior
    free = invert_enu(found, "enu", max_gain=1e4).compute()
    np.testing.assert_allclose(free.north.values[three], 0.02, atol=1e-4)
    assert (free.north_std.values[three] > 0.05).all()  # a hundred times the noise of 0.001
    assert (free.quality.values[free["count"] == 2] == 1).all()
    for ds in found:
        del ds.attrs["heading"]
    unknown = invert_enu(found, "enu").compute()  # then each pixel tells
    assert not unknown.valid.any()
    assert (unknown.quality.values[three] == 2).all()


def test_uncertain_north_is_in_the_standard_deviations():
    found = tracks(count=2)
    exact, prior = invert_enu(found).compute(), invert_enu(found, north_std=0.01).compute()
    for name in ("east", "up"):
        np.testing.assert_allclose(prior[name], exact[name], atol=1e-9)
        wanted = np.hypot(exact[f"{name}_std"], 0.01 * exact[f"{name}_leak"])
        np.testing.assert_allclose(prior[f"{name}_std"], wanted, rtol=1e-5)
    same = invert_enu(found, north=field(0.0, 0.01)).compute()
    np.testing.assert_allclose(same.up_std, prior.up_std, rtol=1e-6)
    along = invert_enu(found, 90.0, north_std=0.01).compute()  # the motion across
    np.testing.assert_allclose(along.up_std, prior.up_std, rtol=1e-6)


def test_pixels_outside_of_the_field_say_so():
    part = field(0.0).isel(y=slice(0, 10))  # the first five rows of the tracks
    got = invert_enu(tracks(count=2), north=part).compute()
    solved, count = got.valid.values, got["count"].values
    assert solved[:4].any()
    assert not solved[4:].any()
    assert (got.quality.values[4:][count[4:] == 2] == 3).all()
    assert np.isnan(invert_enu(tracks(), north=part).residual.values[:, 4:]).all()


def test_north_that_cannot_be_used_is_refused():
    with pytest.raises(SchemaError, match="faster than any plate"):
        invert_enu(tracks(), north=5)
    found = tracks()
    with pytest.raises(SchemaError, match="north must be a number in m/yr, or a field"):
        invert_enu(found, north="zero")
    with pytest.raises(SchemaError, match="north_std must be a number of at least 0"):
        invert_enu(found, north_std=-1)
    with pytest.raises(SchemaError, match="needs north"):
        invert_enu(found, north=field(0.0)[["height"]])
    with pytest.raises(SchemaError, match="north must be in m/yr as the tracks are, got mm/yr"):
        invert_enu(found, north=field(0.0, units="mm/yr"))
    with pytest.raises(SchemaError, match="for components 'eu' and 'enu', got 16"):
        invert_enu(found, 16.0, north=0.01)
    with pytest.raises(SchemaError, match="for components 'eu' and 'enu', got 16"):
        invert_enu(found, 16.0, north=field(0.01))
    with pytest.raises(SchemaError, match="north_std=0 takes north as known exactly"):
        invert_enu(found, "enu", north_std=0)
    with pytest.raises(SchemaError, match="give sigma, or north_std=0"):
        invert_enu([t.drop_vars("velocity_std") for t in found], north_std=0.01)
    with pytest.raises(GridMismatchError, match="125 pixels a degree, the tracks 100"):
        invert_enu(found, north=lattice_dataset(Window(125, 0, 0, 3, 3), velocity=0.0).rename(velocity="north"))


def gnss(north, lon=(-179.95, -179.85, -179.8), lat=(89.97, 89.9, 89.85), **attrs):
    """Stations around the tracks, with a north velocity that is a function of longitude and latitude."""
    lon, lat = np.array(lon), np.array(lat)
    data = {"north": ("station", north(lon, lat)), "north_std": ("station", np.full(lon.size, 1e-4))}
    names = np.array([f"S{k}" for k in range(lon.size)], dtype=object)
    return xr.Dataset(data, {"station": names, "lon": ("station", lon), "lat": ("station", lat)}, attrs)


def test_north_of_stations_is_brought_into_the_datum_of_the_tracks():
    steady = gnss(lambda lon, lat: 0.02 + 0 * lon, frame="IGS14")
    with no_compute():
        lazy = invert_enu([t.assign_attrs(reference_frame="IGS14") for t in tracks(north=0.02)], north=steady)
    got, part = lazy.compute(), np.s_[1:10, 3:14]
    known = got.valid.values
    np.testing.assert_allclose(got.up.values[known], UP[part][known], atol=1e-7)
    relative = invert_enu(tracks(), north=steady).compute()  # a point moves as all others do: no north is left
    np.testing.assert_allclose(relative.up.values[known], UP[part][known], atol=1e-7)
    alone = invert_enu(tracks()).compute()
    assert (relative.up_std.values[known] > alone.up_std.values[known]).all()
    plate = {"plate": "Eurasia", "mas_per_year": [-0.085, -0.531, 0.770]}
    moved = [t.assign_attrs(plate_motion=plate, reference_frame="IGS14") for t in tracks()]
    rotation = np.array(plate["mas_per_year"]) * MAS
    riding = gnss(lambda lon, lat: plate_velocity(lat, lon, rotation)[1], frame="IGS14")
    on_plate = invert_enu(moved, north=riding).compute()  # stations that ride on the plate are at rest
    np.testing.assert_allclose(on_plate.up.values[known], UP[part][known], atol=1e-7)


def test_the_datum_of_stations_does_not_depend_on_which_track_says_it(caplog):
    steady = gnss(lambda lon, lat: 0.02 + 0 * lon)
    for k in range(2):
        found = tracks(count=2)
        del found[k].attrs["reference_point"]
        got = invert_enu(found, north=steady).compute()
        np.testing.assert_allclose(got.up.values, invert_enu(found).up.values, atol=1e-7)


def test_north_is_more_certain_near_the_point_where_the_tracks_are_zero():
    made = invert_enu(tracks(count=2), north=gnss(lambda lon, lat: 0.02 + 3 * (lat - 89.9))).compute()
    at = float(made.up_std.sel(x=-179.9, y=89.95, method="nearest"))
    assert at < 0.8 * float(made.up_std.max())


def test_stations_and_fields_that_move_with_a_plate_are_told_apart():
    still, found = gnss(lambda lon, lat: 0 * lon, frame="NA12"), tracks(count=2)
    with pytest.raises(SchemaError, match="frame NA12, which moves with a plate, the tracks hold its motion"):
        invert_enu(found, north=still)
    plate = {"plate": "North America", "mas_per_year": [0.024, -0.694, -0.063]}
    moved = [t.assign_attrs(plate_motion=plate) for t in found]
    got = invert_enu(moved, north=still).compute()  # both are at rest on it
    np.testing.assert_allclose(got.up.values, invert_enu(moved).up.values, atol=1e-7)
    field = interpolate_stations(gnss(lambda lon, lat: 0.02 + 0 * lon, frame="IGS14"), found[0])
    with pytest.raises(SchemaError, match=r"in the frame IGS14, T000 refers to -179.9 89.95; give the stations"):
        invert_enu(found, north=field)


def test_enu_wants_to_know_how_well_north_is_known():
    for north in (0.02, field(0.02)):
        with pytest.raises(SchemaError, match="give north_std"):
            invert_enu(tracks(), "enu", north=north)
    wrong = field(0.0, 5.0)
    wrong["north_std"].attrs["units"] = "mm/yr"
    with pytest.raises(SchemaError, match="north_std must be in m/yr as the tracks are, got mm/yr"):
        invert_enu(tracks(), north=wrong)


def test_attributes_may_be_arrays():
    found = [t.assign_attrs(reference_point=np.array([-179.9, 89.95])) for t in tracks(count=2)]
    assert "east" in invert_enu(found)


def test_stations_that_give_no_north_are_refused():
    found, still = tracks(), gnss(lambda lon, lat: 0 * lon, frame="IGS08")
    framed = [t.assign_attrs(reference_frame="IGS14") for t in found]
    with pytest.raises(SchemaError, match="tracks are in the frame IGS14, the stations in IGS08"):
        invert_enu(framed, north=still)
    bounded = [t.assign_attrs(reference_polygon=[[0, 0], [1, 1], [1, 0]]) for t in found]
    with pytest.raises(SchemaError, match="refer to a polygon"):
        invert_enu(bounded, north=still)
    shifted = [t.rename(velocity="displacement", velocity_std="displacement_std") for t in found]
    for t in shifted:
        t.displacement.attrs["units"] = "m"
    with pytest.raises(SchemaError, match="stations have velocities, the tracks displacement"):
        invert_enu(shifted, north=still)


# --- quality --------------------------------------------------------------------------------------------------


def test_two_tracks_are_met_exactly_and_have_no_residual():
    assert not {"residual", "chi2"} & set(invert_enu(tracks(count=2)).data_vars)
    assert {"residual", "chi2"} <= set(invert_enu(tracks()).data_vars)


def test_residuals_and_chi2_tell_of_a_look_that_disagrees():
    found = tracks()
    found[2]["velocity"][...] += 0.01
    got = invert_enu(found).compute()
    three, two = got["count"].values == 3, got["count"].values == 2
    assert np.isnan(got.chi2.values[two]).all()
    assert (got.chi2.values[three] > 10).all()
    np.testing.assert_allclose(got.residual.values[:, two][np.isfinite(got.residual.values[:, two])], 0, atol=5e-9)
    y, x = np.argwhere(three)[0]
    pixel = got.isel(y=y, x=x)
    left = pixel.residual.values
    assert pixel.chi2 == pytest.approx(((left / 0.001) ** 2).sum(), rel=1e-4)
    for k, ds in enumerate(found):
        at = ds.sel(y=pixel.y, x=pixel.x, method="nearest")
        wanted = at.velocity - at.los_east * pixel.east - at.los_up * pixel.up
        assert left[k] == pytest.approx(float(wanted), abs=1e-8)


@pytest.mark.parametrize(("azimuth", "heading", "sign"), [(-90, 180.0, 1), (90, 0.0, -1)])
def test_two_tracks_of_one_direction_move_along_their_look(oracles, azimuth, heading, sign):
    """O07: H is positive toward the satellite, which is east of a descending and west of an ascending track."""
    case = oracles["O07"]
    found = two_pixels([case["m"], case["s"]], (43, 33), (azimuth, azimuth), heading=heading, look_side="right")
    got = invert_enu(found, "hu").isel(y=0, x=0)
    assert got.attrs["azimuth"] == pytest.approx(90)
    np.testing.assert_allclose([got.horizontal, got.up], [sign * case["H"], case["V"]], rtol=1e-5)
    with pytest.raises(SchemaError, match=r"one orbit direction.*solve east and up"):
        invert_enu([found[0], found[1].assign_attrs(orbit_direction="other")], "hu")


@pytest.mark.parametrize(
    ("headings", "side", "azimuth"),
    [([-12.0, -14.0], "right", 257.0), ([-168.0], "right", 102.0), ([-12.0], "left", 78.0)],
)
def test_look_azimuth_follows_heading_and_side(headings, side, azimuth):
    tracks = [xr.Dataset(attrs={"heading": h, "look_side": side, "orbit_direction": "x"}) for h in headings]
    assert look_azimuth(tracks) == pytest.approx(azimuth)


def test_look_azimuth_needs_headings():
    with pytest.raises(SchemaError, match="A001 lacks the attribute heading"):
        look_azimuth([xr.Dataset(attrs={"track": "A001", "orbit_direction": "ascending"})])


@settings(max_examples=10)
@given(
    looks=st.lists(st.tuples(st.floats(25, 45), st.floats(-180, 180)), min_size=3, max_size=5),
    motion=st.tuples(*[st.floats(-0.1, 0.1)] * 3),
)
def test_what_was_projected_comes_back(looks, motion):
    vectors = [look_vector(*look) for look in looks]
    gain = np.sqrt(np.diag(np.linalg.pinv(np.array(vectors).T @ np.array(vectors)))).max()
    found = two_pixels([np.dot(motion, v) for v in vectors], *zip(*looks, strict=True))
    got = invert_enu(found, "enu", max_gain=100).isel(y=0, x=0).compute()
    if np.linalg.matrix_rank(vectors, tol=0.01) == 3 and gain < 90:
        np.testing.assert_allclose([got.east, got.north, got.up], motion, atol=5e-6)
        fewer = invert_enu(found[:3], "enu", max_gain=1e6).isel(y=0, x=0)
        assert not got.up_std > fewer.up_std * (1 + 1e-5)


@pytest.fixture(scope="module")
def mintpy_pair(shared):
    """Velocities of an ascending and a descending track with per-pixel angles, and what MintPy makes of them."""
    folder = shared / "data/mintpy_oracles/horzvert/AT064_DT144"
    case = np.load(folder / "pixelwise.npz")
    south, north, west, east = case["SNWE"]
    window = Window.covering(125, (west, south, east, north))
    assert window.shape == case["hz"].shape
    angles = case["inc"].astype(float), case["az"].astype(float)
    found = [
        lattice_dataset(window, velocity=v, incidence_angle=i, los_azimuth_angle=a, track=name)
        for name, v, i, a in zip(("A064", "D144"), case["los"], *angles, strict=True)
    ]
    return folder, case, found


@pytest.mark.parametrize(("suffix", "components", "name"), [("", "eu", "east"), ("_az40", -40, "horizontal")])
def test_decomposition_equals_mintpy_pixel_by_pixel(mintpy_pair, suffix, components, name):
    _, case, found = mintpy_pair
    got = invert_enu(found, components).compute()
    known = np.isfinite(case["hz" + suffix])
    np.testing.assert_array_equal(got.valid.values, known)
    np.testing.assert_allclose(got[name].values[known], case["hz" + suffix][known], atol=1e-6)
    np.testing.assert_allclose(got.up.values[known], case["up" + suffix][known], atol=1e-6)


def test_decomposition_equals_the_files_of_mintpy_within_its_median_windows(mintpy_pair):
    folder, _, found = mintpy_pair
    got = invert_enu(found).compute()
    for name, file, limit in (("east", "hz_geom", 0.31e-3), ("up", "up_geom", 0.23e-3)):
        with h5py.File(folder / f"{file}.h5") as f:
            theirs = f["velocity"][:]
            corner = float(f.attrs["X_FIRST"]), float(f.attrs["Y_FIRST"])
        assert corner == pytest.approx((float(got.x[0]) - 0.004, float(got.y[0]) + 0.004))
        both = np.isfinite(theirs) & got.valid.values
        assert both.sum() > 1000
        assert np.abs(got[name].values - theirs)[both].max() <= 1.02 * limit  # the limit is given to two digits


@pytest.fixture(scope="module")
def noise_free(he5, tmp_path_factory):
    """Line-of-sight velocities of the tracks without noise, less their known ramps and datums, and their ground."""
    names = ("AT064", "AT137", "DT071", "DT144")
    root = tmp_path_factory.mktemp("noise_free")
    folder = he5 / "noisefree"
    paths = [next(folder.glob(f"SynthSen{name}/mintpy/*.he5")) for name in names]
    found = []
    for entry, name in zip(ingest(paths, root, resolution="veryLowRes"), names, strict=True):
        ds = estimate_velocity(open_track(root, entry.track))
        truth = np.load(folder / f"truth_SynthSen{name}.npz")
        at = {"y": ("y", truth["lat"][:, 0]), "x": ("x", truth["lon"][0])}
        keys = ("v_e", "v_n", "v_u", "v_los", "ramp_rate")
        ground = xr.Dataset({key: (("y", "x"), truth[key]) for key in keys}, at)
        row, col = truth["ref_yx"]
        datum = float(truth["v_los"][row, col] + truth["ramp_rate"][row, col])
        ground = ground.reindex_like(ds, method="nearest", tolerance=1e-3)
        found.append((mask_invalid(ds.assign(velocity=ds.velocity + datum - ground.ramp_rate)), ground))
    return found


@pytest.mark.parametrize("chosen", [(0, 2), (1, 3), (0, 1, 2, 3)])
def test_noise_free_tracks_give_the_truth_with_north_and_what_leaks_without(noise_free, chosen):
    tracks, grounds = zip(*(noise_free[k] for k in chosen), strict=True)
    tracks = [ds.assign(velocity=ds.velocity.assign_attrs(units="m/yr")).drop_vars("velocity_std") for ds in tracks]
    blind = invert_enu(tracks, same_datum=True).compute()
    ground = sum(g.fillna(0) for g in _on(blind, grounds)) / sum(g.notnull() for g in _on(blind, grounds))
    north = ground["v_n"].rename("north").assign_attrs(units="m/yr").to_dataset().assign_attrs(pixels_per_degree=125)
    told = invert_enu(tracks, north=north, same_datum=True).compute()
    known = told.valid.values
    assert known.sum() > 3000
    for name, key in (("east", "v_e"), ("up", "v_u")):
        np.testing.assert_allclose(told[name].values[known], ground[key].values[known], atol=1e-5)
        leaked = blind[name] - ground[key]
        predicted = blind[f"{name}_leak"] * ground["v_n"]
        np.testing.assert_allclose(leaked.values[known], predicted.values[known], atol=1e-5)
    assert np.abs(blind["up"] - ground["v_u"]).max() > 5e-4


def _on(like, grounds):
    return [g[["v_e", "v_n", "v_u"]].reindex_like(like, method="nearest", tolerance=1e-3) for g in grounds]


def test_more_looks_are_never_less_certain():
    rng = np.random.default_rng(4)
    for _ in range(20):
        sigma = rng.uniform(0.5e-3, 5e-3, 4)
        looks = [(39, 102), (34, -102), (rng.uniform(25, 46), 100), (rng.uniform(25, 46), -100)]
        found = two_pixels(np.zeros(4), *zip(*looks, strict=True))
        two = invert_enu(found[:2], sigma=list(sigma[:2])).isel(y=0, x=0).compute()
        four = invert_enu(found, sigma=list(sigma)).isel(y=0, x=0).compute()
        assert four.east_std <= two.east_std * (1 + 1e-6)
        assert four.up_std <= two.up_std * (1 + 1e-6)
