"""The HDF5 files of a MintPy project, against h5py."""

import h5py
import numpy as np
import pytest
import xarray as xr
from he5files import ATTRS, DATES, SHAPE, product, series, write_h5
from lazy import no_compute

from mimtpy_cloud.errors import GridMismatchError, SourceFormatError
from mimtpy_cloud.io.mintpy import open_mintpy

RADAR = {"X_FIRST": "None", "Y_FIRST": "None", "REF_LAT": "None", "REF_LON": "None"}


def write_series(folder, **attrs):
    datasets = {"timeseries": series(), "date": np.array(DATES, "S8"), "bperp": np.array([0, 1, 2], "float32")}
    return write_h5(folder, "timeseries_ERA5.h5", "timeseries", datasets, attrs)


def rates():
    velocity = np.full(SHAPE, 0.02, "float32")
    velocity[0, :3] = 0
    velocity[1, 2] = 0  # the reference pixel
    std = np.full(SHAPE, 0.001, "float32")
    std[0, :2] = 0
    std[1, 2] = 0
    return velocity, std


def write_velocity(folder, *, std=True, **attrs):
    velocity, deviation = rates()
    datasets = {"velocity": velocity, "intercept": velocity + 1} | ({"velocityStd": deviation} if std else {})
    attrs = {"UNIT": "m/year", "START_DATE": "20200103", "END_DATE": "20200127"} | attrs
    return write_h5(folder, "velocity.h5", "velocity", datasets, attrs)


def write_geometry(folder, name="geometryGeo.h5", shape=SHAPE, **attrs):
    flat = {"incidenceAngle": 39, "azimuthAngle": 102, "height": 5, "latitude": 39.5, "longitude": 100.5}
    return write_h5(folder, name, "geometry", {k: np.full(shape, v, "float32") for k, v in flat.items()}, attrs)


def write_mask(folder, name="maskTempCoh.h5", dataset="mask", kind="mask"):
    return write_h5(folder, name, kind, {dataset: product()["quality/mask"]})


def test_time_series_with_geometry_and_mask(tmp_path):
    with no_compute():
        ds = open_mintpy(write_series(tmp_path), geometry=write_geometry(tmp_path), mask=write_mask(tmp_path))
    np.testing.assert_array_equal(ds.displacement, series())
    np.testing.assert_array_equal(ds.valid, product()["quality/mask"])
    np.testing.assert_array_equal(ds.perpendicular_baseline, [0, 1, 2])
    np.testing.assert_allclose(ds.los_up, np.cos(np.radians(39)), rtol=1e-6)
    assert ds.displacement.encoding["dataset"] == "/timeseries"
    assert ds.attrs["source"]["format"] == "MintPy timeseries"
    assert ds.sizes == {"time": 3, "y": 6, "x": 8}
    assert "latitude" not in ds


def test_velocity_is_nan_where_mintpy_wrote_zero_but_at_the_reference(tmp_path):
    with no_compute():
        ds = open_mintpy(write_velocity(tmp_path))
    velocity, std = rates()
    outside = (velocity == 0) & (std == 0)
    outside[1, 2] = False
    np.testing.assert_array_equal(ds.velocity, np.where(outside, np.nan, velocity))
    np.testing.assert_array_equal(ds.velocity_std, np.where(outside, np.nan, std))
    np.testing.assert_array_equal(ds.intercept, np.where(outside, np.nan, velocity + 1))
    np.testing.assert_array_equal(ds.valid, ~outside)
    assert (ds.attrs["start_date"], ds.attrs["end_date"]) == ("2020-01-03", "2020-01-27")
    assert (ds.velocity.units, ds.intercept.units) == ("m/yr", "m")


def test_velocity_without_deviation_is_nan_where_zero(tmp_path):
    ds = open_mintpy(write_velocity(tmp_path, std=False))
    assert np.isnan(ds.velocity[0, :3]).all()
    assert float(ds.velocity[1, 2]) == 0


def test_other_length_units_become_metres(tmp_path):
    millimetres = open_mintpy(write_velocity(tmp_path, UNIT="mm/year"))
    metres = open_mintpy(write_velocity(tmp_path / "m"))
    xr.testing.assert_allclose(millimetres.velocity * 1000, metres.velocity)


def test_phase_is_refused(tmp_path):
    with pytest.raises(SourceFormatError, match="has unit 'radian', expected metres"):
        open_mintpy(write_series(tmp_path, UNIT="radian"))


@pytest.mark.parametrize(
    ("name", "kind", "dataset", "variable"),
    [
        ("temporalCoherence.h5", "temporalCoherence", "temporalCoherence", "temporal_coherence"),
        ("avgSpatialCoh.h5", "coherence", "coherence", "avg_spatial_coherence"),
        ("maskTempCoh.h5", "mask", "mask", "valid"),
        ("waterMask.h5", "waterMask", "waterMask", "is_water"),
        ("waterMask.h5", "mask", "mask", "is_water"),
        ("waterMask.h5", "mask", "waterMask", "is_water"),
    ],
)
def test_one_layer_files(tmp_path, name, kind, dataset, variable):
    values = product()["quality/mask"]
    ds = open_mintpy(write_h5(tmp_path, name, kind, {dataset: values}))
    assert list(ds.data_vars) == [variable]
    np.testing.assert_array_equal(ds[variable], ~values if variable == "is_water" else values)


def test_radar_coordinates_need_the_geometry(tmp_path):
    path = write_series(tmp_path, **RADAR)
    with pytest.raises(SourceFormatError, match="give the geometry file too"):
        open_mintpy(path)
    ds = open_mintpy(path, geometry=write_geometry(tmp_path, **RADAR))
    assert float(ds.latitude[0, 0]) == 39.5
    assert "y" not in ds.coords


@pytest.mark.parametrize("change", [{"X_FIRST": "100.01"}, {"LENGTH": "5"}, {"EPSG": "32647"}, RADAR])
def test_companions_on_another_grid_are_refused(tmp_path, change):
    shape = (int(change.get("LENGTH", 6)), 8)
    with pytest.raises(GridMismatchError, match="must be on the grid of"):
        open_mintpy(write_series(tmp_path), geometry=write_geometry(tmp_path, shape=shape, **change))


def test_wrong_companions_are_refused(tmp_path):
    with pytest.raises(SourceFormatError, match=r"expected a geometry file .* has FILE_TYPE mask"):
        open_mintpy(write_series(tmp_path), geometry=write_mask(tmp_path))
    with pytest.raises(SourceFormatError, match="expected a mask file"):
        open_mintpy(write_series(tmp_path), mask=write_mask(tmp_path, "waterMask.h5", "mask"))
    with pytest.raises(SourceFormatError, match="no dataset 'mask'"):
        open_mintpy(write_series(tmp_path), mask=write_mask(tmp_path, "m.h5", "shadowMask"))


def test_foreign_kinds_are_refused(tmp_path):
    layer = {"a": np.zeros(SHAPE)}
    with pytest.raises(SourceFormatError, match="FILE_TYPE 'ifgramStack'; supported are timeseries, velocity"):
        open_mintpy(write_h5(tmp_path, "ifgramStack.h5", "ifgramStack", layer))
    with pytest.raises(SourceFormatError, match="needs one of the datasets velocity, velocityStd, intercept; it has a"):
        open_mintpy(write_h5(tmp_path, "velocity.h5", "velocity", layer))
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["a"] = 1
    with pytest.raises(SourceFormatError, match=r"no root attributes \(and holds a\)"):
        open_mintpy(tmp_path / "plain.h5")
    with pytest.raises(SourceFormatError, match="no dataset 'date'"):
        open_mintpy(write_h5(tmp_path, "ts.h5", "timeseries", {"timeseries": series()}))


def test_deviation_without_velocity_opens(tmp_path):
    ds = open_mintpy(write_h5(tmp_path, "v.h5", "velocity", {"velocityStd": rates()[1]}, {"UNIT": "m/year"}))
    assert "velocity" not in ds


def test_reference_attribute_aliases_reach_the_dataset(tmp_path):
    ds = open_mintpy(write_series(tmp_path, REF_DATE="None"))
    assert "reference_date" not in ds.attrs
    assert ds.attrs["reference_point"] == [float(ATTRS["REF_LON"]), float(ATTRS["REF_LAT"])]


def test_given_projects_equal_their_product(he5):
    from mimtpy_cloud.io.hdfeos5 import open_hdfeos5

    for folder in sorted((he5 / "small").glob("*DT*/mintpy")):
        with no_compute():
            ds = open_mintpy(
                folder / "geo_timeseries_ERA5_demErr.h5",
                geometry=folder / "geo_geometryRadar.h5",
                mask=folder / "geo_maskTempCoh.h5",
            )
        ds, whole = ds.compute(), open_hdfeos5(next(folder.glob("*.he5"))).compute()
        for name in ("displacement", "valid", "los_east", "los_north", "los_up", "height", "y", "x", "time"):
            np.testing.assert_array_equal(ds[name], whole[name], err_msg=f"{folder} {name}")


def test_given_velocities_equal_h5py_where_they_are_data(shared):
    paths = sorted((shared / "data" / "mintpy_oracles").glob("velocity/*/velocity.h5"))
    assert paths
    for path in paths:
        ds = open_mintpy(path).compute()
        with h5py.File(path) as file:
            velocity, std = file["velocity"][()], file["velocityStd"][()]
        data = (velocity != 0) | (std != 0)
        np.testing.assert_array_equal(ds.velocity.values[data], velocity[data])
        extra = ~data & np.isfinite(ds.velocity.values)
        assert extra.sum() <= 1  # the reference pixel
        assert ds.attrs["start_date"] < ds.attrs["end_date"]


def test_the_given_real_velocity_of_alos2(shared):
    folder = shared / "data" / "real" / "kirishima_mintpy"
    ds = open_mintpy(folder / "velocity.h5")
    assert (ds.attrs["sensor"], ds.attrs["track"], ds.attrs["product"]) == ("Alos2", "D023", "2970_2970")
    assert (ds.attrs["start_date"], ds.attrs["end_date"]) == ("2015-02-09", "2017-09-18")
    assert ds.sizes == {"y": 541, "x": 541}
    with h5py.File(folder / "velocity.h5") as file:
        stored = file["velocity"][()]
    good = np.isfinite(ds.velocity.values)
    np.testing.assert_array_equal(ds.velocity.values[good], stored[good])
    assert good.mean() > 0.3
    assert list(open_mintpy(folder / "temporalCoherence.h5")) == ["temporal_coherence"]
