"""Tables of GNSS velocities: every format to metres a year, or an error that names the line."""

from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.io.gnss import read_stations

MIDAS_OLD = (
    "ADAN MIDAS4 2009.0431 2015.8303  6.7872 2320 2320   3955  0.015474  0.012127  0.000185  0.001581 0.002840 0.001174"
    "  -0.001004   0.000767  -0.000700 0.036 0.001 0.045 0.012983 0.023743 0.009595  0"
)
PBO = """PBO Velocity file from analysis center: SYN
Format Version: 1.1.0
Reference Frame : NAM08
Start Field Description
Dot#        4-character identifier for a given station
End Field Description
*Dot#     Name           Ref_epoch      Ref_jday      Ref_X          Ref_Y           Ref_Z         Ref_Nlat       \
Ref_Elong     Ref_Up   dX/dt    dY/dt   dZ/dt    SXd     SYd     SZd    Rxy    Rxz    Ryz      dN/dt     dE/dt    \
dU/dt    SNd     SEd     SUd     Rne     Rnu    Reu   first_epoch   last_epoch
 P159 Cape Mendo_CN3   20140101120000 56658.5000 -2668110.0 -4086700.0 4083790.0 40.5047 236.7180 100.0 \
0.001 0.002 0.003 0.0001 0.0002 0.0003 0.1 0.2 0.3 0.01234 -0.00567 0.00089 0.00021 0.00032 0.00143 \
0.0 0.0 0.0 20050101120000 20180101120000
"""


def write(folder: Path, text: str, name: str = "table.txt") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def values(ds: xr.Dataset, station: str) -> list[float]:
    at = ds.sel(station=station)
    return [float(at[name]) for name in ("east", "north", "up", "east_std", "north_std", "up_std")]


def test_midas_of_the_old_layout_takes_coordinates_from_the_table_beside(shared):
    ds = read_stations(shared / "data/real/gnss_midas/midas.IGS08.turkey.txt")
    assert ds.sizes == {"station": 193}
    assert (ds.attrs["frame"], ds.attrs["source"][-10:]) == ("IGS08", "turkey.txt")
    assert values(ds, "ADAN") == [0.015474, 0.012127, 0.000185, 0.001581, 0.002840, 0.001174]
    assert (float(ds.lon.sel(station="ADAN")), float(ds.lat.sel(station="ADAN"))) == (35.3437, 37.0035)
    assert all(ds[name].attrs["units"] == "m/yr" and ds[name].dtype == float for name in ds.data_vars)


@pytest.mark.parametrize("region", ["california_coso_mojave", "hawaii_bigisland", "unimak"])
def test_two_frames_of_the_same_stations_differ_by_the_rotation_of_a_plate(shared, region):
    folder = shared / "data/real/gnss_midas"
    itrf, plate = (read_stations(folder / f"midas.{frame}.{region}.txt") for frame in ("IGS08", "NA12"))
    assert plate.attrs["frame"] == "NA12"
    common = np.intersect1d(itrf.station, plate.station)
    assert common.size >= 0.95 * itrf.sizes["station"]
    difference = itrf["north"].sel(station=common) - plate["north"].sel(station=common)
    lon = np.deg2rad(itrf["lon"].sel(station=common))  # north = R (wx sin(lon) - wy cos(lon)): about -0.69 mas/yr in y
    radians = np.deg2rad(1e-3 / 3600) * 6.371e6
    expected = radians * (0.024 * np.sin(lon) + 0.694 * np.cos(lon))
    assert float(abs(difference - expected).median()) < 2e-3  # of 10 to 20 mm/yr


def test_midas_of_the_new_layout_holds_its_coordinates(tmp_path):
    ds = read_stations(write(tmp_path, f"{MIDAS_OLD}  37.0035  -324.6563  60.6\n", "midas.EU.txt"))
    assert ds.attrs["frame"] == "EU"
    assert ds.lon.item() == pytest.approx(35.3437)
    assert ds.lat.item() == 37.0035
    assert values(ds, "ADAN")[:3] == [0.015474, 0.012127, 0.000185]


def test_coordinates_of_another_table_are_used_and_stations_without_are_left_out(tmp_path, caplog):
    midas = write(tmp_path, f"{MIDAS_OLD}\n{MIDAS_OLD.replace('ADAN', 'NONE')}\n", "velocities")
    holdings = write(
        tmp_path, "Sta  Lat(deg)  Long(deg)  Hgt(m)  Note\nADAN 37.0 -324.6563 60.6 b c d\nX 1 2 3 4\n", "llh"
    )
    ds = read_stations(midas, coordinates=holdings)
    assert ds.station.values.tolist() == ["ADAN"]
    assert ds.lon.item() == pytest.approx(35.3437)
    assert "left out 1 stations without coordinates: NONE" in caplog.text


def test_csi_table_is_in_millimetres_a_year(shared):
    ds = read_stations(shared / "data/real/anatolia_csi_varres/GNSS.enu")
    assert ds.sizes == {"station": 39}
    expected = [-0.022154, -0.003658, -0.000243, 0.000840, 0.000848, 0.003128]
    np.testing.assert_allclose(values(ds, "ESKS"), expected, rtol=1e-12)
    assert (float(ds.lon.sel(station="ESKS")), float(ds.lat.sel(station="ESKS"))) == (30.464, 39.746)
    assert ds.attrs["frame"] == ""


def test_csi_table_whose_numbers_are_metres_is_refused_unless_it_is_said(tmp_path):
    path = write(tmp_path, "BOL1 31.606 40.746 -0.011288 0.001658 -0.001941 0.000861 0.0009 0.003336\n")
    with pytest.raises(SourceFormatError, match=r"move 0.0114 mm/yr .*say units='mm/yr', else 'm/yr'"):
        read_stations(path)
    assert values(read_stations(path, units="m/yr"), "BOL1")[0] == -0.011288
    assert values(read_stations(path, units="mm/yr"), "BOL1")[0] == pytest.approx(-0.011288e-3)


def test_pbo_table_is_read_by_its_heading_and_longitudes_are_wrapped(tmp_path):
    ds = read_stations(write(tmp_path, PBO, "pbo.vel"))
    assert values(ds, "P159") == [-0.00567, 0.01234, 0.00089, 0.00032, 0.00021, 0.00143]
    assert (ds.lon.item(), ds.lat.item()) == (pytest.approx(-123.282), 40.5047)
    assert ds.attrs["frame"] == "NAM08"


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("station,lon,lat,east,north,up,east_std,north_std,up_std\nAB,190,-5,12,-3,,0.5,0.6,\n", "mm/yr"),
        ("lat;lon;Ve (mm/yr);Vn (mm/yr);SE (mm/yr);SN (mm/yr);Site\n-5;-170;12;-3;0.5;0.6;AB\n", None),
        ("# frame: IGS14\n# name lon lat ve_mm_yr vn_mm_yr sig_e sig_n\nAB 190 -5 12 -3 .5 .6\n", None),
        ('"Name","Longitude","Latitude","v_east","v_n","sigma_ve","sig_n"\n"AB",190,-5,.012,-.003,5e-4,6e-4', "m/yr"),
        ("# cm/yr\nid lon lat e_vel n_vel u_vel e_err n_err u_err note\nAB 190 -5 1.2 -.3 nan .05 .06 - x\n", None),
    ],
)  # fmt: skip
def test_named_columns_are_read_in_any_order_separator_and_spelling(tmp_path, text, units):
    ds = read_stations(write(tmp_path, text), units=units)
    np.testing.assert_allclose(values(ds, "AB"), [0.012, -0.003, np.nan, 0.0005, 0.0006, np.nan], rtol=1e-12)
    assert (ds.lon.item(), ds.lat.item()) == (-170.0, -5.0)
    assert ds.attrs["frame"] == ("IGS14" if "IGS14" in text else "")


def test_table_of_gmt_is_read_in_the_unit_that_is_said(tmp_path):
    path = write(tmp_path, "# Frame: EU\n190.0 -5.0 12.0 -3.0 0.5 0.6 0.01 AB\n20 50 1 2 .5 .5 0 C\n")
    ds = read_stations(path, units="mm/yr")
    np.testing.assert_allclose(values(ds, "AB"), [0.012, -0.003, np.nan, 0.0005, 0.0006, np.nan], rtol=1e-12)
    assert (float(ds.lon.sel(station="AB")), ds.attrs["frame"]) == (-170.0, "EU")
    with pytest.raises(SourceFormatError, match="does not say the unit of its velocities"):
        read_stations(path)


@pytest.mark.parametrize(
    ("name", "frame"),
    [("gnss_itrf2014.csv", "ITRF2014"), ("x-igb14.csv", "IGb14"), ("pbo.final_nam08.csv", "NAM08"), ("digs08.csv", "")],
)
def test_frame_is_found_in_the_name_and_can_be_given(tmp_path, name, frame):
    path = write(tmp_path, "station,lon,lat,ve,vn\nA,1,2,3,4\n", name)
    assert read_stations(path, units="mm/yr").attrs["frame"] == frame
    assert read_stations(path, units="mm/yr", frame="EU-fixed").attrs["frame"] == "EU-fixed"


def test_one_row_a_name_and_a_place_is_kept_that_with_the_smallest_sigma(tmp_path):
    rows = [
        "A,10.0,20.0,1,1,0.5,0.5",
        "A,10.5,20.0,2,2,0.2,0.2",  # the best A
        "B,11.00001,20.0,3,3,0.3,0.3",
        "C,11.00002,20.0,4,4,0.3,0.3",  # where B is, and later
        "D,11.0,20.0,5,5,,",  # there, without sigma
        "E,12.0,20.0,6,6,,",
    ]
    ds = read_stations(write(tmp_path, "\n".join(["name,lon,lat,ve,vn,se,sn", *rows])), units="mm/yr")
    assert ds.station.values.tolist() == ["A", "C", "E"]
    np.testing.assert_allclose(ds.east, [0.002, 0.004, 0.006])


def test_a_table_is_read_from_any_url():
    with fsspec.open("memory://gnss/midas.IGS14.txt", "wt") as file:
        file.write(f"{MIDAS_OLD} 37.0 35.0 60.6\n")
    assert read_stations("memory://gnss/midas.IGS14.txt").attrs["frame"] == "IGS14"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no line of data; expected a UNR MIDAS table, .*CSI .enu"),
        ("1 2 3\n4 5 6\n", "line 1: expected a UNR MIDAS table.*got '1 2 3'"),
        ("station,lon,lat\nA,1,2\n", "line 1: expected a heading .*east and north missing, or ve and vn"),
        ("lon,lat,ve,vn\n1,2,3,4\n", "does not say the unit of its velocities; give units='mm/yr' or 'm/yr'"),
        ("lon,lat,ve (mm/yr),vn (m/yr)\n1,2,3,4\n", "line 1: expected one unit of velocity, not m/yr and mm/yr"),
        ("lon,lat,ve (m/yr),vn\n1,2,3,4\n", "stations that move 5 m/yr if it is in m/yr; say its unit"),
        ("# mm/yr\n\nlon,lat,ve,vn\n1,2,3,4\n\n1,2,3\n", r"line 6: expected 4 columns or more.*got '1,2,3'"),
        ("# mm/yr\nlon,lat,ve,vn\n1,2,3,x\n", "line 3: expected a number instead of 'x'"),
        ("# mm/yr\nlon,lat,ve,vn\n1,2,3,inf\n", "line 3: expected a finite number instead of 'inf'"),
        ("# mm/yr\nlon,lat,ve,vn\n1,95,3,4\n", "line 3: expected longitude and latitude in degrees, not '1' and '95'"),
        ("# mm/yr\nlon,lat,ve,vn\n,9,3,4\n", "line 3: expected longitude and latitude"),
        ("# mm/yr\nlon,lat,ve,vn\n1,2,,4\n", "has no station with an east and a north velocity"),
        ("# mm/yr\nlon,lat,ve,vn\n", "has no station; expected"),
        (f"{MIDAS_OLD}\n{MIDAS_OLD[:50]}\n", "line 2: expected 24 or 27 columns of MIDAS"),
        (f"{MIDAS_OLD}\n", "is a MIDAS table without coordinates; give coordinates="),
        ("A 1 2 3 4 5 6 7 8\nB 1 2 3 4 5\n", "line 2: expected name lon lat ve vn vu se sn su; got 'B 1 2"),
        ("1 2 3 4 5 6 7 A\n1 2 3 4\n", "line 2: expected lon lat ve vn se sn correlation name; got '1 2 3 4'"),
        (PBO.replace("Ref_Elong", "Longitude"), "line 7: expected a heading that names Ref_Elong"),
        (PBO + "P160 x 1 2 3\n", "line 9: expected the 30 columns of the heading"),
    ],
)
def test_a_bad_table_is_named_with_line_and_expectation(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(SourceFormatError, match=message) as caught:
        read_stations(path)
    assert "\n" not in str(caught.value)
    assert path in str(caught.value)


def test_units_that_contradict_the_table_and_unknown_ones_are_refused(tmp_path):
    midas = write(tmp_path, f"{MIDAS_OLD} 37.0 35.0 60.6\n")
    with pytest.raises(SourceFormatError, match="is in m/yr, but units='mm/yr'"):
        read_stations(midas, units="mm/yr")
    assert read_stations(midas, units="m/yr").sizes["station"] == 1
    with pytest.raises(SourceFormatError, match="units must be one of m/yr, cm/yr, mm/yr, got 'inch'"):
        read_stations(midas, units="inch")


def test_coordinates_that_do_not_fit_are_refused(tmp_path):
    midas = write(tmp_path, f"{MIDAS_OLD}\n", "midas.txt")
    for text, message in [
        ("station,lon,lat\nOTHER,1,2\n", "no station of .* has coordinates in"),
        ("lon,lat\n1,2\n", "line 1: expected a heading with columns station, lon, lat"),
        ("station,lon,lat\nADAN,1\n", "line 2: expected 3 columns or more"),
        ("# nothing\n", "has no station; expected a table with columns station, lon, lat"),
    ]:
        with pytest.raises(SourceFormatError, match=message):
            read_stations(midas, coordinates=write(tmp_path, text, "places.csv"))


def test_a_missing_or_binary_file_is_an_error(tmp_path):
    with pytest.raises(StorageError, match="no such file"):
        read_stations(tmp_path / "none.txt")
    (tmp_path / "binary").write_bytes(b"\x89HDF\r\n\xff\xfe")
    with pytest.raises(SourceFormatError, match="is no text; expected"):
        read_stations(tmp_path / "binary")
    with pytest.raises(StorageError, match="cannot read"):
        read_stations(tmp_path)
