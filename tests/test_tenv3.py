"""Daily positions of the Nevada Geodetic Laboratory become velocities of stations."""

import datetime as dt

import fsspec
import numpy as np
import pytest
from pyproj import Geod

from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.io.gnss import read_stations

HEADING = (
    "site YYMMMDD yyyy.yyyy __MJD week d reflon _e0(m) __east(m) ____n0(m) _north(m) u0(m) ____up(m) _ant(m) sig_e(m) "
    "sig_n(m) sig_u(m) __corr_en __corr_eu __corr_nu"
)
PLACE = "_latitude(deg) _longitude(deg) __height(m)"
MJD0 = dt.date(1858, 11, 17)
RATES = np.array([0.0213, -0.0047, 0.0011])
SEASON = np.array([0.003, 0.002, 0.008])
LON, LAT = 32.7585, 39.8874


def lines(site="ANKR", rates=RATES, lon=LON, lat=LAT, *, new=True, days=2600, start=dt.date(2010, 3, 1), noise=0.002):
    """Positions with a season, two steps, outliers and a gap."""
    random = np.random.default_rng(int.from_bytes(site.encode()))
    meridian = round(lon, 1)
    sine = np.sin(np.deg2rad(lat))
    east = np.deg2rad(lon - meridian) * 6378137 * np.sqrt((1 - sine**2) / (1 - 0.0066943799901 * sine**2))
    north = np.copysign(Geod(ellps="WGS84").inv(lon, 0, lon, lat)[2], lat)
    origin = np.array([east, north, 976.0])
    whole = np.trunc(origin)
    out = [f"{HEADING} {PLACE}" if new else HEADING]
    for k in range(days):
        if days // 2 < k < days // 2 + 100:
            continue
        day = start + dt.timedelta(days=k)
        years = k / 365.25
        x = origin + rates * years + SEASON * np.sin(2 * np.pi * years) + random.normal(0, noise, 3)
        x += np.array([0.04, -0.02, 0.03]) * (k > days * 0.6) + 0.2 * (random.random() < 0.02)
        rest = x - whole
        text = (
            f"{site} {day:%y%b%d} {2000 + years:.4f} {(day - MJD0).days} 1573 0 {meridian:6.1f} {whole[0]:6.0f} "
            f"{rest[0]:9.6f} {whole[1]:9.0f} {rest[1]:9.6f} {whole[2]:5.0f} {rest[2]:9.6f} 0.0600 0.000771 0.001002 "
            "0.003364 -0.017130 0.014898 -0.175585"
        )
        out.append(
            text.replace(f"{day:%b}", f"{day:%b}".upper())
            + (f" {lat:.10f} {lon - 360 * (lon > 0):.10f} 976.0" if new else "")
        )
    return out


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(content) + "\n")
    return path


def test_velocity_place_and_frame_of_one_series(tmp_path):
    ds = read_stations(write(tmp_path, "ANKR.IGS14.tenv3", lines()))
    assert ds.station.values.tolist() == ["ANKR"]
    assert ds.attrs["frame"] == "IGS14"
    assert (ds.lon.item(), ds.lat.item()) == pytest.approx((LON, LAT), abs=1e-9)  # the file has -327
    found = np.array([ds[name].item() for name in ("east", "north", "up")])
    sigma = np.array([ds[f"{name}_std"].item() for name in ("east", "north", "up")])
    assert (abs(found - RATES) < 6e-4).all()
    assert (sigma > 0).all()
    assert (abs(found - RATES) < 4 * sigma).all()
    assert all(ds[name].attrs["units"] == "m/yr" for name in ds.data_vars)


@pytest.mark.parametrize(("lon", "lat"), [(LON, LAT), (-112.8438158344, 38.6235432767), (130.843984, -12.46664)])
def test_older_files_tell_the_place_by_meridian_east_and_north(tmp_path, lon, lat):
    old = read_stations(write(tmp_path, "ANKR.tenv3", lines(lon=lon, lat=lat, new=False)))
    assert (old.lon.item(), old.lat.item()) == pytest.approx((lon, lat), abs=2e-5)
    new = read_stations(write(tmp_path, "new.tenv3", lines(lon=lon, lat=lat)))
    assert old.east.item() == new.east.item()


def test_a_line_of_the_laboratory_gives_its_place(tmp_path):
    line = (
        "COVE 10JUL28 2010.5708 55405 1594 3 -112.8  -3815 -0.638876   4276712  0.811250  1687  0.349158  0.1800 "
        "0.000902 0.000992 0.004512  0.091352 -0.536983  0.041338"
    )
    later = line.replace("10JUL28 2010.5708 55405", "12JUL28 2012.5736 56136")
    ds = read_stations(write(tmp_path, "COVE.tenv3", [line, later]))
    assert (ds.lon.item(), ds.lat.item()) == pytest.approx((-112.8438158344, 38.6235432767), abs=1e-8)
    assert ds.east.item() == 0.0


def test_a_folder_a_pattern_and_a_sequence_are_read_as_one_table(tmp_path):
    sites = {"ANKR": (0.02, LON), "IZMI": (0.01, 27.08), "TUBI": (0.0, 29.45)}
    files = [
        write(tmp_path, f"{site}.IGS14.tenv3", lines(site, np.array([rate, 0, 0]), lon))
        for site, (rate, lon) in sites.items()
    ]
    write(tmp_path, "readme.txt", ["no series"])
    for given in (tmp_path, f"{tmp_path}/*.IGS14.tenv3", files):
        ds = read_stations(given)
        assert ds.station.values.tolist() == list(sites)
        assert ds.attrs["frame"] == "IGS14"
        np.testing.assert_allclose(ds.east, [rate for rate, _ in sites.values()], atol=6e-4)
    joined = write(tmp_path / "one", "all.tenv3", [*lines("ANKR"), *lines("IZMI", lon=27.08)])
    assert read_stations(joined, frame="ITRF2014").station.values.tolist() == ["ANKR", "IZMI"]


def test_series_are_read_from_urls():
    fs = fsspec.filesystem("memory")
    fs.pipe("/igs/IGS20/ANKR.tenv3", "\n".join(lines()).encode())
    assert read_stations("memory://igs/IGS20").attrs["frame"] == "IGS20"
    assert read_stations("memory://igs/IGS20/*.tenv3").sizes["station"] == 1


@pytest.mark.parametrize(
    ("name", "frame"), [("P123.NA.tenv3", "NA"), ("IGS14/P123.tenv3", "IGS14"), ("series/P123.tenv3", "")]
)
def test_the_frame_is_that_of_the_name_or_the_folder(tmp_path, name, frame):
    assert read_stations(write(tmp_path, name, lines(days=500))).attrs["frame"] == frame


def test_short_series_are_left_out(tmp_path, caplog):
    write(tmp_path, "ANKR.tenv3", lines())
    write(tmp_path, "IZMI.tenv3", lines("IZMI", lon=27.08, days=300))
    assert read_stations(tmp_path).station.values.tolist() == ["ANKR"]
    assert "left out IZMI, of which no two days lie a year apart" in caplog.text
    with pytest.raises(SourceFormatError, match="has no station; expected series of a year or more"):
        read_stations(tmp_path / "IZMI.tenv3")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("10MAR05", "10MAR06", "line 6: expected the modified Julian day of 10MAR06"),
        ("10MAR05", "10MAT05", "line 6: expected the modified Julian day of 10MAT05"),
        ("-0.175585 39.88", "39.88", "line 2: expected the 20 or 23 columns of tenv3"),
        ("1573 0   32.8", "1573 0   east", "line 2: expected numbers after the day"),
        ("1573 0   32.8", "1573 0   32.8\n", "line 2: expected the 20 or 23 columns"),
    ],
)
def test_malformed_lines_are_named(tmp_path, old, new, message):
    text = "\n".join(lines(days=500))
    assert old in text
    path = write(tmp_path, "ANKR.tenv3", [text.replace(old, new, 1)])
    with pytest.raises(SourceFormatError, match=message):
        read_stations(path)


def test_infinite_positions_days_that_occur_twice_and_false_places_are_refused(tmp_path):
    head, first, *rest = lines(days=500)
    words = first.split()
    infinite = " ".join([*words[:8], "nan", *words[9:]])
    with pytest.raises(SourceFormatError, match="line 2: expected finite positions"):
        read_stations(write(tmp_path, "a.tenv3", [head, infinite, *rest]))
    with pytest.raises(SourceFormatError, match="has a day of ANKR twice"):
        read_stations(write(tmp_path, "a.tenv3", [head, first, first, *rest]))
    last = " ".join([*rest[-1].split()[:20], "99.0", "32.0", "0"])
    with pytest.raises(SourceFormatError, match=r"longitude and latitude of ANKR in degrees, got 32.0, 99.0"):
        read_stations(write(tmp_path, "a.tenv3", [head, first, *rest[:-1], last]))


def test_series_of_two_frames_or_other_tables_are_not_joined(tmp_path):
    a = write(tmp_path, "ANKR.IGS14.tenv3", lines(days=500))
    b = write(tmp_path, "IZMI.EU.tenv3", lines("IZMI", days=500))
    with pytest.raises(SourceFormatError, match=r"series of one frame are expected, got IGS14 and, in .*EU; read them"):
        read_stations(tmp_path)
    table = write(tmp_path, "table.csv", ["station,lon,lat,ve,vn [mm/yr]", "A,30,40,1,2"])
    with pytest.raises(SourceFormatError, match=r"table.csv is no tenv3 series"):
        read_stations([a, table])
    assert b.exists()


def test_a_pattern_or_folder_without_series_is_an_error(tmp_path):
    for given in (tmp_path, f"{tmp_path}/*.tenv3"):
        with pytest.raises(StorageError, match=r"cannot read .* it names no file"):
            read_stations(given)
    with pytest.raises(StorageError, match="it names no file"):
        read_stations([])


def test_other_parts_of_a_name_are_no_frame(tmp_path):
    for name in ("me/ANKR.tenv3", "IN_2020/ANKR.final.tenv3"):
        assert read_stations(write(tmp_path, name, lines())).attrs["frame"] == ""
    assert read_stations(write(tmp_path, "EU/ANKR.final.tenv3", lines())).attrs["frame"] == "EU"


def test_a_series_has_one_meridian(tmp_path):
    text = lines()
    text[-1] = text[-1].replace("  32.8 ", "  33.8 ")
    with pytest.raises(SourceFormatError, match="changes the reference meridian of ANKR; expected one"):
        read_stations(write(tmp_path, "ANKR.tenv3", text))
