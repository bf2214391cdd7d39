"""Faults that the product does not survive yet; each test is right and fails."""

# ruff: noqa: F811 - fixtures of the other file

import threading

import numpy as np
import pytest
from test_faults import LIMIT, expected, mosaicked, pair, root, scene, small, values, within  # noqa: F401 - fixtures

from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.catalog.tracks import open_track
from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.ops.mosaic import mosaic


def restart(proxy, seconds):
    proxy.down()
    threading.Timer(seconds, proxy.up).start()


# Ten attempts on a refused connection are over after 1.5 to 5 s, not after half a minute: it is a matter of luck.
def test_an_ingest_outlives_a_restart_of_the_server(root, s3_proxy, scene, expected):
    def progress(done, total, unit):
        if not stopped:
            stopped.append(done)
            restart(s3_proxy, 2)

    stopped = []
    within(LIMIT, ingest, scene, root, workers=2, progress=progress)
    assert stopped
    np.testing.assert_array_equal(values(root), expected["scene"])


# The same, on reading.
def test_a_mosaic_outlives_a_restart_of_the_server(root, s3_proxy, pair, expected):
    ingest(pair, root, workers=2)
    parts = [open_track(root, track) for track in ("A064", "A065")]
    lazy = mosaic(parts).displacement
    restart(s3_proxy, 2)
    found = within(LIMIT, lazy.compute, scheduler="threads", num_workers=4)
    np.testing.assert_array_equal(found.values, expected["mosaic"])


# Chunks have no checksum of their own (only the index of a shard has): 100 and 1000 give wrong numbers silently.
@pytest.mark.parametrize("after", [0, 100, 1000])
def test_a_flipped_bit_of_data_never_becomes_a_number(root, s3_proxy, small, after):
    ingest(small, root, workers=2)
    corner = open_track(root, "A064").displacement[0, :5, :5]
    s3_proxy.reset()
    fault = s3_proxy.fault("corrupt", methods=("GET",), part="/displacement/c/", skip=1, after=after)
    with pytest.raises(StorageError, match="is damaged"):
        within(LIMIT, corner.compute, scheduler="synchronous")
    assert fault.times == 0
    first, *others = s3_proxy.requests("GET", part="/displacement/c/")
    assert first.range.startswith("bytes=-")  # the index of the shard
    assert len(others) == 1
    assert not any(request.range.startswith("bytes=-") for request in others)
