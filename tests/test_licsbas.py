"""LiCSBAS frames as velocity products."""

import pickle
import uuid

import fsspec
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401 - reads spatial_ref
import xarray as xr
from he5files import write_frame
from lazy import no_compute

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.licsbas import find_layers, open_licsbas
from mimtpy_cloud.io.raster import locate_raster

FRAME = "014A_04939_131313"


def test_a_frame_becomes_a_velocity_product_in_metres_a_year(tmp_path):
    layers = write_frame(tmp_path / FRAME)
    with no_compute():
        ds = open_licsbas(tmp_path / FRAME)
    np.testing.assert_allclose(ds.velocity, layers["vel"] / 1000, rtol=1e-6)
    np.testing.assert_allclose(ds.velocity_std, layers["vstd"] / 1000, rtol=1e-6)
    np.testing.assert_array_equal(ds.valid, (layers["mask"] == 1) & np.isfinite(layers["vel"]))
    for name, layer in (("los_east", "E"), ("los_north", "N"), ("los_up", "U")):
        np.testing.assert_array_equal(ds[name], layers[layer])
    np.testing.assert_allclose(ds.y, 42 - (np.arange(5) + 0.5) * 0.01)
    np.testing.assert_allclose(ds.x, 33 + (np.arange(7) + 0.5) * 0.01)
    assert ds.rio.crs.to_epsg() == 4326
    assert all(array.attrs["units"] for array in ds.data_vars.values())


def test_attributes_come_from_the_frame_name_and_the_look_vector(tmp_path):
    write_frame(tmp_path / FRAME)
    attrs = open_licsbas(tmp_path / FRAME).attrs
    assert (attrs["track"], attrs["product"], attrs["sensor"]) == ("A014", "04939_131313", "Sentinel")
    assert (attrs["orbit_direction"], attrs["look_side"]) == ("ascending", "right")
    assert attrs["heading"] == pytest.approx(np.degrees(np.arctan2(-0.61, -0.11)) + 90)
    assert attrs["source"]["size"] > 0


def test_the_look_side_is_left_where_the_vector_says_so(tmp_path):
    write_frame(tmp_path / "014D_04939_131313")  # the same look to the west, flying south
    attrs = open_licsbas(tmp_path / "014D_04939_131313").attrs
    assert (attrs["orbit_direction"], attrs["look_side"]) == ("descending", "left")
    assert attrs["heading"] == pytest.approx(np.degrees(np.arctan2(-0.61, -0.11)) + 270)


def test_urls_pickles_and_slices_give_the_same(tmp_path):
    write_frame(tmp_path / FRAME)
    local = open_licsbas(tmp_path / FRAME)
    root = f"memory://{uuid.uuid4().hex}/{FRAME}"
    for path in (tmp_path / FRAME).iterdir():
        fsspec.filesystem("memory").pipe(f"{root}/{path.name}", path.read_bytes())
    remote = pickle.loads(pickle.dumps(open_licsbas(root)))
    xr.testing.assert_identical(remote.drop_attrs().compute(), local.drop_attrs().compute())
    part = {"y": slice(None, 1, -2), "x": slice(1, 6, 2)}
    xr.testing.assert_identical(local.isel(part).compute(), local.compute().isel(part))
    assert local.isel(y=slice(0, 0)).velocity.compute().shape == (0, 7)


@pytest.mark.parametrize("layer", ["vel", "vstd", "mask", "E", "N", "U"])
def test_missing_layers_are_named(tmp_path, layer):
    write_frame(tmp_path / FRAME, skip=(layer,))
    with pytest.raises(SourceFormatError, match=rf"lacks the layers {layer} \("):
        open_licsbas(tmp_path / FRAME)


def test_layers_of_other_grids_are_named(tmp_path):
    write_frame(tmp_path / FRAME, shift={"E": 0.005})
    with pytest.raises(SourceFormatError, match=r"E\.geo\.tif is not on the grid of .*vel\.geo\.tif"):
        open_licsbas(tmp_path / FRAME)


def test_folders_without_a_frame_name_are_refused(tmp_path):
    write_frame(tmp_path / "frame")
    with pytest.raises(SourceFormatError, match="neither the folder nor its files name the frame"):
        open_licsbas(tmp_path / "frame")


def test_missing_folders_and_damaged_files_are_named(tmp_path):
    with pytest.raises(SourceFormatError, match="is no folder"):
        open_licsbas(tmp_path / "none")
    write_frame(tmp_path / FRAME)
    (tmp_path / FRAME / "N.geo.tif").write_bytes(b"hello")
    with pytest.raises(SourceFormatError, match=r"N\.geo\.tif cannot be read as GeoTIFF"):
        open_licsbas(tmp_path / FRAME)


def test_layers_are_found_by_whole_name_parts():
    names = [f"{FRAME}.geo.E.tif", f"{FRAME}.vel.mskd.geo.tif", "vstd.geo.tif", "velocity.tif", "vel.png", "U.geo.tiff"]
    assert find_layers(names) == {
        "velocity": f"{FRAME}.vel.mskd.geo.tif",
        "velocity_std": "vstd.geo.tif",
        "los_east": f"{FRAME}.geo.E.tif",
        "los_up": "U.geo.tiff",
    }


def test_given_frames_equal_rasterio(shared):
    import rasterio

    expected = {"014A": "right", "087A": "right", "094D": "right", "167D": "right"}
    folders = sorted((shared / "data" / "real" / "anatolia_licsbas_4tracks").glob("*_*_*"))
    assert len(folders) == 4
    for folder in folders:
        with no_compute():
            ds = open_licsbas(folder)
        ds = ds.compute()
        with rasterio.open(folder / "vel.geo.tif") as vel, rasterio.open(folder / "mask.geo.tif") as mask:
            values, keep, bounds = vel.read(1), mask.read(1) == 1, vel.bounds
        np.testing.assert_allclose(ds.velocity, values * np.float32(1e-3), rtol=1e-6)
        np.testing.assert_array_equal(ds.valid, keep & np.isfinite(values))
        np.testing.assert_allclose(ds.rio.bounds(), bounds, atol=1e-9)
        size = np.sqrt(ds.los_east**2 + ds.los_north**2 + ds.los_up**2).values
        np.testing.assert_allclose(size[np.isfinite(size)], 1, atol=1e-3)
        assert ds.attrs["look_side"] == expected[folder.name[:4]]
        assert ds.attrs["track"] == folder.name[3] + folder.name[:3]
        assert abs(ds.attrs["heading"] - (-10 if folder.name[3] == "A" else -170)) < 0.5


def test_scale_and_offset_of_a_file_are_applied(tmp_path):
    profile = {
        "driver": "GTiff",
        "width": 3,
        "height": 2,
        "count": 1,
        "dtype": "int16",
        "nodata": -1,
        "crs": "EPSG:4326",
    }
    raw = np.array([[12, -1, 3], [4, 5, 6]], "int16")
    with rasterio.open(tmp_path / "a.tif", "w", **profile, transform=rasterio.Affine(0.1, 0, 30, 0, -0.1, 40)) as file:
        file.write(raw, 1)
        file.scales, file.offsets = (0.01,), (5.0,)
    raster = locate_raster(str(tmp_path / "a.tif"))
    wanted = np.where(raw == -1, np.nan, raw * 0.01 + 5)
    np.testing.assert_allclose(raster.lazy((1, 3)).values, wanted, rtol=1e-6)
    np.testing.assert_allclose(raster.sample(), wanted)
