"""What ``mimtpy doctor`` finds."""

import pytest
from click.testing import CliRunner

from mimtpy_cloud.cli.app import cli


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
    monkeypatch.delenv("MIMTPY_CACHE_DIR", raising=False)


def doctor(*arguments, cluster=()):
    return CliRunner().invoke(cli, [*cluster, "doctor", *map(str, arguments)])


def lines(result):
    return {line.partition("  ")[0].strip(): line for line in result.output.splitlines()}


def test_a_folder_is_fine_and_left_as_it_was(tmp_path):
    result = doctor("--root", tmp_path)
    assert result.exit_code == 0, result.output
    found = lines(result)
    assert "can be read and holds no track yet" in found["root"]
    assert "a small object was written, read and removed" in found["root, writing"]
    assert "zarr" in found["packages"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    result = doctor("--root", tmp_path / "none")
    assert result.exit_code == 0
    assert "is not there yet; mimtpy ingest makes it" in lines(result)["root"]
    assert not (tmp_path / "none").exists()


def test_a_store_is_tried_and_no_secret_is_shown(s3):
    result = doctor("--root", f"s3://{s3.bucket}/doctor")
    assert result.exit_code == 0, result.output
    assert "AWS_SECRET_ACCESS_KEY" in lines(result)["credentials"]
    assert not any(secret in result.output for secret in s3.writer)
    assert s3.endpoint in lines(result)["storage settings"]


def test_a_reader_is_told_that_the_root_is_read_only(s3, monkeypatch):
    for name, value in s3.environment(s3.reader).items():
        monkeypatch.setenv(name, value)
    result = doctor("--root", f"s3://{s3.bucket}/doctor")
    assert result.exit_code == 0, result.output
    assert "read only: no permission" in lines(result)["root, writing"]


def test_a_server_that_is_down_is_wrong_and_the_rest_is_still_looked_at(s3, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("MIMTPY_CACHE_DIR", str(tmp_path))
    result = doctor("--root", "s3://insar/doctor")
    assert result.exit_code == 1
    assert "WRONG" in lines(result)["root"]
    assert "cannot reach s3://insar/doctor" in lines(result)["root"]
    assert str(tmp_path) in lines(result)["cache"]
    assert "none in use" in lines(result)["cluster"]


def test_a_cache_that_cannot_be_written_is_wrong(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("")
    monkeypatch.setenv("MIMTPY_CACHE_DIR", str(tmp_path / "cache"))
    result = doctor("--root", tmp_path)
    assert result.exit_code == 1
    assert "cannot be written; choose another folder" in lines(result)["cache"]


def test_a_cluster_is_tried(tmp_path):
    result = doctor("--root", tmp_path, cluster=("--cluster", "local", "--workers", "1"))
    assert result.exit_code == 0, result.output
    assert "1 workers, versions agree, a small sum came back" in lines(result)["cluster"]


def test_a_cluster_that_is_not_there_is_wrong_and_the_rest_is_still_looked_at(tmp_path):
    result = doctor("--root", tmp_path, cluster=("--cluster", "locl"))
    assert result.exit_code == 1
    assert "no kind of cluster 'locl'" in lines(result)["cluster"]
    assert "holds no track yet" in lines(result)["root"]
