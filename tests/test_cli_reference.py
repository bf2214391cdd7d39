"""``mimtpy reference``: points, areas, stations, dates and plates from the shell."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from smallproducts import RATES, WINDOW, track, write_stations, write_velocity
from synthetic import lattice_dataset

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.products import open_product, write_store
from mimtpy_cloud.ops.enu import invert_enu
from mimtpy_cloud.ops.plate import remove_plate_motion
from mimtpy_cloud.ops.reference import set_reference

POINT = (float(WINDOW.x[3]), float(WINDOW.y[2]))
#: Project of the product, and what its name says of the point.
NAME, AT = "SynthSenAT064", "33.028_39.98"


def run(*args, code=0):
    result = CliRunner().invoke(cli, ["reference", *map(str, args)], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


@pytest.fixture
def velocity(tmp_path):
    return write_velocity(tmp_path)


@pytest.fixture
def stations(tmp_path):
    return write_stations(tmp_path)


def test_a_point_becomes_zero_and_the_product_says_how(velocity, tmp_path):
    out = tmp_path / "at.zarr"
    assert run(velocity, "--point", *POINT, "--window", 3, "--out", out).stdout == f"{out}\n"
    result = open_product(str(out))
    expected = set_reference(track(), point=POINT, window=3)
    np.testing.assert_allclose(result["velocity"], expected["velocity"], atol=1e-9)
    np.testing.assert_allclose(result["reference_velocity"], expected["reference_velocity"], rtol=1e-6)
    assert result.attrs["reference_point"] == pytest.approx(POINT)
    assert result.attrs["provenance"] == {
        "step": "reference", "datasets": [str(velocity)], "point": list(POINT), "revisions": ["r1"]
    }  # fmt: skip


def test_a_folder_gets_store_map_and_figure(velocity, tmp_path):
    lines = run(velocity, "--point", *POINT, "--out", tmp_path / "out").stdout.splitlines()
    assert lines == [f"{tmp_path}/out/{NAME}_velocity_ref_{AT}.{suffix}" for suffix in ("zarr", "tif", "png")]
    tiff = run(lines[1], "--point", WINDOW.x[0], WINDOW.y[0], "--out", tmp_path / "again.tif")
    result = open_product(tiff.stdout.strip())
    np.testing.assert_allclose(result["velocity"], RATES - RATES[0, 0], atol=1e-7)


def test_an_area_of_a_file_becomes_zero(velocity, tmp_path):
    half = 0.5 / WINDOW.n
    west, east, south, north = WINDOW.x[1] - half, WINDOW.x[4] + half, WINDOW.y[5] - half, WINDOW.y[2] + half
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    collection = {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": {}, "geometry": geometry}],
    }
    (tmp_path / "area.geojson").write_text(json.dumps(collection))
    run(velocity, "--polygon", tmp_path / "area.geojson", "--out", tmp_path / "area.zarr")
    result = open_product(str(tmp_path / "area.zarr"))
    np.testing.assert_allclose(result["reference_velocity"], RATES[2:6, 1:5].mean(), rtol=1e-5)
    np.testing.assert_allclose(result["velocity"], RATES - RATES[2:6, 1:5].mean(), atol=1e-7)


def test_stations_and_a_plate_give_a_plate_fixed_track(velocity, stations, tmp_path):
    out = tmp_path / "tied.zarr"
    result = run(velocity, "--stations", stations, "--units", "mm/yr", "--plate", "eurasia", "--out", out)
    assert "6 stations of IGS14 lie in the product" in result.stderr
    from mimtpy_cloud.io.gnss import read_stations

    tied = set_reference(track(), stations=read_stations(stations, units="mm/yr"))
    stored = open_product(str(out))
    np.testing.assert_allclose(stored["velocity"], remove_plate_motion(tied, "Eurasia")["velocity"], atol=1e-8)
    np.testing.assert_allclose(stored["reference_velocity"], tied["reference_velocity"], rtol=1e-6)
    assert int(stored["reference_count"]) == 6
    assert stored.attrs["reference_frame"] == "IGS14"
    assert stored.attrs["plate_motion"]["plate"] == "Eurasia"


def test_components_of_a_decomposition_are_referred_and_drawn(tmp_path):
    tracks = [track(los_azimuth_angle=a, track=t) for a, t in ((102, "A014"), (-102, "D094"))]
    write_store(invert_enu(tracks), str(tmp_path / "east_up.zarr"), provenance={})
    lines = run(tmp_path / "east_up.zarr", "--point", *POINT, "--out", tmp_path / "out").stdout.splitlines()
    names = [line.removeprefix(f"{tmp_path}/out/") for line in lines]
    assert names[:3] == [f"{NAME}_east_up_ref_{AT}{end}" for end in (".zarr", "_east.tif", "_up.tif")]
    result = open_product(lines[0])
    assert float(result["east"][2, 3]) == float(result["up"][2, 3]) == 0.0


def test_a_series_gets_another_date_and_is_written_as_a_store(tmp_path):
    series = lattice_dataset(WINDOW, dates=["2020-01-01", "2020-01-13", "2021-01-31"], velocity=RATES).chunk(time=1)
    write_store(series, str(tmp_path / "series.zarr"), provenance={})
    run(tmp_path / "series.zarr", "--date", "2020-01-13", "--point", *POINT, "--out", tmp_path / "s.zarr")
    result = open_product(str(tmp_path / "s.zarr"))
    assert (result["displacement"][1] == 0).all()
    assert (abs(result["displacement"][:, 2, 3]) < 1e-9).all()
    assert result.attrs["reference_date"] == "2020-01-13"
    error = run(tmp_path / "series.zarr", "--date", "2020-01-13", "--out", tmp_path / "folder/", code=2).stderr
    assert "error: the product is a time series, which is written as .zarr; give --out NAME.zarr" in error


def test_mistakes_get_one_line(velocity, stations, tmp_path):
    cases = [
        (("--plate", "Atlantis"), "error: unknown plate 'Atlantis'; choose Antarctica, Arabia, "),
        (("--stations", stations), "does not say the unit of its velocities; give units='mm/yr'"),
        (("--point", 0, 0), "error: reference point (0.0, 0.0) (lon, lat) lies outside the grid"),
        (("--point", *POINT, "--window", 2), "error: window must be an odd number of pixels, got 2"),
        (("--point", *POINT, "--polygon", stations), "error: "),
        (("--polygon", tmp_path / "no.geojson"), "error: no such file: "),
        (("--date", "20200101"), "error: the dataset needs displacement"),
    ]
    for args, says in cases:
        result = run(velocity, *args, "--out", tmp_path / "x.zarr", code=2)
        (line,) = (line for line in result.stderr.splitlines() if "error: " in line)
        assert says in line
        assert not (tmp_path / "x.zarr").exists()
    far = tmp_path / "far.csv"
    far.write_text("station,lon,lat,ve (mm/yr),vn (mm/yr)\nA,0,0,1,1\nB,1,1,1,1\n")
    error = run(velocity, "--stations", far, "--out", tmp_path / "x.zarr", code=2).stderr
    assert "none of the 2 stations can be used in the grid [33, 39.936, 33.08, 40]: 2 outside" in error
    assert "expected one of --point, --polygon and --stations" in run(velocity, code=2).stderr
    assert "requires 2 arguments: LON LAT" in run(velocity, "--point", 1, code=2).stderr


def test_horizontal_velocities_serve_if_asked(velocity, tmp_path):
    table = tmp_path / "flat.csv"
    rows = [f"{WINDOW.x[k]},{WINDOW.y[k]},{k},{-k},1,1" for k in range(5)]
    table.write_text("\n".join(["lon,lat,ve (mm/yr),vn (mm/yr),se,sn", *rows]))
    error = run(velocity, "--stations", table, "--out", tmp_path / "x.zarr", code=2).stderr
    assert "5 without up velocity, which up='zero' takes as zero" in error
    result = run(velocity, "--stations", table, "--up-zero", "--out", tmp_path / "x.zarr")
    assert "5 stations of an unknown frame" in result.stderr


def test_tracks_of_one_frame_are_decomposed_without_a_warning(tmp_path, stations, caplog):
    for azimuth, name in ((102.0, "A014"), (-102.0, "D094")):
        ds = track(los_azimuth_angle=azimuth, track=name)
        write_store(ds, str(tmp_path / f"{name}.zarr"), provenance={})
        run(
            tmp_path / f"{name}.zarr",
            "--stations",
            stations,
            "--units",
            "mm/yr",
            "--out",
            tmp_path / f"{name}_tied.zarr",
        )
    names = [str(tmp_path / f"{name}_tied.zarr") for name in ("A014", "D094")]
    done = CliRunner().invoke(cli, ["decompose", *names, "--out", str(tmp_path / "eu.zarr")])
    assert done.exit_code == 0, done.output
    assert not caplog.messages
