"""Tables of leaves of labelled maps: places, looks, weights, laziness, and real data."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from lazy import no_compute
from strategies import chunkings
from synthetic import lattice_dataset, look_vector, small_window

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.io.licsbas import open_licsbas
from mimtpy_cloud.kernels.covariance import CovarianceModel
from mimtpy_cloud.kernels.quadtree import Rules
from mimtpy_cloud.kernels.quadtree import quadtree as leaves_of
from mimtpy_cloud.ops.covariance import covariance_matrix
from mimtpy_cloud.ops.quadtree import leaf_noise, quadtree
from mimtpy_cloud.ops.select import mask_invalid, select_box
from mimtpy_cloud.schema import LOS

WINDOW = small_window(21, 33)
NOISE = CovarianceModel("exponential", 4e-6, 12.0, 1e-6)


def scene():
    rng = np.random.default_rng(3)
    velocity = rng.normal(0, 0.01, WINDOW.shape)
    velocity[rng.random(WINDOW.shape) < 0.2] = np.nan
    ds = lattice_dataset(WINDOW, velocity=velocity, incidence_angle=np.linspace(30, 45, WINDOW.shape[1]))
    ds["valid"][3:5, 7:12] = False
    return ds


@given(chunks=chunkings(y=21, x=33))
def test_chunked_equals_numpy_and_building_computes_nothing(chunks):
    with no_compute():
        lazy = quadtree(scene().chunk(chunks), "velocity", epsilon=0.01, min_px=3, max_px=8, covariance=NOISE)
    found = lazy.compute(scheduler="synchronous")
    expected = quadtree(scene(), "velocity", epsilon=0.01, min_px=3, max_px=8, covariance=NOISE).compute()
    tree = [name for name in expected.data_vars if "los" not in name and name != "incidence_angle"]
    xr.testing.assert_identical(found[tree], expected[tree])
    xr.testing.assert_allclose(found, expected, rtol=1e-12)


def test_leaves_are_those_of_the_kernel_from_the_south_west_corner():
    ds = scene()
    found = quadtree(ds, "velocity", epsilon=0.01, min_px=3, max_px=8, max_nan=1).compute()
    values = ds["velocity"].where(ds["valid"]).values[::-1]
    expected = leaves_of(values, Rules(0.01, 3, 8, 1.0))
    np.testing.assert_array_equal(found["velocity"], expected.mean)
    assert found.attrs["reduction_rms"] == expected.rms
    assert found["count"].sum() == np.isfinite(values).sum()
    first = found.isel(leaf=0)
    assert (first["west"], first["south"]) == pytest.approx((WINDOW.grid.west, WINDOW.grid.bounds[1]))
    for leaf in range(found.sizes["leaf"]):
        one = found.isel(leaf=leaf)
        inside = select_box(ds, tuple(float(one[edge]) for edge in ("west", "south", "east", "north")))
        assert (inside.y[0], inside.x[0]) == (ds.y[int(one["row"])], ds.x[int(one["col"])])
        known = inside["velocity"].where(inside["valid"])
        assert float(known.mean(dtype=np.float64)) == pytest.approx(float(one["velocity"]), rel=1e-12)
        looks = [float(inside[name].where(known.notnull()).mean(dtype=np.float64)) for name in LOS]
        np.testing.assert_allclose([one[name] for name in LOS], looks / np.linalg.norm(looks), rtol=1e-6)


def test_the_focal_point_is_the_mean_of_the_pixels(oracles):
    # O29d: 8 x 8 pixels of 0.01 degrees from 100 E 40 N on; row 4 from the south, column 4, two pixels long
    values = np.array(oracles["O29"]["grid"])[::-1]
    y, x = 40.075 - 0.01 * np.arange(8), 100.005 + 0.01 * np.arange(8)
    ds = xr.Dataset({"displacement": (("y", "x"), values, {"units": "m"})}, {"y": y, "x": x})
    found = quadtree(ds, "displacement", epsilon=2.0, min_px=1, max_px=8).compute()
    one = found.isel(leaf=3)
    assert (one["row"], one["col"], one["size"]) == (2, 4, 2)
    assert (float(one["lon"]), float(one["lat"])) == pytest.approx(oracles["O29d"]["lonlat"], rel=1e-9)
    edges = [float(one[edge]) for edge in ("west", "east", "south", "north")]
    assert edges == pytest.approx([100.04, 100.06, 40.04, 40.06])


def test_a_look_keeps_its_sign():
    # ascending, looking right: the ground is seen from the west, so that east of it is negative, angle 102 from north
    ds = lattice_dataset(WINDOW, velocity=0.01, incidence_angle=39.0, los_azimuth_angle=102.0)
    found = quadtree(ds, "velocity", min_px=8, max_px=8).compute()
    np.testing.assert_allclose(found["incidence_angle"], 39.0, rtol=1e-6)
    np.testing.assert_allclose(found["los_azimuth_angle"], 102.0, rtol=1e-6)
    np.testing.assert_allclose(found["los_east"], look_vector(39.0, 102.0)[0], rtol=1e-6)
    assert (found["los_east"] < 0).all()


def test_every_column_has_a_unit_and_the_attributes_of_the_map_stay():
    found = quadtree(scene(), "velocity", min_px=4, max_px=8, covariance=NOISE).compute()
    assert all("units" in variable.attrs for variable in found.variables.values())
    units = {name: found[name].attrs["units"] for name in ("velocity", "median", "scatter", "std", "absolute_weight")}
    assert units.pop("absolute_weight") == "(m/yr)^-2"
    assert set(units.values()) == {"m/yr"}
    assert found.attrs["track"] == "A064"
    grid = WINDOW.grid
    assert [found.attrs[k] for k in ("X_FIRST", "Y_FIRST", "Y_STEP")] == pytest.approx(
        [grid.west, grid.north, -grid.dy]
    )


def test_a_map_in_metres_has_leaves_in_degrees():
    from pyproj import CRS, Proj

    crs = CRS.from_epsg(32637)
    x, y = 500_050.0 + 100 * np.arange(16), 4_400_050.0 - 100 * np.arange(16)
    ref = xr.Variable((), 0, {"crs_wkt": crs.to_wkt("WKT1_GDAL")})
    ds = xr.Dataset(
        {"velocity": (("y", "x"), np.zeros((16, 16)), {"units": "m/yr"})}, {"y": y, "x": x, "spatial_ref": ref}
    )
    found = quadtree(ds, "velocity", min_px=16, max_px=16).compute()
    lon, lat = Proj(crs)(500_800.0, 4_399_300.0, inverse=True)
    assert (found["lon"].item(), found["lat"].item()) == pytest.approx((lon, lat))
    assert (found["west"].item(), found["north"].item()) == (500_000.0, 4_400_100.0)
    assert found["west"].attrs["units"] == "m"
    assert found["spatial_ref"].attrs["crs_wkt"] == ref.attrs["crs_wkt"]


def test_weights_are_means_of_rows_of_the_inverse_and_white_noise_is_averaged():
    leaves = quadtree(scene(), "velocity", epsilon=0.01, min_px=3, max_px=8).compute()
    matrix = covariance_matrix(leaves, NOISE).values
    matrix[np.diag_indices(len(matrix))] = NOISE.sill + NOISE.nugget / leaves["count"].values
    noise = leaf_noise(leaves, NOISE)
    np.testing.assert_allclose(noise["absolute_weight"], np.linalg.inv(matrix).mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(noise["std"], np.sqrt(np.diag(matrix)), rtol=1e-12)
    white = leaf_noise(leaves, CovarianceModel("exponential", 0.0, 1.0, 1e-6))
    np.testing.assert_allclose(white["std"], 1e-3 / np.sqrt(leaves["count"]), rtol=1e-12)
    np.testing.assert_allclose(white["absolute_weight"] * leaves.sizes["leaf"], white["std"] ** -2, rtol=1e-12)


def test_what_is_no_map_and_noise_without_a_factor_are_refused():
    ds = scene()
    with pytest.raises(SchemaError, match="a quadtree needs speed"):
        quadtree(ds, "speed")
    with pytest.raises(SchemaError, match=r"needs dimensions \('y', 'x'\), got \('time', 'y', 'x'\)"):
        quadtree(ds.expand_dims(time=2), "velocity")
    with pytest.raises(SchemaError, match="max_nan must be above 0"):
        quadtree(ds, "velocity", max_nan=0)
    twice = quadtree(ds, "velocity", min_px=8, max_px=8).compute()
    with pytest.raises(SchemaError, match="not positive definite; give it a nugget"):
        leaf_noise(xr.concat([twice, twice], "leaf"), CovarianceModel("gaussian", 1e-6, 50.0, 0.0))
    empty = quadtree(ds.assign(velocity=ds["velocity"] * np.nan), "velocity")
    with pytest.raises(SchemaError, match="no pixel with data"):
        empty.compute()


def test_real_leaves_agree_with_those_that_others_published_of_the_track(shared):
    # A087 across the North Anatolian Fault: LiCSBAS against the leaves of Jolivet et al. (2023), from other data
    folder = shared / "data" / "real"
    table = np.loadtxt(folder / "anatolia_csi_varres" / "Rate_map_T87.txt", skiprows=2)
    lon, lat, rate = table[:, 3:6].T
    ds = mask_invalid(open_licsbas(folder / "anatolia_licsbas_4tracks" / "087A_04904_121313"))
    cut = select_box(ds, (lon.min(), lat.min(), lon.max(), lat.max()))
    leaves = quadtree(cut, "velocity", epsilon=3.75e-3, min_px=2, max_px=16).compute()  # chosen for about as many
    assert 0.7 < leaves.sizes["leaf"] / len(rate) < 1.4
    inside = [(leaves["west"].values <= lon[:, None]), (lon[:, None] < leaves["east"].values)]
    inside += [(leaves["south"].values <= lat[:, None]), (lat[:, None] < leaves["north"].values)]
    hit = np.logical_and.reduce(inside)
    assert (hit.sum(axis=1) <= 1).all()
    has = hit.any(axis=1)
    assert has.mean() > 0.95
    at = hit[has].argmax(axis=1)
    ours = 1e3 * leaves["velocity"].values[at]
    assert np.corrcoef(ours, rate[has])[0, 1] > 0.6
    assert abs(np.median(ours - rate[has])) < 1.5  # mm/yr; each has its own reference
    cosine = sum(leaves[name].values[at] * table[has, k] for k, name in enumerate(LOS, 8))
    assert np.rad2deg(np.arccos(np.median(cosine))) < 0.2


@pytest.mark.parametrize("name", ["ascxn", "dscxn"])
def test_weights_of_published_leaves_follow_their_published_covariance(shared, name):
    # L'Aquila 2009 by Kite, with the covariance of leaf means: C falls as exp(-h/b) between leaves
    given = np.load(shared / "data" / "real" / "laquila_kite_beat" / f"Laquila_{name}.npz")
    places = {"lon": ("leaf", given["lons"]), "lat": ("leaf", given["lats"])}
    leaves = xr.Dataset({**places, "count": ("leaf", np.ones(given["lons"].size, int))})
    theirs = given["covariance"].astype(float)
    ratio = covariance_matrix(leaves, CovarianceModel("exponential", 1.0, 1.0, 0.0)).values
    apart = np.triu(-np.log(np.maximum(ratio, 1e-300)) > 3, 1) & (theirs > 0) & (ratio > 0)
    slope, level = np.polyfit(-np.log(ratio[apart]), np.log(theirs[apart]), 1)
    model = CovarianceModel("exponential", float(np.exp(level)), float(-1 / slope), 0.0)
    weights = leaf_noise(leaves, model)["absolute_weight"].values
    kite = np.linalg.inv(theirs).mean(axis=1)
    assert np.corrcoef(weights, kite)[0, 1] > 0.9
    assert 0.7 < weights.sum() / kite.sum() < 1.0  # less: means of leaves as long as the range vary less than points


def _laquila(shared, name):
    """Leaves of Kite, the covariance of their means, and that of points by sill and range fitted to it."""
    given = np.load(shared / "data" / "real" / "laquila_kite_beat" / f"Laquila_{name}.npz")
    leaves = xr.Dataset({"lon": ("leaf", given["lons"]), "lat": ("leaf", given["lats"])})
    theirs = given["covariance"].astype(float)
    distance = -np.log(covariance_matrix(leaves, CovarianceModel("exponential", 1.0, 1.0, 0.0)).values)
    apart = np.triu((distance > 3) & (distance < 500), 1)  # km
    slope, level = np.polyfit(distance[apart], np.log(theirs[apart]), 1)
    model = CovarianceModel("exponential", float(np.exp(level)), float(-1 / slope), 0.0)
    return given, theirs, covariance_matrix(leaves, model).values, distance


@pytest.mark.parametrize("name", ["ascxn", "dscxn"])
def test_covariance_of_focal_points_is_that_of_published_leaves_but_for_their_own_variance(shared, name):
    _, theirs, ours, distance = _laquila(shared, name)
    apart = distance > 0
    np.fill_diagonal(apart, False)
    ratio = ours / theirs
    assert abs(np.median(ratio[apart & (distance < 8)]) - 1) < 0.05
    assert (ratio[apart] - 1).std() < 0.06
    assert 1.4 < np.median(np.diag(ratio)) < 2.0  # a leaf as long as the range has about half the variance of a point


@pytest.mark.parametrize("name", ["ascxn", "dscxn"])
def test_a_model_fitted_with_our_covariance_is_nearly_as_good_as_with_the_published_one(shared, name):
    """Constant, ramp and size of a source with the pattern of the data: the true noise has the published covariance."""
    given, theirs, ours, _ = _laquila(shared, name)
    east, north = (np.subtract(given[key], given[key].mean()) for key in ("lons", "lats"))
    pattern = given["displacement"] / np.abs(given["displacement"]).max()
    design = np.stack([np.ones(east.size), east, north, pattern], axis=1)

    def errors(weight):
        fit = np.linalg.solve(design.T @ weight @ design, design.T @ weight)
        return np.sqrt(np.diag(fit @ theirs @ fit.T))

    best, inverse = errors(np.linalg.inv(theirs)), np.linalg.inv(ours)
    assert (errors(inverse) / best).max() < 1.03
    assert (errors(np.diag(inverse.mean(axis=1))) / best)[3] > 1.2  # weights without the covariance
    assert (errors(np.eye(east.size)) / best)[3] > 1.15
    told = np.sqrt(np.diag(np.linalg.inv(design.T @ inverse @ design)))
    assert (told / errors(inverse) > 1.05).all()  # on the safe side
    assert (told / errors(inverse) < 1.15).all()
    assert 0.4 < np.trace(inverse @ theirs) / east.size < 0.46  # the misfit of such noise, a leaf: less than 1
