"""Processes and data of the checks of this folder: what they start is stopped by its id, also when they fail."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

__all__ = ["demo_root", "running", "say", "wait_until"]

_STARTED = time.monotonic()


def say(text: str) -> None:
    """Print what happened, after the seconds since the start."""
    print(f"{time.monotonic() - _STARTED:6.1f} s  {text}", flush=True)


@contextlib.contextmanager
def running(command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> Iterator[psutil.Popen]:
    """
    Run a command until the end of the block, then stop it and every process that came from it.

    Parameters
    ----------
    command : sequence of str or Path
        Program and arguments.
    log : Path
        Gets what it prints; its folder is where it runs.
    env : mapping, optional
        Environment; that of this process by default.

    Yields
    ------
    psutil.Popen
    """
    with log.open("wb") as out:
        process = psutil.Popen(list(map(str, command)), cwd=log.parent, env=env, stdout=out, stderr=out)
        try:
            yield process
        except BaseException:
            print(f"--- end of {log.name}\n{log.read_text(errors='replace')[-3000:]}", flush=True)
            raise
        finally:
            stop(process)


def stop(process: psutil.Popen) -> None:
    """Terminate a process and its descendants; kill those that are left after ten seconds."""
    if process.poll() is not None:
        return
    family = [process, *process.children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=10)
    for survivor in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            survivor.kill()
    process.wait()


def wait_until(
    what: str, done: Callable[[], object], *, process: psutil.Popen | None = None, seconds: float = 60
) -> None:
    """
    Ask again until the answer is true.

    Parameters
    ----------
    what : str
        What is waited for, for the message.
    done : callable
        Question; an OSError or a command that fails means no.
    process : psutil.Popen, optional
        No use in waiting once it has ended.
    seconds : int
        Patience.

    Raises
    ------
    RuntimeError
        If it never is, or the process has ended.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and (process is None or process.poll() is None):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            if done():
                return
        time.sleep(0.2)
    ended = "" if process is None or process.poll() is None else f"; the process ended with {process.returncode}"
    raise RuntimeError(f"waited {seconds} s for {what}{ended}")


def demo_root(folder: Path, root: str | os.PathLike[str], *, resolution: str = "veryLowRes") -> list[str]:
    """
    Ingest the four synthetic tracks of ``mimtpy demo``.

    Parameters
    ----------
    folder : Path
        Gets the files.
    root : str or path
        Gets the stores.
    resolution : str
        Name of the lattice.

    Returns
    -------
    list of str
        Names of the tracks: two ascending, then two descending.
    """
    from mimtpy_cloud.catalog.index import open_catalog
    from mimtpy_cloud.catalog.ingest import ingest
    from mimtpy_cloud.cli.demo import write_tracks

    ingest(write_tracks(folder, resolution=resolution), root, resolution=resolution)
    return sorted(name.rpartition("/")[2] for name in open_catalog(root).tracks())
