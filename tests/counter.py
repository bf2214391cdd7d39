"""Count in a stored object from several processes; light to import, as each of them does."""

from mimtpy_cloud.io.storage import open_storage


def increment(url: str, times: int) -> None:
    """Count up in one object; a lost update shows in the sum."""
    storage = open_storage(url)
    for _ in range(times):
        storage.update("deep/count", lambda data: str(int(data or b"0") + 1).encode())
