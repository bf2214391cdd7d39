"""The main job on real data: four LiCSBAS frames across the North Anatolian Fault."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import shapely
import xarray as xr

from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.catalog.tracks import open_track
from mimtpy_cloud.io.gnss import read_stations
from mimtpy_cloud.io.vectors import read_lines
from mimtpy_cloud.ops.adjustment import apply_adjustment, estimate_adjustment
from mimtpy_cloud.ops.enu import invert_enu
from mimtpy_cloud.ops.mosaic import mosaic
from mimtpy_cloud.ops.north import interpolate_stations
from mimtpy_cloud.ops.plate import remove_plate_motion
from mimtpy_cloud.ops.reference import set_reference
from mimtpy_cloud.ops.stations import project_stations
from mimtpy_cloud.ops.validation import compare_gnss
from mimtpy_cloud.ops.variance import variance_components

FRAMES = ("014A_04939_131313", "087A_04904_121313", "094D_04913_101213", "167D_04884_131212")


@pytest.fixture(scope="module")
def tracks(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, xr.Dataset]:
    root = tmp_path_factory.mktemp("anatolia")
    folder = shared / "data" / "real" / "anatolia_licsbas_4tracks"
    entries = ingest(
        [folder / frame for frame in FRAMES],
        root,
        resolution="licsbas",
        pixels_per_degree=100,
        resampling="bilinear",
    )
    return {e.track: open_track(root, e.track, resolution="licsbas") for e in entries}


def test_offsets_of_adjacent_frames_are_those_of_the_source_notes(tracks):
    # stated with the data: median differences of +4.0 and +3.7 mm/yr, by nearest resampling
    for a, b, expected in (("A014", "A087", 4.0), ("D094", "D167", 3.7)):
        joined = mosaic([tracks[a], tracks[b]], anchor=a)
        assert abs(1e3 * abs(float(joined.pair_median[0])) - expected) < 0.5


def test_the_north_anatolian_fault_is_a_sharp_east_step(shared, tracks):
    joined = [mosaic([tracks[a], tracks[b]]) for a, b in (("A014", "A087"), ("D094", "D167"))]
    east = invert_enu([set_reference(m, point=(34.5, 41.2), window=5) for m in joined]).east.compute()
    (trace,) = read_lines(shared / "data" / "real" / "anatolia_licsbas_native" / "naf_trace.xy")
    fault = shapely.LineString(trace)
    lon, lat = np.meshgrid(east.x, east.y)
    points = shapely.points(lon.ravel(), lat.ravel())
    distance = shapely.distance(points, fault) * 100  # near enough to km, either way
    at = np.interp(lon.ravel(), *trace[np.argsort(trace[:, 0])].T)
    signed = np.where(lat.ravel() > at, distance, -distance)
    along = (lon.ravel() > trace[:, 0].min()) & (lon.ravel() < trace[:, 0].max())

    def mean(near, far):
        return 1e3 * np.nanmean(east.values.ravel()[along & (signed >= near) & (signed < far)])

    north, south = mean(10, 30), mean(-30, -10)
    assert 8 < north - south < 25  # mm/yr, right-lateral
    assert abs(mean(30, 50) - north) < 5
    assert abs(mean(-50, -30) - south) < 5


def test_stations_of_an_independent_network_take_away_the_offsets_of_frames(shared, tracks):
    stations = read_stations(shared / "data/real/gnss_midas/midas.IGS08.turkey.txt")
    tied = {name: set_reference(ds, stations=stations, window=5) for name, ds in tracks.items()}
    fixed = {name: remove_plate_motion(ds, "Eurasia") for name, ds in tied.items()}
    for a, b in (("A014", "A087"), ("D094", "D167")):
        before, after = (1e3 * abs(float(mosaic([s[a], s[b]], anchor=a).pair_median[0])) for s in (tracks, fixed))
        assert before > 3.4
        assert after < 1.5  # mm/yr: no station lies in both, the tie of a frame is good to 0.5 to 2
    for name, ds in tied.items():
        assert ds.attrs["reference_frame"] == "IGS08"
        assert len(ds.attrs["reference_stations"]) > 10
        seen = project_stations(ds, stations, window=5).compute()
        assert abs(float((seen["observed"] - seen["los"]).median())) < 2e-3, name


def test_north_between_stations_is_that_of_the_field_of_the_frames(shared, tracks):
    stations = read_stations(shared / "data" / "real" / "gnss_midas" / "midas.IGS08.turkey.txt")
    field = interpolate_stations(stations, tracks["A014"]).compute()
    with h5py.File(shared / "data" / "real" / "anatolia_licsbas_4tracks" / "GNSS" / "interp_N.grd") as file:
        known = xr.DataArray(file["z"][:], {"y": file["lat"][:], "x": file["lon"][:]}, ("y", "x"))
    apart = 1e3 * field.north - known.interp(x=field.x, y=field.y)  # mm/yr, in another frame
    assert float(apart.std()) < 1.5
    assert 0.5 < 1e3 * float(field.north_std.median()) / float(apart.std()) < 4


def test_north_of_stations_changes_up_and_hardly_east(shared, tracks):
    stations = read_stations(shared / "data" / "real" / "gnss_midas" / "midas.IGS08.turkey.txt")
    joined = [mosaic([tracks[a], tracks[b]]) for a, b in (("A014", "A087"), ("D094", "D167"))]
    referred = [set_reference(m, point=(34.5, 41.2)) for m in joined]
    plain, made = invert_enu(referred).compute(), invert_enu(referred, north=stations).compute()
    names = ["east", "up"]
    change = 1e3 * (made[names] - plain[names])
    assert abs(change.east).quantile(0.95) < 0.2
    assert 0.1 < abs(change.up).quantile(0.95) < 2
    assert float(made.up_std.median()) > float(plain.up_std.median())


def test_four_tied_frames_agree_with_stations_that_were_held_out(shared, tracks):
    """The case of docs/anatolia.md, whose numbers come from here."""
    stations = read_stations(shared / "data/real/gnss_midas/midas.IGS08.turkey.txt")
    csi = read_stations(shared / "data/real/anatolia_csi_varres/GNSS.enu")
    near = stations.sortby("lon")
    inside = (near.lon > 31.4) & (near.lon < 37.8) & (near.lat > 39.3) & (near.lat < 42.5)
    held = near.isel(station=np.flatnonzero(inside)[2::5])
    kept = stations.isel(station=~np.isin(stations.station, held.station))
    tied = []
    for names in (("A014", "A087"), ("D094", "D167")):
        frames = [tracks[name] for name in names]
        adjustment = estimate_adjustment(frames, ties=kept).compute()
        tied += [remove_plate_motion(apply_adjustment(ds, adjustment), "Eurasia") for ds in frames]
    scales = variance_components(tied, north=kept).compute()
    assert ((scales.scale > 1.2) & (scales.scale < 4)).all()
    plain, enu = (invert_enu(tied, north=kept, sigma=sigma).compute() for sigma in (None, scales))
    assert float(plain.chi2.mean()) > 2.5
    assert abs(float(enu.chi2.mean()) - 1) < 0.15

    def rms(ds, table, component="east"):
        report = compare_gnss(ds, table, components=[component], window=5).compute()
        return 1e3 * float(report["rms"][0]), int(report["count"][0])

    spare = enu.assign(east=enu.east.where(enu["count"] >= 3), east_std=enu.east_std.where(enu["count"] >= 3))
    two = enu.assign(east=enu.east.where(enu["count"] == 2), east_std=enu.east_std.where(enu["count"] == 2))
    assert 1.0 < rms(enu, held)[0] < 6.0
    assert 1.0 < rms(enu, held, "up")[0] < 6.0
    assert rms(spare, kept)[0] < 0.6 * rms(two, kept)[0]
    assert rms(spare, csi)[0] < 0.6 * rms(two, csi)[0]
    assert rms(enu, csi)[1] >= 20


def test_frames_agree_with_gnss_but_for_a_constant(shared, tracks):
    stations = read_stations(shared / "data/real/gnss_midas/midas.IGS08.turkey.txt")
    for name, ds in tracks.items():
        found = compare_gnss(ds, stations, window=5).compute()
        one = found.sel(component="los")
        assert 8 <= int(one["count"]) <= 16, name
        assert abs(float(one["offset"])) > 3 * float(one["offset_std"]) * (name != "A014"), name
        assert float(one["rms_after"]) < min(6e-3, 0.8 * float(one["rms"])), name
        assert abs(float(one["slope"]) - 1) < 3 * float(one["slope_std"]), name
        assert float(one["chi2"]) > 1, name  # a standard deviation of a pixel is not that of a frame
        assert found.attrs["frame"] == "IGS08"
        assert "the offset holds the motion of that place" in found.attrs["frame_note"]
    assert float(compare_gnss(tracks["D094"], stations, window=5)["correlation"][0]) > 0.9


def test_stations_that_were_held_out_agree_with_a_track_tied_to_the_others(shared, tracks):
    stations = read_stations(shared / "data/real/gnss_midas/midas.IGS08.turkey.txt")
    for name, ds in tracks.items():
        plain = compare_gnss(ds, stations, window=5).compute()
        used = plain["station"].values[plain["left_out"].values[0] == 0]
        residuals = []
        for half in (used[::2], used[1::2]):
            tied = set_reference(ds, stations=stations.sel(station=half), window=5)
            rest = compare_gnss(tied, stations, window=5, exclude=half).compute()
            assert rest.attrs["tied"] == []
            assert rest.attrs["product_frame"] == "IGS08"
            residuals += rest["residual"].values[0].tolist()
        held_out = float(np.sqrt(np.nanmean(np.square(residuals))))
        assert np.isfinite(residuals).sum() == used.size
        assert held_out < float(plain["rms"][0]), name  # no offset is subtracted
        assert held_out < 6e-3, name


def test_east_of_the_decomposition_is_that_of_gnss_and_up_is_too_small_to_tell(shared, tracks):
    stations = read_stations(shared / "data/real/gnss_midas/midas.IGS08.turkey.txt")
    joined = [mosaic([tracks[a], tracks[b]]) for a, b in (("A014", "A087"), ("D094", "D167"))]
    found = compare_gnss(
        invert_enu([set_reference(m, point=(34.5, 41.2)) for m in joined]), stations, window=5
    ).compute()
    east, up = (found.sel(component=name) for name in ("east", "up"))
    assert abs(float(east["slope"]) - 1) < 3 * float(east["slope_std"]) < 0.5
    assert float(east["correlation"]) > 0.8
    assert float(east["rms_after"]) < 5e-3
    assert float(up["slope_std"]) > 1 or np.isnan(float(up["slope"]))
    assert float(abs(east["expected"]).max()) > 5 * float(abs(up["expected"].where(up["left_out"] == 0)).median())
