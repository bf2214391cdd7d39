"""Who may do what, what cannot leave the root, what never runs, and where no secret goes."""

import contextlib
import logging
import pickle
import re
import traceback
from pathlib import Path

import intake
import pytest
import xarray as xr
import zarr
from scenes import write_scene

import mimtpy_cloud
from mimtpy_cloud.catalog.driver import read_catalog
from mimtpy_cloud.catalog.index import open_catalog
from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.catalog.tracks import open_track
from mimtpy_cloud.cli.template import parse_legacy
from mimtpy_cloud.errors import CatalogError, MimtpyError, StorageError
from mimtpy_cloud.io.storage import open_storage

PACKAGE = Path(mimtpy_cloud.__file__).parent
SECRET = "recognisable-secret"
OUTSIDE = ["../x", "..", "/etc", "%2e%2e%2fx", "%2e%2e/x", "A064/../../x", "..%2fx"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def root(s3, tmp_path):
    return f"s3://{s3.bucket}/{tmp_path.name}-security"


def become(monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def test_a_reader_opens_and_is_told_that_it_cannot_ingest(root, s3, monkeypatch, scene):
    ingest(scene, root, workers=2)
    become(monkeypatch, s3.environment(s3.reader))
    assert open_track(root, "A064").displacement.isel(time=0).notnull().any().compute()
    before = open_storage(root).read("Sentinel/A064/index.json")
    with pytest.raises(StorageError, match="no permission"):
        ingest(scene, f"{root}/other", workers=2)
    with pytest.raises(StorageError, match="no permission"):
        ingest(write_scene(scene.parent, name="S1_other.he5", seed=9), root, workers=2)
    assert open_storage(root).read("Sentinel/A064/index.json") == before


def test_nobody_reads_the_private_bucket(root, scene, monkeypatch):
    ingest(scene, root, workers=2)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    with pytest.raises(StorageError, match="AWS_SKIP_SIGNATURE"):
        open_track(root, "A064")


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_track_or_sensor_name_leaves_the_root(name, scene, tmp_path):
    ingest(scene, tmp_path / "a" / "root", workers=2)
    ingest(scene, tmp_path / "x", workers=2)  # what a way out would find
    for options in ({"track": name}, {"track": "A064", "sensor": name}):
        with pytest.raises(MimtpyError):
            open_track(tmp_path / "a" / "root", **options)


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_parameter_of_a_catalog_leaves_the_root(name, scene, tmp_path, monkeypatch):
    ingest(scene, tmp_path / "root", workers=2)
    monkeypatch.setenv("MIMTPY_ROOT", str(tmp_path / "root"))
    source = intake.open_catalog(str(PACKAGE.parent / "catalogs" / "mimtpy.yml")).timeseries
    for options in ({"track": name}, {"track": "A064", "sensor": name}):
        with pytest.raises(MimtpyError):
            source(**options).to_dask()


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("attribute", ["mission", "PROJECT_NAME", "relative_orbit", "first_frame"])
def test_no_attribute_of_a_source_leaves_the_root(name, attribute, tmp_path):
    path = write_scene(tmp_path / "in", **{attribute: name})
    before = {p for p in tmp_path.rglob("*") if "root" not in p.parts}
    with contextlib.suppress(MimtpyError):
        ingest(path, tmp_path / "deep" / "root", workers=2)
    after = {p for p in tmp_path.rglob("*") if "root" not in p.parts}
    assert after - before <= {tmp_path / "deep"}


def test_the_package_never_loads_a_pickle_or_unsafe_yaml():
    for path in PACKAGE.rglob("*.py"):
        found = re.findall(r"pickle\.loads?\(|allow_pickle\s*=\s*True|yaml\.(?:unsafe_|full_)?load\(", path.read_text())
        assert not found, f"{path.name}: {found}"


def test_no_secret_is_shown_logged_or_stored(root, s3, scene, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    ingest(scene, root, workers=2)
    track = open_track(root, "A064")
    track.displacement.isel(time=0).compute()
    storage = open_storage(root)
    shown = [repr(storage), repr(open_catalog(root)), repr(track), caplog.text, *capfd.readouterr()]
    shown += [pickle.dumps(x).decode("latin1") for x in (storage, track)]
    shown += [repr(storage.zarr_store("Sentinel")), pickle.dumps(storage.zarr_store("Sentinel")).decode("latin1")]
    shown.append(storage.read("Sentinel/A064/index.json").decode())
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with pytest.raises(StorageError) as caught:
        open_storage(root).read("a")
    shown.append("".join(traceback.format_exception(caught.value)))
    for text in shown:
        assert s3.writer[1] not in text
        assert SECRET not in text


def test_a_foreign_store_of_pickles_is_not_unpickled(tmp_path):
    group = zarr.open_group(tmp_path / "x.zarr", mode="w", zarr_format=2)
    group.create_array("displacement", shape=(1,), dtype="i4")
    meta = tmp_path / "x.zarr" / "displacement" / ".zarray"
    meta.write_text(
        meta.read_text().replace('"<i4"', '"|O"').replace('"filters": null', '"filters": [{"id": "pickle"}]')
    )

    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("exploded").touch, ())

    (tmp_path / "x.zarr" / "displacement" / "0").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(MimtpyError):
        ingest(tmp_path / "x.zarr", tmp_path / "root")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "source", ["{driver: os.system, args: {command: 'touch HIT'}}", "!!python/object/apply:os.system ['touch HIT']"]
)
def test_a_foreign_catalog_runs_no_code(source, tmp_path):
    path = tmp_path / "foreign.yml"
    path.write_text(f"sources:\n  a: {source.replace('HIT', str(tmp_path / 'hit'))}\n")
    with pytest.raises(Exception, match=r"container|constructor"):
        _ = intake.open_catalog(str(path)).a
    assert not (tmp_path / "hit").exists()


ROOT = "sources: {{a: {{driver: mimtpy_track, args: {{root: {}}}}}}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sources: {a: {driver: os.system, args: {command: 'touch HIT'}}}", "must have the driver mimtpy_track"),
        ("sources: {a: {driver: mimtpy_track, cache: [{regex: x}], args: {}}}", "must have the driver mimtpy_track"),
        ("sources: !!python/object/apply:os.system ['touch HIT']", "no catalog file that can be read"),
        ("plugins: {source: [{module: os}]}\nsources: {}", "nothing but metadata"),
        ("[1, 2]", "must have sources"),
        (
            "sources: {a: {driver: mimtpy_track, args: {root: '{{ env(AWS_SECRET_ACCESS_KEY) }}'}}}",
            "asks for",
        ),
        (
            "sources: {a: {driver: mimtpy_track, args: {root: \"{{ ''.__class__.__mro__ }}\"}}}",
            "has a template other than",
        ),
        ("sources: {a: {driver: mimtpy_track, args: {root: '{% set x = 1 %}'}}}", "has a template other than"),
        ("sources: {a: {driver: mimtpy_track, args: {root: '{{ shell(touch HIT) }}'}}}", "has a template other than"),
    ],
)
def test_a_catalog_of_somebody_else_does_nothing_but_name_tracks(text, message, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    path = tmp_path / "foreign.yml"
    path.write_text(text.replace("HIT", str(tmp_path / "hit")))
    with pytest.raises(CatalogError, match=message) as caught:
        read_catalog(path)
    assert SECRET not in str(caught.value)
    assert not (tmp_path / "hit").exists()


def test_our_own_catalogs_are_read_so_too(scene, tmp_path, monkeypatch):
    ingest(scene, tmp_path / "root")
    monkeypatch.setenv("MIMTPY_ROOT", str(tmp_path / "root"))
    for name in ("mimtpy", "s3", "demo"):
        assert list(read_catalog(PACKAGE.parent / "catalogs" / f"{name}.yml")) == ["timeseries"]
    source = read_catalog(PACKAGE.parent / "catalogs" / "mimtpy.yml").timeseries(track="A064")
    xr.testing.assert_identical(source.to_dask(), open_track(tmp_path / "root", "A064"))


def test_a_template_expands_no_secret(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("SCRATCHDIR", "/scratch")
    items, problems = parse_legacy("mimtpy.a = $SCRATCHDIR/${AWS_SECRET_ACCESS_KEY}/$NONE")
    assert ([item.raw for item in items], problems) == (["/scratch/${AWS_SECRET_ACCESS_KEY}/$NONE"], [])


def test_a_foreign_catalog_opened_without_getenv_expands_no_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    path = tmp_path / "foreign.yml"
    args = '{root: "{{ env(AWS_SECRET_ACCESS_KEY) }}", track: A064}'
    path.write_text(f"sources:\n  a: {{driver: mimtpy_track, args: {args}}}\n")
    with pytest.raises(MimtpyError) as caught:
        intake.open_catalog(str(path), getenv=False).a.to_dask()
    assert SECRET not in str(caught.value)
