"""Checkpoint of a search: a small Zarr store with one chunk for each block of models that is done."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from mimtpy_cloud.codec import decode, encode, zarr_codecs
from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.io.storage import Storage, open_storage

__all__ = ["Checkpoint", "open_checkpoint"]

_NUMBERS, _PROBLEMS, _SEARCH = "numbers", "problems", "search"
#: Bytes of a reason, UTF-8.
_LETTERS = 400


@dataclass(frozen=True)
class Checkpoint:
    """
    Where finished blocks are kept.

    Parameters
    ----------
    url : str
        Of the store.
    rows, columns : int
        Models of a block, and numbers of a model.
    """

    url: str
    rows: int
    columns: int

    def load(self, block: int, count: int, stamp: float) -> tuple[np.ndarray, np.ndarray] | None:
        """
        Take a block that is done.

        Parameters
        ----------
        block : int
            Its number.
        count : int
            Its models.
        stamp : float
            What tells the values of the observations from others.

        Returns
        -------
        tuple or None
            Numbers and problems as `score_block` gives them; None if the block is not done, or damaged.

        Raises
        ------
        StorageError
            If it was made from other values.
        """
        storage = open_storage(self.url)
        numbers, letters = np.empty((self.rows, self.columns + 1)), np.empty((self.rows, _LETTERS), np.uint8)
        try:
            decode(storage.read(f"{_NUMBERS}/c/{block}/0"), numbers)
            decode(storage.read(f"{_PROBLEMS}/c/{block}/0"), letters)
        except (FileNotFoundError, ValueError):
            return None
        if numbers[0, -1] != stamp:
            raise StorageError(
                f"the observations have changed since the checkpoint {self.url} was begun; remove it or name another"
            )
        texts = [bytes(row).rstrip(b"\0").decode(errors="replace") for row in letters[:count]]
        return numbers[:count, :-1], np.array(texts, object)

    def save(self, block: int, numbers: np.ndarray, problems: np.ndarray, stamp: float) -> None:
        """
        Keep a block; its numbers last, as they say that it is done.

        Parameters
        ----------
        block : int
            Its number.
        numbers, problems : np.ndarray
            As `score_block` gives them.
        stamp : float
            As for `load`.
        """
        storage = open_storage(self.url)
        letters = np.zeros((self.rows, _LETTERS), np.uint8)
        for row, text in zip(letters, problems.tolist(), strict=False):
            data = text.encode()[:_LETTERS]
            row[: len(data)] = np.frombuffer(data, np.uint8)
        whole = np.full((self.rows, self.columns + 1), np.nan)
        whole[: len(numbers), :-1] = numbers
        whole[:, -1] = stamp
        storage.write(f"{_PROBLEMS}/c/{block}/0", encode(letters))
        storage.write(f"{_NUMBERS}/c/{block}/0", encode(whole))


def open_checkpoint(url: str | os.PathLike[str], search: str, models: int, rows: int, columns: int) -> Checkpoint:
    """
    Open the checkpoint of a search, or begin one.

    Parameters
    ----------
    url : str or path
        Of the store; all workers must see it.
    search : str
        What tells the search from others.
    models, rows, columns : int
        All models, those of a block, and numbers of a model.

    Returns
    -------
    Checkpoint

    Raises
    ------
    StorageError
        If it belongs to another search, or something else is there.
    """
    storage = open_storage(os.fspath(url))
    try:
        found = _begun(storage)
    except FileNotFoundError:
        if set(storage.children("")) - {_NUMBERS, _PROBLEMS}:  # these two are left by one that was killed at once
            raise StorageError(
                f"{url} is a folder with something else; name another place for the checkpoint"
            ) from None
        _begin(storage, search, models, rows, columns)
        found = search
    if found != search:
        raise StorageError(
            f"the checkpoint {url} belongs to another search: observations, models, ramp or covariance differ; remove "
            "it or name another"
        )
    return Checkpoint(storage.url, rows, columns)


def _begun(storage: Storage) -> Any:
    import json

    try:
        return json.loads(storage.read("zarr.json"))["attributes"][_SEARCH]
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{storage.url} is no checkpoint of a search; name another place") from error


def _begin(storage: Storage, search: str, models: int, rows: int, columns: int) -> None:
    import zarr

    made: dict[str, Any] = {}
    group = zarr.create_group(zarr.storage.MemoryStore(made), zarr_format=3, attributes={_SEARCH: search})
    for name, width, dtype, fill in ((_NUMBERS, columns + 1, "float64", np.nan), (_PROBLEMS, _LETTERS, "uint8", 0)):
        group.create_array(
            name,
            shape=(models, width),
            chunks=(rows, width),
            dtype=dtype,
            fill_value=fill,
            compressors=zarr_codecs(np.dtype(dtype).itemsize),
        )
    whole = made.pop("zarr.json").to_bytes()
    for key, data in made.items():
        storage.write(key, data.to_bytes())
    storage.write("zarr.json", whole)
