"""The cluster that is in charge, if there is one."""

import sys
from typing import Any

__all__ = ["active_client"]

#: What dask's setting ``scheduler`` may be while a client is in charge.
_CLUSTER_NAMES = (None, "distributed", "dask.distributed")


def active_client() -> Any:
    """
    Find the client whose cluster computes what this process asks dask for.

    Returns
    -------
    distributed.Client or None
        None if dask's own threads or processes do. distributed is not imported to find out.
    """
    import dask

    if "distributed" not in sys.modules or dask.config.get("scheduler", None) not in _CLUSTER_NAMES:
        return None
    from distributed import get_client

    try:
        return get_client()
    except ValueError:
        return None
