"""What deploy/hub and deploy/slurm say; `make hub-check` and `make slurm-check` run them for real."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import dask
import dask_jobqueue
import pytest
import yaml
from traitlets.config import Config, PyFileConfigLoader

DEPLOY = Path(__file__).parents[1] / "deploy"
TOKEN = "0123456789abcdef" * 4


@pytest.fixture
def environment(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith(("AWS_", "MIMTPY_", "HUB_", "GATEWAY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MIMTPY_GATEWAY_PASSWORD", TOKEN)  # set, so that what the gateway sets is undone
    monkeypatch.setenv("HUB_GATEWAY_TOKEN", TOKEN)
    monkeypatch.setenv("HUB_STATE", str(tmp_path / "state"))
    return monkeypatch


def hub_config() -> Config:
    return PyFileConfigLoader(str(DEPLOY / "hub" / "jupyterhub_config.py")).load_config()


def scopes(config: Config, role: str) -> list[str]:
    return next(r["scopes"] for r in config.JupyterHub.load_roles if r["name"] == role)


def test_hub_does_not_start_without_the_token_of_its_gateway(environment):
    environment.delenv("HUB_GATEWAY_TOKEN")
    with pytest.raises(KeyError, match="HUB_GATEWAY_TOKEN"):
        hub_config()


def test_hub_without_accounts_does_not_start_without_a_password(environment):
    environment.setenv("HUB_AUTHENTICATOR", "dummy")
    with pytest.raises(KeyError, match="HUB_PASSWORD"):
        hub_config()


def test_hub_listens_on_loopback_and_lets_nobody_in_unless_told_to(environment):
    config = hub_config()
    assert all("127.0.0.1" in url for url in (config.JupyterHub.bind_url, config.JupyterHub.hub_bind_url))
    assert config.JupyterHub.authenticator_class == "pam"
    assert config.Authenticator.allowed_users == set()
    assert "allow_all" not in config.Authenticator


def test_hub_keeps_its_state_from_other_accounts(environment, tmp_path):
    hub_config()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_servers_get_root_and_store_of_the_hub_and_none_of_its_secrets(environment):
    environment.setenv("MIMTPY_ROOT", "s3://insar/root")
    environment.setenv("AWS_REGION", "us-east-1")
    environment.setenv("HUB_ADMIN_TOKEN", TOKEN[::-1])
    environment.setenv("MIMTPY_GATEWAY_PASSWORD", TOKEN)
    given = hub_config().Spawner.environment
    assert given["MIMTPY_ROOT"] == "s3://insar/root"
    assert given["AWS_REGION"] == "us-east-1"
    assert given["DASK_GATEWAY__AUTH__TYPE"] == "jupyterhub"
    assert not {TOKEN, TOKEN[::-1]} & set(given.values())


def test_gateway_of_the_hub_is_that_of_deploy_gateway_but_asks_the_hub_who_may(environment):
    environment.setenv("MIMTPY_GATEWAY_MAX_WORKERS", "7")
    environment.setenv("AWS_REGION", "us-east-1")
    config = PyFileConfigLoader(str(DEPLOY / "hub" / "dask_gateway_config.py")).load_config()
    assert config.ClusterConfig.cluster_max_workers == 7
    assert config.DaskGateway.authenticator_class.endswith("JupyterHubAuthenticator")
    assert config.JupyterHubAuthenticator.jupyterhub_api_token == TOKEN
    chosen = SimpleNamespace(worker_cores=1, worker_memory=2.0, environment={"N": 3})
    given = config.Backend.cluster_options.handler(chosen, None)["environment"]
    assert given.items() >= {"AWS_REGION": "us-east-1", "N": "3"}.items()
    assert TOKEN not in given.values()
    assert config.Proxy.address == hub_config().JupyterHub.services[0]["url"].removeprefix("http://")


def test_users_and_their_servers_may_use_the_gateway_and_administer_nothing(environment):
    config = hub_config()
    for role in ("user", "server"):
        assert "access:services!service=dask-gateway" in scopes(config, role)
        assert not any(scope.startswith("admin") for scope in scopes(config, role))
    assert [service["name"] for service in config.JupyterHub.services] == ["dask-gateway"]


def test_only_a_given_token_makes_a_program_that_starts_servers(environment):
    environment.setenv("HUB_ADMIN_TOKEN", TOKEN[::-1])
    config = hub_config()
    assert [service["name"] for service in config.JupyterHub.services] == ["dask-gateway", "starter"]
    assert "admin:servers" in scopes(config, "starter")


def test_jobs_of_workers_ask_for_what_jobqueue_yaml_says():
    settings = yaml.safe_load((DEPLOY / "slurm" / "jobqueue.yaml").read_text())
    with dask.config.set(dask.config.merge(dask.config.config, settings)):
        script = dask_jobqueue.slurm.SLURMJob(scheduler="tcp://127.0.0.1:8786", name="worker").job_script()
    for line in ("#SBATCH --cpus-per-task=4", "#SBATCH --mem=16G", "#SBATCH -t 02:00:00", "export OMP_NUM_THREADS=1"):
        assert line in script
    assert "--nthreads 4 --memory-limit 16.00GiB" in script


def test_workers_end_before_their_job_does():
    slurm = yaml.safe_load((DEPLOY / "slurm" / "jobqueue.yaml").read_text())["jobqueue"]["slurm"]
    hours, minutes, _ = map(int, slurm["walltime"].split(":"))
    arguments = dict(zip(slurm["worker-extra-args"][::2], slurm["worker-extra-args"][1::2], strict=True))
    latest = sum(int(arguments[name].removesuffix("m")) for name in ("--lifetime", "--lifetime-stagger"))
    assert 0 < latest < 60 * hours + minutes


def test_batch_script_runs_a_verb_with_adaptive_workers_and_passes_its_arguments_whole(tmp_path):
    done = run_batch(tmp_path, "run", "my template.txt", "--root", "s3://insar/root")
    assert done.splitlines() == [
        "--cluster",
        "slurm",
        "--workers",
        "1:8",
        "run",
        "my template.txt",
        "--root",
        "s3://insar/root",
    ]


def test_batch_script_takes_the_number_of_workers_from_the_environment(tmp_path):
    assert run_batch(tmp_path, "velocity", MIMTPY_WORKERS="0:16").splitlines()[3] == "0:16"


def run_batch(folder: Path, *arguments: str, **environment: str) -> str:
    """Run the script as the node would, with a command that prints its arguments."""
    command = folder / "mimtpy"
    command.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    command.chmod(0o755)
    return subprocess.run(
        ["bash", DEPLOY / "slurm" / "mimtpy.sbatch", *arguments],
        env={"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
