"""The option --cluster of every verb."""

from click.testing import CliRunner

from mimtpy_cloud.cli.app import cli


def test_an_unknown_cluster_is_one_line(tmp_path):
    result = CliRunner().invoke(cli, ["--cluster", "cloud", "catalog", "list", "--root", str(tmp_path)])
    assert result.exit_code == 2
    assert "expected a cluster of" in result.stderr


def test_workers_are_a_number_or_a_range(tmp_path):
    result = CliRunner().invoke(cli, ["--cluster", "local", "--workers", "many", "catalog", "list"])
    assert result.exit_code == 2
    assert "N or MIN:MAX" in result.stderr


def test_the_link_of_the_dashboard_is_printed(tmp_path):
    arguments = ["--cluster", "local", "--workers", "1", "catalog", "list", "--root", str(tmp_path)]
    assert "dashboard: http" in CliRunner().invoke(cli, arguments).stderr
