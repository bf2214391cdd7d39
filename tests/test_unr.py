"""A server with the layout of the Nevada Geodetic Laboratory is searched by box and by name."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from test_tenv3 import RATES, lines

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.stations import search_table
from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.exports.stations import write_stations
from mimtpy_cloud.io.gnss import read_stations
from mimtpy_cloud.io.unr import find_station_list, read_midas, read_station_list, read_unr_series

HOLDINGS = """Sta  Lat(deg)   Long(deg)    Hgt(m)   X(m)  Y(m)  Z(m)  Dtbeg Dtend Dtmod NumSol StaOrigName
ANKR  39.8874   32.7585   976.0  1.0  2.0  3.0  1995-06-21 2024-01-01 2024-01-10 9000 ankr
TOKA  40.3310   36.5600   620.0  1.0  2.0  3.0  2009-01-01 2024-01-01 2024-01-10 5000
FARR  10.0000  350.0000     0.0  1.0  2.0  3.0  2009-01-01 2024-01-01 2024-01-10 5000
"""
NAMES = ("ANKR", "TOKA", "FARR")
#: Label, first and last epoch, duration, numbers of epochs and pairs; velocities, sigmas, offsets, outliers, steps.
MIDAS = "{name} MIDAS5 2010.0 2024.0 14.0 5000 4900 9000 {east} {north} {up} 0.0003 0.0004 0.0009" + " 0" * 10


def write_server(folder: Path) -> None:
    """Write what the server has: a list, a MIDAS table of the old layout, the series of one of two stations."""
    for name, text in {
        "NGLStationPages/DataHoldings.txt": HOLDINGS,
        "velocities/midas.IGS14.txt": "\n".join(
            MIDAS.format(name=name, east=k / 100, north=0.01, up=-0.001) for k, name in enumerate(NAMES)
        ),
        "gps_timeseries/tenv3/IGS14/ANKR.tenv3": "\n".join(lines()),
        "gps_timeseries/tenv3/plates/EU/ANKR.EU.tenv3": "\n".join(lines(days=900)),
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("unr")
    write_server(folder)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def run(*args: object, code: int = 0, **env: str) -> str:
    result = CliRunner().invoke(cli, [str(arg) for arg in args], env={"MIMTPY_GNSS_URL": "", **env})
    assert result.exit_code == code, result.output
    return result.output


def test_a_list_says_where_stations_are_and_longitudes_are_brought_into_range(server):
    found = read_station_list(find_station_list(server))
    assert found.station.values.tolist() == ["ANKR", "TOKA", "FARR"]
    np.testing.assert_allclose(found.lon, [32.7585, 36.56, -10.0])
    assert not found.data_vars


def test_a_list_without_heading_is_read_and_a_broken_line_is_named(tmp_path):
    (tmp_path / "llh.out").write_text("ANKR 39.8874 32.7585 976.0\nTOKA 40.331 36.56 620.0\n")
    assert read_station_list(tmp_path / "llh.out").lat.values.tolist() == [39.8874, 40.331]
    (tmp_path / "llh.out").write_text("ANKR 39.8874 32.7585 976.0\nTOKA north 36.56 620.0\n")
    with pytest.raises(SourceFormatError, match=r"llh\.out, line 2: expected a list of stations.*got 'TOKA north"):
        read_station_list(tmp_path / "llh.out")
    (tmp_path / "llh.out").write_text("<html>moved</html>")
    with pytest.raises(SourceFormatError, match="has no station"):
        read_station_list(tmp_path / "llh.out")


def test_a_midas_table_without_coordinates_gets_them_from_the_list(server):
    found = read_midas(server, frame="IGS14")
    np.testing.assert_allclose(found.east, [0.0, 0.01, 0.02])
    np.testing.assert_allclose(found.lat, [39.8874, 40.331, 10.0])
    assert found.attrs["frame"] == "IGS14"


def test_velocities_come_from_the_series_of_those_that_have_one(server, caplog):
    found = read_unr_series(server, ["ANKR", "TOKA"])
    assert found.station.values.tolist() == ["ANKR"]
    assert "left out 1 stations without positions in IGS14: TOKA" in caplog.text
    motion = [float(found[name][0]) for name in ("east", "north", "up")]
    np.testing.assert_allclose(motion, RATES, atol=3e-3)
    assert read_unr_series(server, ["ANKR"], frame="EU").attrs["frame"] == "EU"


def test_what_a_server_does_not_have_is_named(server, tmp_path):
    with pytest.raises(StorageError, match=r"no daily positions in IGS14 of TOKA; name another frame"):
        read_unr_series(server, ["TOKA"])
    with pytest.raises(StorageError, match=r"has no velocities/midas\.IGS99\.txt; name another frame"):
        read_midas(server, frame="IGS99")
    with pytest.raises(StorageError, match=r"no list of stations; expected NGLStationPages/DataHoldings\.txt or"):
        find_station_list(str(tmp_path))


def test_a_table_that_is_written_reads_back_the_same(tmp_path):
    values = np.random.default_rng(0).normal(0, 0.01, (6, 3))
    values[5, 1] = values[2, 2] = np.nan
    names = ("east", "north", "up", "east_std", "north_std", "up_std")
    data = {name: ("station", row) for name, row in zip(names, values, strict=True)}
    places = {"lon": ("station", [-179.5, 0.1, 36.123456789]), "lat": ("station", [-80.0, 0.0, 40.0])}
    stations = xr.Dataset(data, {"station": ["A", "B C", "D"], **places}, {"frame": "IGS14"})
    write_stations(stations, tmp_path / "out.csv")
    back = read_stations(tmp_path / "out.csv")
    for name in (*names, "lon", "lat"):
        np.testing.assert_array_equal(back[name], stations[name])
    assert back.station.values.tolist() == ["A", "B C", "D"]
    assert back.attrs["frame"] == "IGS14"
    write_stations(stations.assign_attrs(frame=""), tmp_path / "out.csv")
    assert read_stations(tmp_path / "out.csv").attrs["frame"] == ""


def test_command_searches_a_server_by_box_and_by_name(server, tmp_path):
    out = tmp_path / "found.csv"
    assert run("stations", "--url", server, "--bbox", 30, 39, 34, 41, "--out", out).endswith(f"{out}\n")
    assert read_stations(out).station.values.tolist() == ["ANKR"]
    text = run("stations", "--name", "toka", MIMTPY_GNSS_URL=server)
    assert "1 stations in IGS14" in text
    words = text.splitlines()[-1].split()
    assert words[:3] == ["TOKA", "36.5600", "40.3310"]
    assert words[3:] == ["10.00", "10.00", "-1.00", "0.30", "0.40", "0.90"]
    assert "20.00" in run("stations", "--url", server, "--bbox", 345, 5, 355, 15)  # by whole turns of the longitude
    series = run("stations", "--url", server, "--bbox", 30, 39, 38, 41, "--series")
    assert series.splitlines()[-1].startswith("ANKR")


def test_command_searches_a_table(server, tmp_path):
    run("stations", "--url", server, "--out", tmp_path / "all.csv")
    text = run("stations", "--table", tmp_path / "all.csv", "--bbox", 36, 39, 37, 41)
    assert "TOKA" in text
    assert "ANKR" not in text


def test_command_says_what_is_wrong(server, tmp_path):
    for args, says in (
        ((), "expected --table FILE, or --url URL (or $MIMTPY_GNSS_URL)"),
        (("--table", tmp_path / "none.csv"), "no such file"),
        (("--table", tmp_path / "none.csv", "--series"), "--series is for --url"),
        (("--url", server, "--units", "mm/yr"), "--units and --coordinates are for --table"),
        (("--url", server, "--series"), "give a box or names"),
        (("--url", server, "--name", "ANKX"), "no station ANKX; there are ANKR"),
        (("--url", server, "--bbox", 0, 0, 1, 1), "none of the 3 stations"),
        (("--url", server, "--bbox", 3, 0, 1, 1), "west < east"),
    ):
        assert says in run("stations", *args, code=2), args


def test_stations_of_a_real_table_are_those_that_its_coordinates_put_into_the_box(shared):
    folder = shared / "data" / "real" / "gnss_midas"
    rows = [line.split(",")[:3] for line in (folder / "stations.turkey.csv").read_text().splitlines()[1:]]
    named = {line.split()[0] for line in (folder / "midas.IGS08.turkey.txt").read_text().splitlines()}
    inside = {name for name, lat, lon in rows if 39 <= float(lat) <= 41 and 31 <= float(lon) <= 33 and name in named}
    found = search_table(str(folder / "midas.IGS08.turkey.txt"), (31, 39, 33, 41), ())
    assert set(found.station.values) <= inside
    assert len(inside) - found.sizes["station"] <= 1  # two marks at one place are one station
    assert found.attrs["frame"] == "IGS08"


def test_a_table_is_not_replaced_by_a_part_of_it(tmp_path):
    table = tmp_path / "stations.csv"
    table.write_text("station,lon,lat,east (m/yr),north (m/yr),up (m/yr)\nA,30,40,0,0,0\nB,31,40,0,0,0\n")
    before = table.read_text()
    said = run("stations", "--table", table, "--name", "A", "--out", table, code=2)
    assert "is what the product is made from and would be lost" in said
    assert table.read_text() == before
