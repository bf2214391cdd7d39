"""The guard of all laziness tests, itself."""

import dask.array as da
import pytest
from lazy import ComputedError, no_compute


def test_building_passes_and_computing_is_refused_by_name():
    array = da.zeros((4, 4), chunks=2)
    with no_compute():
        total = (array + 1).sum()
        with pytest.raises(ComputedError, match="only building was allowed"):
            total.compute()
    assert total.compute() == 16
