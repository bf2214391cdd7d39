"""The registry of formats: names, needs, options."""

from pathlib import Path

import fsspec
import h5py
import numpy as np
import pytest
from losscene import los_scene

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.dispatch import EXPORTERS, export


def test_every_format_says_what_it_is() -> None:
    assert {"zarr", "cog", "hdfeos5", "kite", "gbis", "geodmod", "insamp", "roipac", "varres", "gmt", "kmz"} <= set(
        EXPORTERS
    )
    for name, exporter in EXPORTERS.items():
        assert exporter.name == name
        assert exporter.writes
        assert exporter.needs


def test_options_are_those_of_the_function() -> None:
    assert EXPORTERS["gbis"].options == ("variable", "wavelength")
    assert EXPORTERS["kmz"].options == ("variable", "limits", "colours")
    assert EXPORTERS["zarr"].options == ()


def test_foreign_options_and_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="format kite has no option wavelength, colour; its options are variable"):
        export(los_scene(), "kite", tmp_path / "a", wavelength=0.2, colour="red")
    with pytest.raises(SchemaError, match="format zarr has no option variable; it has none"):
        export(los_scene(), "zarr", tmp_path / "a.zarr", variable="height")
    with pytest.raises(SchemaError, match=r"format must be one of cog, gbis, .*, got 'shapefile'"):
        export(los_scene(), "shapefile", tmp_path / "a")


def test_an_array_is_exported_with_its_name(tmp_path: Path) -> None:
    assert export(los_scene()["height"], "gmt", tmp_path / "a.grd") == [str(tmp_path / "a.grd")]


@pytest.mark.parametrize("name", ["kite", "gbis", "geodmod", "insamp", "roipac", "varres", "gmt", "kmz"])
def test_object_stores_get_the_same_files(name: str, tmp_path: Path) -> None:
    place = f"memory://exports/{name}/a"
    files = export(los_scene(), name, place)
    local = export(los_scene(), name, str(tmp_path / "a"))
    assert [file.rpartition("/")[2] for file in files] == [Path(file).name for file in local]
    fs = fsspec.filesystem("memory")
    for file, same in zip(files, local, strict=True):
        if not same.endswith((".mat", ".npz", ".kmz", ".grd", ".rsc")):  # which hold the time, or the place
            assert fs.cat_file(file) == Path(same).read_bytes()
        assert fs.size(file) > 0


def test_what_a_cluster_has_persisted_is_exported(tmp_path: Path) -> None:
    from distributed import Client

    ds = los_scene(shape=(12, 10)).chunk(y=4, x=5)
    names = {"kite": "a.npz", "gbis": "a.mat", "insamp": "a.unw", "gmt": "a.grd", "mintpy": "a"}
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None):
        persisted = ds.persist()
        for name, file in names.items():
            export(persisted, name, tmp_path / name / file)
    for name, file in names.items():
        export(ds, name, tmp_path / "local" / name / file)
    for file in ("insamp/a.unw", "insamp/a.los", "kite/a.yml"):
        assert (tmp_path / file).read_bytes() == (tmp_path / "local" / file).read_bytes()
    for a, b in zip(*(np.load(tmp_path / base / "kite/a.npz").values() for base in ("", "local")), strict=True):
        np.testing.assert_array_equal(a, b)
    for name, file, key in (("gmt", "a.grd", "z"), ("mintpy", "a/displacement.h5", "displacement")):
        found, expected = (h5py.File(tmp_path / base / name / file)[key][()] for base in ("", "local"))
        np.testing.assert_array_equal(found, expected)


def test_nothing_is_written_when_a_block_fails(tmp_path: Path) -> None:
    def fail(block: np.ndarray) -> np.ndarray:
        raise OSError("the source is gone")

    ds = los_scene().chunk(y=2)
    broken = ds["displacement"].copy(
        data=ds["displacement"].data.map_blocks(fail, dtype="float32", meta=np.empty((0, 0)))
    )
    for name in ("kite", "gbis", "geodmod", "roipac", "varres", "gmt", "kmz"):
        with pytest.raises(OSError, match="the source is gone"):
            export(ds.assign(displacement=broken), name, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
