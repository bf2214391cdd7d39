"""Scripts of many runs from one sample and a table."""

import csv
import subprocess

import numpy as np
import pandas as pd
import pytest
from relaxruns import SAMPLE, install_relax, write_sample

from mimtpy_cloud.errors import ParameterError, SourceFormatError, StorageError
from mimtpy_cloud.kernels.viscosity import fluidity
from mimtpy_cloud.relax import make_runs, run_table

TWO = {"vs": "17:18:0.25", "vm": "18:19:0.25"}


@pytest.fixture
def sample(tmp_path):
    return write_sample(tmp_path)


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


# --- tables ---------------------------------------------------------------------------------------------------


def test_values_are_combined_with_the_last_parameter_fastest():
    table = run_table({"vs": "17,18", "h": np.array([1.0, 2.0])})
    assert table["run"].tolist() == ["0000", "0001", "0002", "0003"]
    assert table["h"].tolist() == [1, 2, 1, 2]


def test_a_table_has_its_own_rows_and_ids(tmp_path):
    frame = pd.DataFrame({"run": ["a", "b-2"], "vs": [17.1, 18.3], "h": [1, 2]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for source in (frame, tmp_path / "t.csv", str(tmp_path / "t.parquet")):
        table = run_table(source)
        assert table["run"].tolist() == ["a", "b-2"]
        assert table["vs"].tolist() == [17.1, 18.3]
        assert table["h"].dtype == np.float64


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"vs": []}, "expected a row for each run and a column for each parameter"),
        ({"run": ["a"]}, "expected a row for each run and a column for each parameter"),
        ({"vs": [1.0, np.nan]}, "row 2: expected a number for vs, got nan"),
        ({"vs": ["x"]}, "row 1: expected a number for vs, got 'x'"),
        ({"run": ["a", "a"], "vs": [1, 2]}, "expected a run once; .*'a'.* occurs 2 times"),
        ({"run": ["../a"], "vs": [1]}, r"expected ids of letters, digits and . _ \+ -, got '../a'"),
    ],
)
def test_a_broken_table_is_refused(frame, message):
    with pytest.raises(ParameterError, match=message):
        run_table(pd.DataFrame(frame))


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("vs,vm\n1,2\n3\n")
    with pytest.raises(ParameterError, match=r"t.csv, row 3: expected 2 cells, got 1"):
        run_table(tmp_path / "t.csv")
    with pytest.raises(StorageError, match="no such file"):
        run_table(tmp_path / "none.csv")


# --- scripts --------------------------------------------------------------------------------------------------


def test_runs_and_names_are_those_of_the_oracle(oracles, sample, tmp_path):
    table = make_runs(sample, TWO, tmp_path / "runs", names="values")
    oracle = oracles["O33"]
    names = table["name"].tolist()
    assert (len(names), names[0], names[-1]) == (oracle["n"], oracle["first_name"], oracle["last_name"])
    assert np.unique(table["vs"]).tolist() == oracle["values"]


def test_only_whole_names_are_replaced(sample, tmp_path):
    make_runs(sample, {"vs": "17.25", "vm": "18", "H": "20"}, tmp_path / "runs")
    text = (tmp_path / "runs" / "iran_vs_0000.sh").read_text()
    wanted = SAMPLE.replace("vs=1.0 #", "vs=5.323842781 #").replace('vm="2.0"', "vm=0.946728")
    wanted = wanted.replace("H=30", "H=20").replace("WDIR=./sample", "WDIR=./iran_vs_0000")
    assert text == wanted


def test_fluidities_have_ten_digits_or_those_of_mimtpy(sample, tmp_path):
    exact = make_runs(sample, {"vs": "23.5"}, tmp_path / "a")
    assert "\nvs=2.993816805e-06 #" in (tmp_path / "a" / exact["script"][0]).read_text()
    np.testing.assert_array_equal(exact["vs_gammadot0"], fluidity(exact["vs"]))
    np.testing.assert_allclose(exact["vs_maxwell_years"] * exact["vs_gammadot0"], 1)
    peer = make_runs(sample, {"vs": "17.25"}, tmp_path / "b", convention="mimtpy")
    assert "\nvs=5.39848 #" in (tmp_path / "b" / peer["script"][0]).read_text()


@pytest.mark.parametrize("value", ["1", "'1 2'", '"$x"', "", "$x/2", "1;", "1  # why"])
def test_values_of_many_forms_are_replaced(sample, tmp_path, value):
    sample.write_text(f"  export H={value}\nWDIR=a\n")
    make_runs(sample, {"H": "20"}, tmp_path / "runs")
    rest = value[1:] if value[-1:] in (";", "y") else ""
    assert (tmp_path / "runs" / "iran_vs_0000.sh").read_text() == f"  export H=20{rest}\nWDIR=./iran_vs_0000\n"


def test_what_is_no_viscosity_stays_as_it_is(sample, tmp_path):
    table = make_runs(sample, {"vs": "17.5", "H": "2.5"}, tmp_path / "runs", viscosity=())
    assert list(table) == ["run", "name", "script", "vs", "H"]
    assert "\nvs=17.5 #" in (tmp_path / "runs" / table["script"][0]).read_text()


def test_the_modulus_counts(sample, tmp_path):
    table = make_runs(sample, {"H": "18"}, tmp_path / "runs", viscosity=["H"], mu=60e9)
    assert table["H_gammadot0"] == pytest.approx(fluidity(18.0, 60e9))


def test_the_table_is_written_exactly(sample, tmp_path):
    table = make_runs(sample, TWO, tmp_path / "runs")
    again = run_table(tmp_path / "runs" / "runs.csv")
    parquet = pd.read_parquet(tmp_path / "runs" / "runs.parquet")
    assert list(again) == list(table) == list(parquet)
    for name, column in table.items():
        np.testing.assert_array_equal(again[name], column)
        np.testing.assert_array_equal(parquet[name].to_numpy(), column)


def test_the_scripts_run_one_after_another(sample, tmp_path, monkeypatch):
    install_relax(tmp_path / "bin", monkeypatch)
    table = make_runs(sample, {"vs": "17,18", "H": "20"}, tmp_path / "runs")
    subprocess.run(["./run_RELAX"], cwd=tmp_path / "runs", check=True, capture_output=True)
    for name, rate in zip(table["name"], table["vs_gammadot0"], strict=True):
        written = np.loadtxt(tmp_path / "runs" / name / "P066-relax.txt")
        np.testing.assert_allclose(written[1], [1, rate, 2, 20], rtol=1e-9)


@pytest.mark.parametrize(("scheduler", "submit"), [("pbs", "qsub"), ("slurm", "sbatch")])
def test_queues_get_a_list_and_an_array(sample, tmp_path, monkeypatch, scheduler, submit):
    install_relax(tmp_path / "bin", monkeypatch)
    folder = tmp_path / "runs"
    table = make_runs(sample, TWO, folder, scheduler)
    assert (folder / "run_RELAX").read_text().splitlines()[2:] == [f"{submit} ./{s}" for s in table["script"]]
    array = folder / f"array.{scheduler}"
    for file in (array, folder / "run_RELAX", *folder.glob("*.sh")):
        subprocess.run(["bash", "-n", file], check=True)
    text = array.read_text()
    assert ("#PBS -J 0-24" if scheduler == "pbs" else "#SBATCH --array=0-24") in text
    assert ("#PBS -l walltime=1:00:00" if scheduler == "pbs" else "#SBATCH -N 1") in text
    assert "/somewhere" not in text
    index = {"pbs": "PBS_ARRAY_INDEX", "slurm": "SLURM_ARRAY_TASK_ID"}[scheduler]
    monkeypatch.setenv(index, "7")
    subprocess.run([str(array)], cwd=folder, check=True, capture_output=True)
    assert [path.parent.name for path in folder.glob("*/P066-relax.txt")] == ["iran_vs_0007"]
    monkeypatch.setenv(index, "25")
    assert subprocess.run([str(array)], cwd=folder, check=False, capture_output=True).returncode == 1


def test_options_of_a_queue_carry_the_name_of_the_run(sample, tmp_path):
    make_runs(sample, {"vs": "17"}, tmp_path / "p", "pbs")
    pbs = (tmp_path / "p" / "iran_vs_0000.sh").read_text()
    assert "#PBS -N iran_vs_0000\n" in pbs
    assert "#PBS -o iran_vs_0000.out\n" in pbs
    assert "#PBS -J" not in (tmp_path / "p" / "array.pbs").read_text()  # an array of one is refused
    make_runs(sample, {"vs": "17"}, tmp_path / "s", "slurm")
    slurm = (tmp_path / "s" / "iran_vs_0000.sh").read_text()
    assert "#SBATCH -J iran_vs_0000\n" in slurm
    assert "#SBATCH --error=iran_vs_0000.err\n" in slurm
    assert "#SBATCH -N 1\n" in slurm


def test_with_dask_nothing_submits(sample, tmp_path):
    make_runs(sample, {"vs": "17"}, tmp_path / "runs", "dask")
    assert listing(tmp_path / "runs") == ["iran_vs_0000.sh", "runs.csv", "runs.parquet"]


# --- misuse ---------------------------------------------------------------------------------------------------


def test_a_folder_with_something_in_it_stays(sample, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine.txt").write_text("precious")
    with pytest.raises(StorageError, match="is not empty; give a new folder"):
        make_runs(sample, {"vs": "17"}, tmp_path / "runs")
    assert listing(tmp_path / "runs") == ["mine.txt"]
    make_runs(sample, {"vs": "17"}, tmp_path / "runs", overwrite=True)
    assert "mine.txt" not in listing(tmp_path / "runs")
    assert listing(tmp_path) == ["iran_vs_sample.sh", "runs"]
    with pytest.raises(StorageError, match="is a file; give a folder"):
        make_runs(sample, {"vs": "17"}, sample)


def test_nothing_half_written_stays(sample, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mimtpy_cloud.relax.runs._write_table", broken)
    with pytest.raises(StorageError, match=r"cannot write .*: No space left on device"):
        make_runs(sample, {"vs": "17"}, tmp_path / "runs")
    assert listing(tmp_path) == ["iran_vs_sample.sh"]


@pytest.mark.parametrize(
    ("change", "symbol", "count"),
    [
        (("vs=1.0", "vs1=1.0"), "vs", 0),
        (("H=30", "vs=3"), "vs", 2),
        (("WDIR=./sample", ""), "WDIR", 0),
        (("vs=1.0", "vs=$(echo 1)"), "vs", 0),
        (("vs=1.0", "vs=`echo 1`"), "vs", 0),
        (("vs=1.0", "vs=1.0 true"), "vs", 0),
    ],
)
def test_a_sample_assigns_each_parameter_once(sample, tmp_path, change, symbol, count):
    sample.write_text(SAMPLE.replace(*change))
    with pytest.raises(SourceFormatError, match=rf"must assign {symbol} exactly once, .* it does so {count} times"):
        make_runs(sample, {"vs": "17"}, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("parameters", "options", "message"),
    [
        ({"v s": "1"}, {}, "must be a name that a shell takes, got 'v s'"),
        ({"vs": "17"}, {"viscosity": ["vm"]}, r"expected viscosities among the parameters \['vs'\], got \['vm'\]"),
        ({"vs": "17,17.001"}, {"names": "values"}, "two runs would be called iran_vs_1700; .* need names='run'"),
        ({"vs": "17"}, {"names": "nice"}, "expected names to be one of run, values, got 'nice'"),
        ({"vs": "17"}, {"scheduler": "lsf"}, "expected scheduler to be one of shell, dask, pbs, slurm, got 'lsf'"),
    ],
)
def test_wrong_options_are_named(sample, tmp_path, parameters, options, message):
    with pytest.raises(ParameterError, match=message):
        make_runs(sample, parameters, tmp_path / "runs", **options)


def test_the_table_names_its_columns(sample, tmp_path):
    make_runs(sample, {"vs": "17"}, tmp_path / "runs")
    rows = list(csv.reader((tmp_path / "runs" / "runs.csv").read_text().splitlines()))
    assert rows[0] == ["run", "name", "script", "vs", "vs_gammadot0", "vs_maxwell_years"]
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("name", "value", "message"), [("vs", "1e18", "decimal logarithm"), ("WDIR", "1", "no parameter")]
)
def test_values_that_cannot_be_meant_are_refused(tmp_path, name, value, message):
    sample = tmp_path / "iran_vs.sh"
    sample.write_text("#!/bin/sh\nvs=1.0\nWDIR=./sample\n")
    with pytest.raises(ParameterError, match=message):
        make_runs(sample, {name: value}, tmp_path / "runs")
