"""Sources of an ingest: which files they are, their content hash, and copies of them on this machine."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Event

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.licsbas import find_layers
from mimtpy_cloud.io.sources import find_companions, resolve_source
from mimtpy_cloud.location import is_local, locate, reaching

__all__ = ["Source", "fetched", "find_source"]

_READ_BYTES = 8 << 20


@dataclass(frozen=True)
class Source:
    """
    A source where it was found, or its copy on this machine.

    Parameters
    ----------
    path : str
        File or folder; a URL if it is remote.
    url : str
        Where it was found.
    names : sequence of str
        Its files: "" is itself, others lie in its folder, or beside it ("../").
    stop : threading.Event
        Ends the reading of its content early.
    """

    path: str
    url: str
    names: Sequence[str]
    stop: Event = field(default_factory=Event)

    @cached_property
    def size(self) -> int:
        """Bytes of all files."""
        fs, path = locate(self.path)
        with reaching(self.path):
            return sum(int(fs.size(_inside(path.rstrip("/"), name))) for name in self.names)

    @cached_property
    def digest(self) -> str:
        """XXH3-128 of a file (named ""), or of files in a folder with their names; reads them."""
        import xxhash

        digest = xxhash.xxh3_128()
        buffer = memoryview(bytearray(_READ_BYTES))
        fs, path = locate(self.path)
        for name in self.names:
            digest.update(name.encode())
            file = _inside(path.rstrip("/"), name)
            with (
                reaching(self.path),
                Path(file).open("rb", buffering=0) if is_local(fs) else fs.open(file, "rb") as stream,
            ):
                while not self.stop.is_set() and (count := stream.readinto(buffer)):
                    digest.update(buffer[:count])
        return digest.hexdigest()


def find_source(url: str) -> Source:
    """
    Find the files that a URL means.

    Parameters
    ----------
    url : str
        Local path or fsspec URL of a file or folder that `ingest` takes.

    Returns
    -------
    Source

    Raises
    ------
    SourceFormatError
        If there is nothing of that kind.
    """
    found, kind = resolve_source(url)
    if kind == "roipac":
        raise SourceFormatError(f"{found} is a single map without looks, which no catalog holds; give it to a command")
    fs, path = locate(found)
    names = [""]
    if kind == "licsbas":
        with reaching(found):
            names = sorted(find_layers([p.rpartition("/")[2] for p in fs.ls(path, detail=False)]).values())
    elif kind == "mintpy":
        names += [f"../{name}" for name in sorted(find_companions(found).values())]
    return Source(path, path, names) if is_local(fs) else Source(found, found, names)


@contextmanager
def fetched(source: Source) -> Iterator[Source]:
    """
    Copy what is not on this machine to a temporary folder meanwhile.

    Parameters
    ----------
    source : Source
        From `find_source`.

    Yields
    ------
    Source
        The same if it is local.
    """
    fs, path = locate(source.url)
    if is_local(fs):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="mimtpy-ingest-") as folder:
        copy = Path(folder, path.rstrip("/").rpartition("/")[2])
        for name in source.names:
            target = Path(_inside(str(copy), name))
            target.parent.mkdir(parents=True, exist_ok=True)
            with reaching(source.url):
                fs.get_file(_inside(path.rstrip("/"), name), str(target))
        yield Source(str(copy), source.url, source.names)


def _inside(path: str, name: str) -> str:
    """File of a source: itself (""), one in its folder, or one beside it ("../")."""
    if name.startswith("../"):
        return f"{path.rpartition('/')[0]}/{name[3:]}"
    return f"{path}/{name}" if name else path
