"""Quadtrees as CSI writes and reads them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from losscene import los_points, los_scene
from strategies import chunkings

from mimtpy_cloud.errors import GridMismatchError, SchemaError, SourceFormatError, StorageError
from mimtpy_cloud.exports.dispatch import export
from mimtpy_cloud.exports.varres import write_varres
from mimtpy_cloud.io.varres import open_varres


def test_leaves_are_read_back(tmp_path: Path) -> None:
    points = los_points("velocity")
    assert export(points, "varres", tmp_path / "a") == [str(tmp_path / "a.rsp"), str(tmp_path / "a.txt")]
    back = open_varres(tmp_path / "a.txt")
    for name in ("lon", "lat", "velocity", "std", "count", "los_east", "los_up", "west", "south", "east", "north"):
        np.testing.assert_allclose(back[name], points[name], atol=1e-6)
    np.testing.assert_array_equal(back["velocity"], points["velocity"])
    assert (back["velocity"].attrs["units"], back["std"].attrs["units"]) == ("m/yr", "m/yr")


def test_cells_are_in_pixels_from_the_south_west(tmp_path: Path) -> None:
    write_varres(los_points(), str(tmp_path / "a.txt"))
    lines = (tmp_path / "a.rsp").read_text().splitlines()
    assert lines[0].split() == ["xind", "yind", "UpperLeft-x,y", "DownRight-x,y"]
    second = [float(word) for word in lines[3].split()]
    assert second == pytest.approx([3, 1, 2, 2, 4, 0, 100.02, 40.0, 100.04, 39.98])
    first = (tmp_path / "a.txt").read_text().splitlines()[2].split()
    assert [float(word) for word in first[:8]] == pytest.approx([0, 1, 1, 100.01, 39.99, -0.02, 0.001, 4])
    assert sum(float(word) ** 2 for word in first[8:]) == pytest.approx(1)


def test_a_leaf_that_the_map_cuts_keeps_the_pixels_of_the_others(tmp_path: Path) -> None:
    points = los_points()
    points["east"][4] -= 0.01  # one of its two columns is beyond the map
    write_varres(points, str(tmp_path / "a"))
    last = [float(word) for word in (tmp_path / "a.rsp").read_text().splitlines()[-1].split()]
    assert last[2:6] == [8, 2, 9, 0]


@settings(max_examples=5)
@given(chunks=chunkings(y=6, x=8))
def test_every_pixel_of_a_map_is_a_cell(tmp_path: Path, chunks: dict[str, tuple[int, ...]]) -> None:
    ds = los_scene("velocity").chunk(chunks)
    ds = ds.assign(velocity_std=ds["velocity"] * 0 + np.float32(0.002))
    write_varres(ds, str(tmp_path / "a"))
    back = open_varres(tmp_path / "a")
    values = ds["velocity"].values
    np.testing.assert_array_equal(back["velocity"], values[np.isfinite(values)])
    np.testing.assert_allclose(back["std"], 0.002)
    first = {name: float(back[name][0]) for name in ("west", "south", "east", "north", "lon", "lat")}
    expected = {"west": 100, "south": 39.99, "east": 100.01, "north": 40, "lon": 100.005, "lat": 39.995}
    assert first == pytest.approx(expected)


def test_tables_of_csi_are_read(shared: Path) -> None:
    folder = shared / "data/real/anatolia_csi_varres"
    back = open_varres(folder / "Rate_map_T87.txt", units="mm/yr")
    assert back.sizes == {"point": 1341}
    assert float(back["velocity"][0]) == pytest.approx(-3.79728055e-3)
    assert float(back["los_east"].max()) < -0.3  # ascending: the satellite is in the west
    assert ((back["west"] < back["lon"]) & (back["lon"] < back["east"])).mean() > 0.95
    assert (back["south"] < back["north"]).all()


def test_a_real_table_is_written_and_read_again(shared: Path, tmp_path: Path) -> None:
    one = open_varres(shared / "data/real/anatolia_csi_varres/Rate_map_T65.txt", units="mm/yr")
    write_varres(one, str(tmp_path / "a"))
    other = open_varres(tmp_path / "a")
    for name in ("velocity", "std", "los_north", "west", "north"):
        np.testing.assert_allclose(other[name], one[name], atol=1e-8)


def test_products_without_cells_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"cells \(take a quadtree\) needs west"):
        write_varres(los_points().drop_vars("west"), str(tmp_path / "a"))
    with pytest.raises(SchemaError, match="no pixel with data"):
        write_varres(los_points().assign(los_up=("leaf", np.full(5, np.nan))), str(tmp_path / "a"))


def test_files_that_are_no_table_are_refused(tmp_path: Path) -> None:
    write_varres(los_points(), str(tmp_path / "a"))
    text = (tmp_path / "a.txt").read_text()
    cells = (tmp_path / "a.rsp").read_text()
    with pytest.raises(StorageError, match="no such file"):
        open_varres(tmp_path / "b.txt")
    for bad, message in (
        (text.replace("data, err: m", "*"), "does not say the unit of its values; give units"),
        ("\n".join(text.splitlines()[:2]) + "\n", "has no line of data"),
        (text.replace("100.010000", "east"), "line 3: expected a table of CSI"),
        (text + "1 2\n", "line 8: expected a table of CSI"),
    ):
        (tmp_path / "a.txt").write_text(bad)
        with pytest.raises(SourceFormatError, match=message):
            open_varres(tmp_path / "a")
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "a.rsp").write_text("\n".join(cells.splitlines()[:-1]) + "\n")
    with pytest.raises(SourceFormatError, match=r"must have the 5 points of the .txt in the same order"):
        open_varres(tmp_path / "a")
    (tmp_path / "a.rsp").unlink()
    assert "west" not in open_varres(tmp_path / "a")


def test_cells_in_metres_are_refused(tmp_path: Path) -> None:
    ds = los_points()
    ds["west"].attrs["units"] = "m"
    with pytest.raises(GridMismatchError, match="cells in degrees, got edges in m; take a map in degrees"):
        write_varres(ds, str(tmp_path / "a.txt"))
