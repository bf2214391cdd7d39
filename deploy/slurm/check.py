"""
A real Slurm of one node on loopback, and what this folder says of it: ``make slurm-check``, as root.

Its Debian packages are fetched and unpacked into a temporary folder, not installed. Where that cannot be done, or not
as root, nothing is checked and the output says so.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from processes import demo_root, running, say, wait_until
from s3server import free_ports

HERE = Path(__file__).parent
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "libmunge2", "libhwloc15")
CONFIGURATION = """\
ClusterName=check
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/none
CredType=cred/none
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
PluginDir={plugins}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0
SlurmdParameters=config_overrides
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class UnavailableError(Exception):
    """What the check needs and this machine lacks."""


def unpack(folder: Path) -> Path:
    """Fetch the packages and unpack them; return the folder that holds ``usr``."""
    if os.geteuid() != 0:
        raise UnavailableError("run it as root: the daemons start jobs as other users")
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise UnavailableError("it needs apt-get and dpkg, that is Debian or Ubuntu")
    folder.mkdir()
    command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *PACKAGES]
    fetched = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if fetched.returncode:
        said = (fetched.stderr.strip() or f"apt-get ended with {fetched.returncode}").splitlines()[-1]
        raise UnavailableError(f"the Slurm packages cannot be downloaded (apt-get update may help): {said}")
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder], check=True)
    return folder


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Start the two daemons, and yield the environment in which its commands are on the PATH."""
    folder.mkdir()
    usr = unpack(folder / "packages") / "usr"
    (library,) = {path.parent for path in usr.glob("lib/*/libmunge.so.2")}
    configuration = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    plugins = library / "slurm-wlm"
    configuration.write_text(CONFIGURATION.format(host=host, ports=free_ports(2), folder=folder, plugins=plugins))
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    for program in (*usr.glob("bin/*"), *usr.glob("sbin/*-wlm")):
        script = (
            folder / "bin" / program.name.removesuffix("-wlm")
        )  # the libraries are of the commands of Slurm alone, not of all that runs
        script.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={library}:{plugins} exec {program} "$@"\n')
        script.chmod(0o755)
    paths = (str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"])
    env = {**os.environ, "PATH": os.pathsep.join(paths), "SLURM_CONF": str(configuration)}

    def idle() -> bool:
        shown = subprocess.run(["sinfo", "-h", "-o", "%T"], env=env, capture_output=True, text=True, check=True)
        return shown.stdout.strip() == "idle"

    with (
        running([folder / "bin/slurmctld", "-D"], folder / "slurmctld.log", env),
        running([folder / "bin/slurmd", "-D", "-d", folder / "bin/slurmstepd"], folder / "slurmd.log", env) as daemon,
    ):
        wait_until("an idle node", idle, process=daemon)
        version = subprocess.run(["sinfo", "--version"], env=env, capture_output=True, text=True, check=True)
        say(f"{version.stdout.strip()}: slurmctld and slurmd of one node with 4 cores listen on loopback")
        try:
            yield env
        finally:
            subprocess.run(["scancel", "--user=root"], env=env, capture_output=True, check=False)


def settings(env: dict[str, str]) -> dict[str, str]:
    """The jobs of jobqueue.yaml with what is marked there changed for this machine."""
    changed = {"CORES": "1", "MEMORY": "1GiB", "WALLTIME": "00:10:00", "INTERFACE": "lo", "QUEUE": "main"}
    site = {f"DASK_JOBQUEUE__SLURM__{name}": value for name, value in changed.items()}
    return {**env, **site, "DASK_CONFIG": str(HERE / "jobqueue.yaml")}


def run(command: list[str | Path], folder: Path, env: dict[str, str]) -> str:
    """Run a command in a folder, show it and its output, and fail with it."""
    print(f"$ {' '.join(map(str, command))}", flush=True)
    outputs = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, cwd=folder, env=env, check=False, **outputs)
    print(done.stdout.replace(str(folder), "."), end="", flush=True)
    done.check_returncode()
    return done.stdout


def check(folder: Path, env: dict[str, str]) -> None:
    """A mosaic by two workers that are jobs, and the same as a batch job."""
    tracks = demo_root(folder / "data", folder / "root")
    say(f"ingested {' '.join(tracks)}")
    mosaic = ["mosaic", *tracks[:2], "--root", "root", "--out"]
    run(["mimtpy", "--cluster", "slurm", "--workers", "2", *mosaic, "here"], folder, env)
    say("mosaic by two workers that are jobs")
    left = run(["squeue", "-h"], folder, env)
    assert not left.strip(), "the jobs of the workers are still there"
    say("their jobs are gone")

    shutil.copy(HERE / "mimtpy.sbatch", folder)
    batch = ["sbatch", "--wait", "--mem=1G", "mimtpy.sbatch", *mosaic, "batch"]
    try:
        run(batch, folder, {**env, "MIMTPY_WORKERS": "1:2"})
    finally:
        for log in folder.glob("mimtpy-*.log"):
            run(["cat", log.name], folder, env)
    say("mosaic by a batch job, whose workers are jobs of their own")
    run(["squeue", "-h"], folder, env)
    compare(folder / "here", folder / "batch")


def compare(here: Path, batch: Path) -> None:
    """Both ways gave the same bits."""
    import xarray as xr

    (store,) = batch.rglob("*.zarr")
    products = [xr.open_zarr(path, zarr_format=3).drop_attrs() for path in (store, here / store.relative_to(batch))]
    xr.testing.assert_identical(*products)
    say(f"all {len(products[0].data_vars)} variables of both are the same to the last bit")


def main() -> None:
    """Start Slurm, check, and stop it."""
    with tempfile.TemporaryDirectory(prefix="mimtpy-slurm-") as temporary:
        folder = Path(temporary)
        try:
            with slurm(folder / "slurm") as env:
                (folder / "user").mkdir()
                check(folder / "user", settings(env))
        except UnavailableError as reason:
            say(f"SKIPPED, nothing was checked: {reason}")
            return
    say("stopped; all is well")


if __name__ == "__main__":
    main()
