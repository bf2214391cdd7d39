"""What RELAX writes: series at points, grids; and tables of GPS stations."""

import h5py
import numpy as np
import pytest
from scipy.io import netcdf_file

from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.io.relax import read_gps_table, read_output_times, read_relax_grid, read_relax_series

Z = np.arange(6, dtype="float32").reshape(2, 3)  # rows from south to north


@pytest.fixture
def elmayor(shared):
    return shared / "data" / "real" / "relax_elmayor"


@pytest.fixture
def write(tmp_path):
    def write(text, name="P066-relax.txt"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


# --- series -----------------------------------------------------------------------------------------------


def test_the_third_component_is_down_and_the_first_is_north(write):
    series = read_relax_series(write("# t u1 u2 u3 s11\n0 0 0 0 9\n0.5 0.01 -0.02 0.003 9\n"))
    assert series.time.tolist() == [0, 0.5]
    assert (series.north[1], series.east[1], series.up[1]) == (0.01, -0.02, -0.003)


def test_a_series_may_be_in_another_unit(write):
    assert read_relax_series(write("0 1 2 -3\n"), unit="mm").up.tolist() == [0.003]
    with pytest.raises(SourceFormatError, match="unknown unit 'inch'"):
        read_relax_series(write("0 1 2 -3\n"), unit="inch")


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("", 1, "years and displacement"),
        ("# t u1 u2 u3\n0 1 2\n", 2, "years and displacement"),
        ("0 0 0 0\n1 0 0\n", 2, "4 numbers"),
        ("0 0 0 0\n1 0 0 ****\n", 2, "4 numbers"),
        ("0 0 0 0\n\n1 0 0 nan\n", 3, "4 numbers"),
        ("0 0 0 0\n1 0 0 0\n1 0 0 0\n", 3, "a time after that of the line before"),
    ],
)
def test_a_broken_series_is_named_by_its_line(write, text, line, expected):
    with pytest.raises(SourceFormatError, match=rf"P066-relax.txt, line {line}: expected {expected}"):
        read_relax_series(write(text))


def test_a_series_that_is_no_text_or_not_there_is_named(tmp_path):
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SourceFormatError, match="is no text"):
        read_relax_series(tmp_path / "b.txt")
    with pytest.raises(StorageError, match="no such file"):
        read_relax_series(tmp_path / "c.txt")


def test_all_series_of_el_mayor_are_read_with_heading_or_without(elmayor):
    files = sorted((elmayor / "models").glob("*/*-relax.txt"))
    assert len(files) == 150
    headless = [file for file in files if not file.read_text().startswith("#")]
    assert {file.parent.name for file in headless} == {"Coupled_model2"}
    for file in files:
        series = read_relax_series(file)
        assert series.time[-1] >= 2.9
        assert series.up.shape == series.time.shape
        assert np.isfinite([series.east, series.north, series.up]).all()
    raw = np.loadtxt(headless[0])
    series = read_relax_series(headless[0])
    np.testing.assert_array_equal(raw[:, 1:4], np.array([series.north, series.east, -series.up]).T)


# --- tables of stations --------------------------------------------------------------------------------------


def test_a_gps_series_has_north_before_east(elmayor):
    ds = read_gps_table(elmayor / "gps_timeseries" / "p066.dat")
    raw = np.loadtxt(elmayor / "gps_timeseries" / "p066.dat")
    assert dict(ds.sizes) == {"time": raw.shape[0]}
    np.testing.assert_array_equal(ds["north"], raw[:, 1])
    np.testing.assert_array_equal(ds["east_std"], raw[:, 5])
    assert (ds["time"].attrs["units"], ds["up"].attrs["units"]) == ("yr", "m")


def test_a_fit_of_five_years_has_east_before_north(elmayor):
    ds = read_gps_table(elmayor / "postseismic_fit_5yr.dat").sel(station="P066")
    assert (float(ds["east_km"]), float(ds["north_km"])) == (-63.0258, 12.23)
    assert (float(ds["east"]), float(ds["north"]), float(ds["up_std"])) == (-0.028176, -0.004645, 0.00274)


def test_places_of_stations_are_read(elmayor):
    ds = read_gps_table(elmayor / "gps_within200km.dat")
    assert (ds.sizes["station"], len(ds.data_vars)) == (133, 0)
    assert float(ds["north_km"].sel(station="P508")) == 83.0067


def test_the_fit_agrees_with_its_series(elmayor):
    fit = read_gps_table(elmayor / "postseismic_fit_5yr.dat").sel(station="P066")
    series = read_gps_table(elmayor / "gps_timeseries" / "p066.dat").interp(time=4.5)
    for name in ("east", "north"):
        assert float(series[name]) == pytest.approx(float(fit[name]), abs=0.006)


def test_a_broken_table_is_named_by_its_line(write):
    with pytest.raises(SourceFormatError, match=r"line 1: expected a table of station, east and north in km, or of"):
        read_gps_table(write("a b\n"))
    with pytest.raises(SourceFormatError, match=r"line 2: expected station, east and north in km; got 'b 2'"):
        read_gps_table(write("a 1 2\nb 2\n"))
    with pytest.raises(SourceFormatError, match="no line with data"):
        read_gps_table(write("# nothing\n"))


def test_times_of_outputs_are_read(write):
    assert read_output_times(write("0.00E+0\n# later\n 1.25E-1 3\n")).tolist() == [0, 0.125]
    with pytest.raises(SourceFormatError, match="line 2: expected the time of an output; got 'x'"):
        read_output_times(write("0\nx\n"))


# --- grids ----------------------------------------------------------------------------------------------------


def netcdf3(path, y, x, z, fill=None, scale=None):
    with netcdf_file(path, "w") as file:
        for name, values in (("y", y), ("x", x)):
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
        file.createVariable("z", "f4", ("y", "x"))[:] = z
        if fill is not None:
            file.variables["z"]._FillValue = np.float32(fill)
        if scale is not None:
            file.variables["z"].scale_factor = np.float32(scale)
    return path


def netcdf4(path, y, x, z):
    with h5py.File(path, "w") as file:
        file["lat"], file["lon"], file["z"] = y, x, z
        file["z"].attrs["_FillValue"] = np.array([5], "float32")
    return path


def test_rows_go_from_north_to_south(tmp_path):
    grid = read_relax_grid(netcdf3(tmp_path / "a.grd", [0.0, 1.0], [10.0, 11.0, 12.0], Z))
    assert grid["y"].values.tolist() == [1, 0]
    assert grid["x"].values.tolist() == [10, 11, 12]
    assert grid.values.tolist() == [[3, 4, 5], [0, 1, 2]]
    assert float(grid.sel(y=0, x=12)) == 2


def test_rows_from_north_to_south_stay(tmp_path):
    grid = read_relax_grid(netcdf3(tmp_path / "a.grd", [1.0, 0.0], [0.0, 1.0, 2.0], Z))
    assert float(grid.sel(y=1, x=0)) == 0


def test_both_netcdf_formats_give_the_same_and_no_data_is_nan(tmp_path):
    one = read_relax_grid(netcdf3(tmp_path / "a.grd", [0.0, 1.0], [0.0, 1.0, 2.0], Z, fill=5))
    other = read_relax_grid(netcdf4(tmp_path / "b.grd", [0.0, 1.0], [0.0, 1.0, 2.0], Z))
    assert np.isnan(one.values[0, 2])
    np.testing.assert_array_equal(one, other)


def test_a_scale_is_applied(tmp_path):
    grid = read_relax_grid(netcdf3(tmp_path / "a.grd", [0.0, 1.0], [0.0, 1.0, 2.0], Z, scale=0.5))
    assert float(grid.values[0, 2]) == 2.5


def old_layout(path, x_range, y_range, **attributes):
    with netcdf_file(path, "w") as file:
        file.createDimension("side", 2)
        file.createDimension("xysize", 6)
        for name, kind, value in (("x_range", "f8", x_range), ("y_range", "f8", y_range), ("dimension", "i4", (3, 2))):
            file.createVariable(name, kind, ("side",))[:] = value
        z = file.createVariable("z", "f4", ("xysize",))
        z[:] = [3, 4, 5, 0, 1, 2]
        for name, value in attributes.items():
            setattr(z, name, value)
    return path


@pytest.mark.parametrize("attributes", [{}, {"node_offset": np.int32(0)}])
def test_the_old_layout_of_gmt_begins_in_the_north(tmp_path, attributes):
    grid = read_relax_grid(old_layout(tmp_path / "a.grd", (10, 12), (0, 1), **attributes))
    assert float(grid.sel(y=0, x=12)) == 2
    assert grid.values.tolist() == [[3, 4, 5], [0, 1, 2]]


def test_ranges_of_the_old_layout_are_of_edges_if_it_says_so(tmp_path):
    grid = read_relax_grid(old_layout(tmp_path / "a.grd", (0, 3), (0, 4), node_offset=np.int32(1)))
    assert grid["x"].values.tolist() == [0.5, 1.5, 2.5]
    assert grid["y"].values.tolist() == [3, 1]
    assert grid.values.tolist() == [[3, 4, 5], [0, 1, 2]]


def test_a_grid_that_is_none_is_named(tmp_path):
    whole = netcdf3(tmp_path / "a.grd", [0.0, 1.0], [0.0, 1.0, 2.0], Z).read_bytes()
    for name, data in {"b.grd": whole[: len(whole) // 2], "c.grd": b"", "d.grd": b"\x89HDF\r\n\x1a\nxx"}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SourceFormatError, match=rf"{name} is no whole netCDF grid with z, x and y"):
            read_relax_grid(tmp_path / name)
    with h5py.File(tmp_path / "e.grd", "w") as file:
        file["z"] = Z
    with pytest.raises(SourceFormatError, match="a variable is missing"):
        read_relax_grid(tmp_path / "e.grd")
    with pytest.raises(StorageError, match="no such file"):
        read_relax_grid(tmp_path / "f.grd")
