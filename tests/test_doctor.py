"""What ``mimtpy doctor`` finds."""

from click.testing import CliRunner

from mimtpy_cloud.cli.app import cli


def _run(*arguments):
    return CliRunner().invoke(cli, ["doctor", *arguments])


def test_a_healthy_root_is_ok_and_left_as_it_was(tmp_path):
    result = _run("--root", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "can be written" in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_missing_root_is_a_problem(tmp_path):
    result = _run("--root", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert "problem" in result.output


def test_secrets_are_never_shown(s3, s3_server):
    result = _run("--root", f"s3://{s3.bucket}/doctor")
    assert result.exit_code == 0, result.output
    assert "AWS_SECRET_ACCESS_KEY" in result.output
    assert not any(secret in result.output for secret in s3.writer)


def test_a_reader_is_told_that_the_root_is_read_only(s3, monkeypatch):
    for name, value in s3.environment(s3.reader).items():
        monkeypatch.setenv(name, value)
    result = _run("--root", f"s3://{s3.bucket}/doctor")
    assert result.exit_code == 0, result.output
    assert "read only" in result.output


def test_a_cache_that_is_a_file_is_a_problem(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("")
    monkeypatch.setenv("MIMTPY_CACHE_DIR", str(tmp_path / "cache"))
    assert _run().exit_code == 1
