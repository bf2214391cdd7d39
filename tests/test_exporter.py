"""The registry of formats: names, needs, options."""

from pathlib import Path

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
