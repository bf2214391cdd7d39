"""The HDF-EOS5 product of every age and style, against h5py."""

import json
import pickle
import uuid

import dask
import fsspec
import h5py
import numpy as np
import pytest
import rioxarray  # noqa: F401 - reads spatial_ref
import xarray as xr
from he5files import ATTRS, DATES, NAME, SHAPE, product, series, write_he5
from lazy import no_compute

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.hdf5 import BLOCK_BYTES
from mimtpy_cloud.io.hdfeos5 import open_hdfeos5
from mimtpy_cloud.schema import VARIABLES

GROUP = "HDFEOS/GRIDS/timeseries/"
BROKEN = "broken/v1.6.4_nobperp/S1_IW23_071_0466_0472_20191104_20210109.he5"


def check_contract(ds: xr.Dataset) -> None:
    """What every canonical dataset promises."""
    for name, array in ds.data_vars.items():
        assert array.attrs["units"]
        assert array.attrs["long_name"]
        if name in VARIABLES:
            assert array.dims == VARIABLES[name].dims
            assert array.dtype == VARIABLES[name].dtype
            if array.ndim > 1:
                assert dask.is_dask_collection(array.data)
                assert max(np.prod([max(c) for c in array.chunks]), 1) * array.dtype.itemsize <= BLOCK_BYTES
    assert len(ds.chunks["time"]) == 1  # also: all variables share one chunking
    assert ds.time.dtype == "datetime64[ns]"
    json.dumps(ds.attrs, allow_nan=False)
    if "y" in ds.coords:
        assert (np.diff(ds.y) < 0).all()
        assert (np.diff(ds.x) > 0).all()
        assert ds.rio.crs is not None
    else:
        assert {"latitude", "longitude"} <= set(ds.data_vars)
        assert "spatial_ref" not in ds.coords


def test_everything_a_product_has_is_decoded(tmp_path):
    path = write_he5(tmp_path)
    with no_compute():
        ds = open_hdfeos5(path)
    check_contract(ds)
    assert dict(ds.sizes) == {"time": 3, "y": 6, "x": 8}
    np.testing.assert_array_equal(ds.displacement, series())
    np.testing.assert_array_equal(ds.valid, product()["quality/mask"])
    np.testing.assert_array_equal(ds.is_shadow, product()["geometry/shadowMask"])
    np.testing.assert_array_equal(ds.is_water, ~product()["geometry/waterMask"])
    np.testing.assert_array_equal(ds.height, product()["geometry/height"])
    np.testing.assert_array_equal(ds.perpendicular_baseline, [0, 10, -20])
    np.testing.assert_array_equal(ds.time, np.array(["2020-01-03", "2020-01-15", "2020-01-27"], "datetime64[ns]"))
    i, a = np.radians([39, 102])
    expected = [-np.sin(i) * np.sin(a), np.sin(i) * np.cos(a), np.cos(i)]
    for name, value in zip(("los_east", "los_north", "los_up"), expected, strict=True):
        np.testing.assert_allclose(ds[name], value, atol=1e-6)
    assert ds.displacement.encoding["source"] == str(path)
    assert ds.displacement.encoding["dataset"] == "/HDFEOS/GRIDS/timeseries/observation/displacement"


def test_attributes_follow_the_contract(tmp_path):
    path = write_he5(tmp_path)
    attrs = open_hdfeos5(path).attrs
    assert attrs | {"mintpy": None} == {
        "sensor": "Sentinel",
        "track": "A064",
        "product": "0113_0116",
        "project": "TinySenAT064",
        "orbit_direction": "ascending",
        "look_side": "right",
        "heading": -12.0,
        "wavelength": 0.05546576,
        "reference_point": [100.025, 39.985],
        "reference_date": "2020-01-03",
        "source": {"url": str(path), "size": path.stat().st_size, "format": "HDF-EOS5"},
        "mintpy": None,
    }
    assert attrs["mintpy"]["relative_orbit"] == 64


def test_zeros_of_the_reference_date_stay_and_the_mask_is_boolean_o51(tmp_path, oracles):
    expected = oracles["O51"]
    ds = open_hdfeos5(write_he5(tmp_path))
    assert ds.displacement[0, 0, :2].values.tolist() == expected["required"]
    assert str(ds.valid.dtype) == expected["mask_dtype_required"]


def test_zeros_of_the_reference_date_and_pixel_stay(tmp_path):
    ds = open_hdfeos5(write_he5(tmp_path)).compute()
    good = np.ones(SHAPE, bool)
    good[5, 7] = False
    assert (ds.displacement[0].values[good] == 0).all()
    assert (ds.displacement[:, 1, 2] == 0).all()
    assert ds.valid.dtype == bool


@pytest.mark.parametrize("scheme", ["path", "str", "file", "memory", "relative"])
def test_paths_and_urls_give_the_same(tmp_path, scheme, monkeypatch):
    path = write_he5(tmp_path)
    url = {"path": path, "str": str(path), "file": f"file://{path}", "relative": NAME}.get(scheme)
    if scheme == "memory":
        url = f"memory://{uuid.uuid4().hex}/{NAME}"
        fsspec.filesystem("memory").pipe(url, path.read_bytes())
    monkeypatch.chdir(tmp_path)
    ds = open_hdfeos5(url)
    monkeypatch.chdir("/")
    xr.testing.assert_identical(ds.drop_attrs().compute(scheduler="threads"), open_hdfeos5(path).drop_attrs().compute())
    assert ds.attrs["product"] == "0113_0116"


def test_the_dataset_survives_pickling(tmp_path):
    ds = open_hdfeos5(write_he5(tmp_path))
    xr.testing.assert_identical(pickle.loads(pickle.dumps(ds)).compute(), ds.compute())


def test_a_rewritten_file_gets_other_block_names(tmp_path):
    first = open_hdfeos5(write_he5(tmp_path)).displacement.data.name
    again = open_hdfeos5(tmp_path / NAME).displacement.data.name
    changed = product(**{"observation/bperp": None})
    second = open_hdfeos5(write_he5(tmp_path, changed)).displacement.data.name
    assert first == again != second


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "float32", "float64"])
def test_masks_of_any_type_are_true_where_not_zero(tmp_path, dtype):
    mask = product()["quality/mask"].astype(dtype)
    expected = mask.astype(bool)
    if dtype.startswith("float"):
        mask[3, 3], expected[3, 3] = np.nan, False
    ds = open_hdfeos5(write_he5(tmp_path, product(**{"quality/mask": mask})))
    np.testing.assert_array_equal(ds.valid, expected)


def test_without_a_mask_pixels_with_any_value_and_the_reference_are_valid(tmp_path):
    values = series()
    values[:, 0, 0] = 0
    values[1, 4, 4] = np.nan
    datasets = product(**{"quality/mask": None, "observation/displacement": values})
    valid = open_hdfeos5(write_he5(tmp_path, datasets)).valid.values
    expected = np.ones(SHAPE, bool)
    expected[5, 7] = expected[0, 0] = False
    np.testing.assert_array_equal(valid, expected)


@pytest.mark.parametrize(
    "bperp", [None, np.float32(np.nan), np.full(3, np.nan, "float32")], ids=["missing", "scalar", "all_nan"]
)
def test_unknown_baselines_are_left_out(tmp_path, bperp):
    assert "perpendicular_baseline" not in open_hdfeos5(write_he5(tmp_path, product(**{"observation/bperp": bperp})))


def test_baselines_of_every_pixel_are_averaged(tmp_path):
    cube = np.arange(3, dtype="float32")[:, None, None] + np.zeros((3, *SHAPE), "float32")
    cube[:, 0, 0] = np.nan
    datasets = product(**{"observation/bperp": np.float32(np.nan), "geometry/bperp": cube})
    with no_compute():
        ds = open_hdfeos5(write_he5(tmp_path, datasets))
    np.testing.assert_allclose(ds.perpendicular_baseline, [0, 1, 2])


def test_optional_layers_may_be_missing(tmp_path):
    geometry = ("geometry/slantRangeDistance", "geometry/shadowMask", "geometry/waterMask")
    optional = ("quality/avgSpatialCoherence", *geometry)
    ds = open_hdfeos5(write_he5(tmp_path, product(**dict.fromkeys(optional))))
    assert not {"avg_spatial_coherence", "slant_range", "is_shadow", "is_water"} & set(ds)


def test_azimuth_comes_from_heading_and_look_side_where_missing(tmp_path):
    usual = open_hdfeos5(write_he5(tmp_path)).compute()
    right = open_hdfeos5(write_he5(tmp_path / "r", product(**{"geometry/azimuthAngle": None}))).compute()
    left = product(**{"geometry/azimuthAngle": None})
    left = open_hdfeos5(write_he5(tmp_path / "l", left, {"ANTENNA_SIDE": "1"})).compute()
    np.testing.assert_allclose(right.los_east, usual.los_east, atol=1e-6)
    np.testing.assert_allclose(right.los_north, usual.los_north, atol=1e-6)
    np.testing.assert_allclose(left.los_east, -usual.los_east, atol=1e-6)
    np.testing.assert_allclose(left.los_north, -usual.los_north, atol=1e-6)


def test_azimuths_called_heading_angle(tmp_path):
    datasets = product(**{"geometry/azimuthAngle": None, "geometry/headingAngle": np.full(SHAPE, 102, "float32")})
    ds, usual = open_hdfeos5(write_he5(tmp_path, datasets)), open_hdfeos5(write_he5(tmp_path / "u"))
    np.testing.assert_array_equal(ds.los_east, usual.los_east)


def test_zero_in_every_date_is_no_data_in_hyp3_products_only(tmp_path):
    values = series()
    values[:, 0, 0] = 0
    datasets = product(**{"observation/displacement": values})
    hyp3 = open_hdfeos5(write_he5(tmp_path, datasets, {"PROCESSOR": "hyp3"}))
    isce = open_hdfeos5(write_he5(tmp_path / "isce", datasets))
    expected = values.copy()
    expected[:, 0, 0] = np.nan
    np.testing.assert_array_equal(hyp3.displacement, expected)
    np.testing.assert_array_equal(isce.displacement, values)
    assert "dataset" not in hyp3.displacement.encoding  # the stored values are not these


def test_extra_velocity_of_mimtpy_is_kept(tmp_path):
    velocity = np.full(SHAPE, 0.01, "float32")
    ds = open_hdfeos5(write_he5(tmp_path, product(**{"observation/velocity": velocity})))
    np.testing.assert_array_equal(ds.velocity, velocity)
    assert ds.velocity.attrs["units"] == "m/yr"


def test_dates_in_an_attribute(tmp_path):
    datasets = product(**{"observation/date": None})
    ds = open_hdfeos5(write_he5(tmp_path, datasets, {"DATE_TIMESERIES": "20200103, 20200115, 20200127"}))
    assert ds.sizes["time"] == 3


def test_radar_coordinates_have_two_dimensional_positions(tmp_path):
    lat, lon = (np.full(SHAPE, value, "float32") for value in (39.5, 100.5))
    lat[0, 0] = lon[0, 0] = 0
    datasets = product(**{"geometry/latitude": lat, "geometry/longitude": lon})
    drop = ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP", "X_UNIT", "Y_UNIT", "REF_LAT", "REF_LON")
    ds = open_hdfeos5(write_he5(tmp_path, datasets, drop=drop))
    check_contract(ds)
    assert np.isnan(ds.latitude[0, 0])
    assert float(ds.longitude[3, 3]) == 100.5
    assert ds.attrs["reference_point"] == [100.5, 39.5]


def test_radar_coordinates_without_positions_are_refused(tmp_path):
    with pytest.raises(SourceFormatError, match=r"in radar coordinates .* no latitude and longitude"):
        open_hdfeos5(write_he5(tmp_path, drop=("X_FIRST", "Y_FIRST")))


def old_layout():
    stack = dict(zip(DATES, series(), strict=True))
    stack |= {"incidence_angle": np.full(SHAPE, 39, "float32"), "dem": np.full(SHAPE, 7, "int16")}
    return stack | {"mask": np.ones(SHAPE)}


@pytest.mark.parametrize("root", ["HDFEOS/GRIDS/timeseries/", "timeseries/GRIDS/"])
def test_one_dataset_a_date(tmp_path, root):
    path = write_he5(tmp_path, old_layout(), root=root)
    if root.startswith("timeseries"):  # the attributes were on the group then
        with h5py.File(path, "a") as file:
            for key in list(file.attrs):
                file["timeseries"].attrs[key] = file.attrs[key]
                del file.attrs[key]
    with no_compute():
        ds = open_hdfeos5(path)
    check_contract(ds)
    np.testing.assert_array_equal(ds.displacement, series())
    assert float(ds.height[0, 0]) == 7
    assert "dataset" not in ds.displacement.encoding


@pytest.mark.parametrize(
    ("changes", "attrs", "message"),
    [
        ({"observation/displacement": None}, {}, "expected observation/displacement in .*, it has geometry"),
        ({"observation/date": None}, {}, "neither observation/date nor DATE_TIMESERIES"),
        ({}, {"LENGTH": "7"}, r"displacement has shape \(3, 6, 8\), but .* say \(3, 7, 8\)"),
        ({"quality/mask": np.ones((5, 8))}, {}, r"quality/mask has shape \(5, 8\), but .* say \(6, 8\)"),
        ({"observation/displacement": series()[0]}, {}, r"displacement has shape \(6, 8\), but .* say \(3, 6, 8\)"),
        ({"observation/date": np.array(DATES[:2], "S8")}, {}, r"has shape \(3, 6, 8\), but .* say \(2, 6, 8\)"),
        ({"observation/date": np.array(DATES[::-1], "S8")}, {}, "20200115 comes after a later one"),
        ({"observation/date": np.array(["20200103"] * 3, "S8")}, {}, "20200103 occurs twice"),
    ],
)
def test_defects_are_named(tmp_path, changes, attrs, message):
    with pytest.raises(SourceFormatError, match=message):
        open_hdfeos5(write_he5(tmp_path, product(**changes), attrs))


def test_a_product_without_attributes_is_called_truncated(tmp_path):
    with pytest.raises(SourceFormatError, match=r"truncated: it has .*observation/displacement.* no root attributes"):
        open_hdfeos5(write_he5(tmp_path, drop=tuple(ATTRS)))


def test_other_hdf5_is_refused(tmp_path):
    with pytest.raises(SourceFormatError, match=r"no MintPy HDF-EOS5 product: expected the group .*, it has stuff"):
        open_hdfeos5(write_he5(tmp_path, {"a": np.zeros(3)}, root="stuff/"))


def products(folder):
    return sorted(path for path in folder.glob("**/*.he5") if "broken" not in path.parts)


def test_every_given_product_equals_h5py(he5):
    for path in products(he5):
        with no_compute():
            ds = open_hdfeos5(path)
        check_contract(ds)
        ds = ds.compute(scheduler="sync")
        with h5py.File(path) as file:
            group = file[GROUP]
            old = "observation" not in group
            names = [d for d in sorted(group) if d.isdigit()] if old else ["observation/displacement"]
            stored = np.stack([group[name][()] for name in names]).reshape(12, *ds.valid.shape)
            mask = np.nan_to_num(group["mask" if old else "quality/mask"][()]) != 0
        if ds.attrs["mintpy"]["PROCESSOR"] == "hyp3":
            row, col = int(ds.attrs["mintpy"]["REF_Y"]), int(ds.attrs["mintpy"]["REF_X"])
            outside = (stored == 0).all(0)
            outside[row, col] = False
            stored[:, outside] = np.nan
        np.testing.assert_array_equal(ds.displacement.values.view("u4"), stored.view("u4"), err_msg=str(path))
        np.testing.assert_array_equal(ds.valid, mask, err_msg=str(path))
        size = np.sqrt(ds.los_east**2 + ds.los_north**2 + ds.los_up**2)
        np.testing.assert_allclose(size.where(np.isfinite(size), 1), 1, atol=1e-6)
        assert float(ds.los_up.max()) > 0.6


def test_the_reference_pixel_of_every_given_grid_is_where_its_point_is(he5):
    for path in products(he5):
        ds = open_hdfeos5(path)
        if "y" not in ds.coords or not ds.rio.crs.is_geographic:
            continue  # radar and UTM have their own tests
        lon, lat = ds.attrs["reference_point"]
        pixel = ds.displacement.sel(y=lat, x=lon, method="nearest").compute(scheduler="sync")
        assert float(abs(pixel).max()) == 0


def test_coordinates_of_a_given_product_equal_its_own_centres(he5):
    ds = open_hdfeos5(next((he5 / "small").glob("*AT064/mintpy/*.he5")))
    with h5py.File(ds.attrs["source"]["url"]) as file:
        lat, lon = (file[GROUP + f"geometry/{name}"][()] for name in ("latitude", "longitude"))
    y, x = np.meshgrid(ds.y, ds.x, indexing="ij")
    good = np.isfinite(lat)
    np.testing.assert_allclose(y[good], lat[good], atol=5e-6)
    np.testing.assert_allclose(x[good], lon[good], atol=1e-5)


def test_the_given_broken_product_is_called_truncated(he5):
    with pytest.raises(SourceFormatError, match=r"is truncated: .*bperp"):
        open_hdfeos5(he5 / BROKEN)


@pytest.mark.parametrize(
    ("name", "track", "product_name"),
    [
        ("small/*AT064", "A064", "0113_0119"),
        ("small/*DT144", "D144", "0468_0468"),
        ("awkward/*Radar*", "A064", "0113_0116_filtDel4DS"),
        ("awkward/*Hyp3*", "D071", "0000_0000"),
    ],
)
def test_given_products_are_named(he5, name, track, product_name):
    ds = open_hdfeos5(next(he5.glob(f"{name}/mintpy/*.he5")))
    assert (ds.attrs["track"], ds.attrs["product"], ds.attrs["sensor"]) == (track, product_name, "Sentinel")


def test_given_legacy_files_hold_what_the_newest_holds(he5):
    newest = open_hdfeos5(next((he5 / "small").glob("*DT071/mintpy/*.he5"))).compute()
    for path in sorted((he5 / "legacy").glob("*/*.he5")):
        old = open_hdfeos5(path).compute()
        np.testing.assert_array_equal(old.y, newest.y)
        np.testing.assert_array_equal(old.time, newest.time)
        np.testing.assert_array_equal(old.displacement, newest.displacement, err_msg=str(path))
        assert old.attrs["product"] == newest.attrs["product"]
