"""A track opens from its index alone, and reads what is asked for, whatever the chunks."""

import collections
import itertools

import dask
import h5py
import numpy as np
import pytest
import rioxarray  # noqa: F401 - the accessor .rio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from lazy import no_compute
from scenes import add_entry, displacement, make_entry, stores, write_scene
from strategies import chunkings

from mimtpy_cloud.catalog.index import open_catalog
from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.catalog.tracks import open_entry, open_track
from mimtpy_cloud.errors import GridMismatchError, TrackNotFoundError
from mimtpy_cloud.io.storage import LocalStorage
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.schema import VARIABLES

SHAPE = (300, 280)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("source"), shape=SHAPE)


@pytest.fixture(scope="module")
def root(source, tmp_path_factory):
    """Root with one product in the bands 39 and 40 at 250 pixels a degree, three dates."""
    root = tmp_path_factory.mktemp("root")
    ingest(source, root)
    return root


@pytest.fixture
def reads(monkeypatch):
    """Keys that are read, by method."""
    seen = collections.defaultdict(list)
    for name in ("read", "read_tail", "read_ranges"):
        original = getattr(LocalStorage, name)

        def spy(self, key, *args, _name=name, _original=original):
            seen[_name].append(key)
            return _original(self, key, *args)

        monkeypatch.setattr(LocalStorage, name, spy)
    return seen


def lowres(root, **options):
    return open_track(root, "A064", resolution="lowRes", **options)


# --- what it opens ------------------------------------------------------------------------------------------


def test_all_bands_come_as_one_canonical_dataset(root, source):
    ds = lowres(root)
    assert open_catalog(root).find("A064", resolution="lowRes").bands == (39, 40)
    assert ds.displacement.dims == ("time", "y", "x")
    assert ds.displacement.shape == (3, *SHAPE)
    np.testing.assert_array_equal(ds.displacement.values, displacement(source))
    np.testing.assert_allclose([ds.x[0], ds.x[-1]], [100.2 + 0.5 / 250, 100.2 + 279.5 / 250])
    np.testing.assert_allclose([ds.y[0], ds.y[-1]], [40.4 - 0.5 / 250, 40.4 - 299.5 / 250])
    assert ds.time.values.tolist() == np.array(["2020-01-03", "2020-01-15", "2020-01-27"], "M8[ns]").tolist()


def test_labels_follow_the_schema(root):
    ds = lowres(root)
    assert ds.rio.crs.to_epsg() == 4326
    assert (ds.y.attrs["units"], ds.x.attrs["units"]) == ("degrees_north", "degrees_east")
    for name, variable in ds.data_vars.items():
        wanted = VARIABLES[name]
        assert (variable.dims, str(variable.dtype)) == (wanted.dims, wanted.dtype)
        assert {k: variable.attrs[k] for k in ("units", "long_name")} == wanted.attrs
    assert ds.perpendicular_baseline.size == 3
    attrs = ("resolution", "pixels_per_degree", "sensor", "track", "product", "reference_date")
    assert [ds.attrs[a] for a in attrs] == ["lowRes", 250, "Sentinel", "A064", "0113_0116", "2020-01-03"]


def test_a_track_may_name_its_sensor(root):
    track = lowres(root).attrs["track"]
    xr.testing.assert_identical(open_track(root, f"Sentinel/{track}", resolution="lowRes"), lowres(root))
    with pytest.raises(TrackNotFoundError, match=f"no track Alos2/{track}"):
        open_track(root, f"Alos2/{track}")


def test_opening_computes_nothing_and_reads_the_index_only(root, reads):
    with no_compute():
        ds = lowres(root)
        (ds.displacement.mean("time") * ds.los_up).where(ds.valid)
    assert reads == {"read": ["Sentinel/A064/index.json"]}


def test_catalog_entry_opens_without_any_read(root, reads):
    entry = open_catalog(root).find("A064", resolution="lowRes")
    reads.clear()
    with no_compute():
        ds = open_entry(str(root), entry)
    assert reads == {}
    assert bool(ds.valid.any())
    assert reads


def test_fifty_bands_open_with_one_read(tmp_path, reads):
    bands = {band: (1250 * (89 - band), 77500, 1250, 3125) for band in range(-20, 30)}
    names = ("displacement", "valid", "temporal_coherence", "height", "los_east", "los_north", "los_up")
    dates = tuple(str(day) for day in np.datetime64("2016-01-01") + 12 * np.arange(100))
    window = (60 * 1250 + 10, 77500 + 10, 50 * 1250 - 20, 3000)
    add_entry(
        tmp_path, make_entry(band_windows=bands, window=window, dates=dates, variables=names, perpendicular_baseline=())
    )
    reads.clear()
    with no_compute():
        ds = open_track(tmp_path, "A124")
        graphs = [ds[name].__dask_graph__() for name in names]
    assert reads == {"read": ["Sentinel/A124/index.json"]}
    assert ds.displacement.shape == (100, 62480, 3000)
    assert [len(graph) for graph in graphs] == [ds[name].data.npartitions for name in names]
    assert graphs[1].keys() != graphs[2].keys()


def test_equal_openings_have_equal_names_and_another_revision_has_not(root):
    entry = open_catalog(root).find("A064", resolution="lowRes")
    one, two = (open_entry(str(root), entry) for _ in range(2))
    other = open_entry(str(root), make_entry(**(vars(entry) | {"revision": "other"})))
    assert one.height.data.name == two.height.data.name != other.height.data.name


# --- box ----------------------------------------------------------------------------------------------------


def test_box_is_half_open_and_snapped(root):
    whole = lowres(root)
    west, north = float(whole.x[3]), float(whole.y[5])
    box = (west, float(whole.y[9]), float(whole.x[8]), north)
    part = lowres(root, bbox=box)
    np.testing.assert_array_equal(part.x, whole.x[3:8])
    np.testing.assert_array_equal(part.y, whole.y[5:9])
    nudged = lowres(root, bbox=tuple(v + d for v, d in zip(box, (-1e-3, 1e-3, -1e-3, 1e-3), strict=True)))
    xr.testing.assert_identical(nudged, part)
    same = whole.isel(y=slice(5, 9), x=slice(3, 8)).load()
    xr.testing.assert_identical(part.load(), same)


def test_box_larger_than_the_track_gives_the_track(root):
    assert lowres(root, bbox=(0, -90, 179, 90)).sizes == lowres(root).sizes


@pytest.mark.parametrize("turn", [-360, 360])
def test_whole_turns_of_a_box_make_no_difference(root, turn):
    west, south, east, north = open_catalog(root).search(track="A064", resolution="lowRes")[0].bounds
    box = ((west + east) / 2, south, east, north)
    turned = (box[0] + turn, south, east + turn, north)
    xr.testing.assert_identical(lowres(root, bbox=turned), lowres(root, bbox=box))
    assert open_catalog(root).search(bbox=turned) == open_catalog(root).search(bbox=box) != []


@pytest.mark.parametrize(
    ("bbox", "error", "message"),
    [
        (
            (0, 0, 1, 1),
            TrackNotFoundError,
            r"A064 has no pixel in \(0, 0, 1, 1\); it covers W, S, E, N = 100.2000, 39.2",
        ),
        ((101, 40, 100, 41), GridMismatchError, "west < east"),
    ],
)
def test_box_without_pixels_is_refused(root, bbox, error, message):
    with pytest.raises(error, match=message):
        lowres(root, bbox=bbox)


# --- chunks -------------------------------------------------------------------------------------------------


def test_dask_chunk_borders_lie_on_the_global_lattice(root):
    for bbox in (None, (100.9, 39.7, 101.2, 40.1)):
        ds = lowres(root, bbox=bbox)
        window = Window.of(ds.x.values, ds.y.values, 250)
        for name in ("displacement", "height"):
            *times, rows, cols = ds[name].data.chunks
            assert times in ([], [(3,)])
            for first, sizes in ((window.row, rows), (window.col, cols)):
                borders = list(itertools.accumulate(sizes, initial=first))[1:-1]
                assert all(border % 125 == 0 for border in borders)


@given(chunks=chunkings(time=3, y=300, x=280))
def test_chunked_equals_unchunked(root, chunks):
    ds = lowres(root)[["displacement", "valid", "los_up"]]
    xr.testing.assert_identical(ds.chunk(chunks).compute(), ds.compute())


@given(data=st.data())
def test_any_slice_equals_the_slice_of_the_whole(root, data):
    ds = lowres(root)[["displacement", "valid"]]
    index = {
        dim: slice(
            data.draw(st.integers(0, size)), data.draw(st.integers(0, size)), data.draw(st.integers(1, 1 + size // 2))
        )
        for dim, size in (("time", 3), ("y", 300), ("x", 280))
    }
    whole = ds.load()
    xr.testing.assert_identical(lowres(root)[["displacement", "valid"]].isel(index).load(), whole.isel(index))


def test_band_without_store_is_no_data(tmp_path):
    source = write_scene(tmp_path, shape=(200, 60), nan=False, name="gap.he5")
    with h5py.File(source, "r+") as file:
        file["HDFEOS/GRIDS/timeseries/observation/displacement"][:, 100:] = np.nan
    (entry,) = ingest(source, tmp_path / "root")
    assert entry.bands == (40,)
    assert [store.parent.parent.name for store in stores(tmp_path / "root")] == ["40"]
    ds = lowres(tmp_path / "root").load()
    assert ds.sizes["y"] == 200
    assert bool(ds.displacement[:, :100].notnull().all())
    assert bool(ds.displacement[:, 100:].isnull().all())
    assert not ds.valid[100:].any()


# --- other processes ----------------------------------------------------------------------------------------


def test_another_process_computes_it(root, source):
    distributed = pytest.importorskip("distributed")
    with (
        dask.config.set({"distributed.worker.daemon": True}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, protocol="tcp"
        ) as cluster,
        distributed.Client(cluster),
    ):
        mean = float(lowres(root).displacement.mean())
    np.testing.assert_allclose(mean, np.nanmean(displacement(source).astype("float64")), atol=1e-6)


# --- misuse -------------------------------------------------------------------------------------------------


def test_as_of_belongs_to_the_catalog(root):
    with pytest.raises(TypeError, match="as_of goes to open_catalog"):
        lowres(open_catalog(root), as_of="2026-11-22")
    with pytest.raises(TrackNotFoundError, match="as of 2001-01-01"):
        lowres(root, as_of="2001-01-01")


def test_misspelt_parameter_raises(root):
    with pytest.raises(TypeError, match="resolutoin"):
        open_track(root, "A064", resolutoin="lowRes")
