"""Runs of RELAX on the workers of a real cluster of processes."""

import logging

import pytest
from distributed import Client, LocalCluster
from relaxruns import install_relax, write_sample

from mimtpy_cloud.errors import ClusterError, SourceFormatError, StorageError
from mimtpy_cloud.relax import make_runs, open_output, run_with_dask


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Two workers whose `relax` is a shell script."""
    install_relax(tmp_path / "bin", monkeypatch)
    quiet = {"dashboard_address": None, "silence_logs": logging.ERROR}
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", **quiet) as cluster, Client(cluster) as made:
        yield made


def count(folder):
    return len((folder / "count.txt").read_text().splitlines())


def test_runs_are_run_failures_are_told_and_only_they_run_again(client, tmp_path):
    folder = tmp_path / "runs"
    table = make_runs(write_sample(tmp_path), {"vs": "17,18", "H": "12,13,14"}, folder, "dask")
    calls = []
    outcomes = run_with_dask(folder, output="*-relax.txt", progress=lambda *call: calls.append(call))
    assert [outcome.name for outcome in outcomes] == table["name"].tolist()
    assert [outcome.code for outcome in outcomes] == [0, 3, 0] * 2
    assert outcomes[0].error == ""
    assert outcomes[1].error == "first\nno convergence"
    assert outcomes[2].error.startswith("it left no *-relax.txt in ")
    assert calls[-1] == (6, 6, "runs")
    assert count(folder) == 2
    script = folder / "iran_vs_0001.sh"
    script.write_text(script.read_text().replace("H=13", "H=15"))
    again = run_with_dask(folder, output="*-relax.txt")
    assert [outcome.skipped for outcome in again] == [True, False, False, True, False, False]
    assert [outcome.code for outcome in again] == [0, 0, 0, 0, 3, 0]
    assert count(folder) == 3
    script = folder / "iran_vs_0000.sh"
    script.write_text(script.read_text().replace("H=12", "H=16"))
    assert not run_with_dask(folder, output="*-relax.txt")[0].skipped  # its script changed
    ds = open_output(folder)
    assert ds["up"].sel(model="iran_vs_0000", time=1).item() == -16
    assert ds["missing"].sel(model="iran_vs_0005").item() == "no file P066-relax.txt"
    assert ds["H"].values.tolist() == [12, 13, 14] * 2


def test_there_must_be_a_cluster_a_table_and_scripts(tmp_path):
    with pytest.raises(ClusterError, match="no cluster is connected; use mimtpy --cluster local"):
        run_with_dask(tmp_path)
    with pytest.raises(StorageError, match="no such file"):
        run_with_dask(tmp_path, client=object())
    (tmp_path / "runs.csv").write_text("run,vs\n0,17\n")
    with pytest.raises(SourceFormatError, match="needs the columns name and script"):
        run_with_dask(tmp_path, client=object())
    (tmp_path / "runs.csv").write_text("run,name,script,vs\n0,a,a.sh,17\n")
    with pytest.raises(StorageError, match=r"lacks 1 scripts of its table, such as a.sh"):
        run_with_dask(tmp_path, client=object())
