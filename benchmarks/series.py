"""Mosaic of two time series: the way of MimtPy against ours, from file to file."""

from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.measure import Sample, alternate, fresh, of, ratio, report, run, value, warm

FULL, SMALL = (30, 1600, 3000), (10, 600, 1000)
#: m; both are the mean after a median offset on each date.
TOLERANCE = 1e-6


def main(*, small: bool = False, repeats: int = 5) -> bool:
    """Measure, print the table, and say whether all goals are met."""
    size = SMALL if small else FULL
    files, root = data.series_tracks(size)
    work = data.folder() / "work"

    def mimtpy() -> Sample:
        warm(*files)
        return run("series_mimtpy", files=list(map(str, files)), target=str(fresh(work / "joined.h5")))

    def ours() -> Sample:
        warm(root)
        return run("series_ours", root=str(root), target=str(fresh(work / "joined.zarr")))

    mimtpy()
    ours()
    difference = largest_difference(work / "joined.h5", work / "joined.zarr")
    print(f"largest difference from MimtPy's way {difference:.2g} m\nseries:")
    runs = alternate(repeats, mimtpy=mimtpy, ours=ours)
    peer, own = runs["mimtpy"], runs["ours"]
    rows: list[Any] = [
        value("largest difference from MimtPy's way, m", [difference], most=TOLERANCE),
        ratio("MimtPy's way / ours, wall in process", of(peer, "wall"), of(own, "wall"), least=4),
        ratio("MimtPy's way / ours, CPU in process", of(peer, "cpu"), of(own, "cpu")),
        ratio("MimtPy's way / ours, process", of(peer, "process_wall"), of(own, "process_wall")),
        ratio("ours / MimtPy's way, peak memory", of(own, "memory"), of(peer, "memory"), most=0.15),
    ]
    title = f"Mosaic of two series of {' x '.join(map(str, size))}"
    return report("series", title, rows, runs, data.results(small=small))


def largest_difference(theirs: Path, ours: Path) -> float:
    """Largest difference in m, date by date."""
    import h5py
    import numpy as np
    import xarray as xr

    largest = 0.0
    with h5py.File(theirs) as file, xr.open_zarr(ours) as store:
        for date in range(store.sizes["time"]):
            a, b = file["timeseries"][date], store["displacement"].isel(time=date).values
            same = a[: b.shape[0], : b.shape[1]]
            if not (np.isfinite(b) == np.isfinite(same)).all():
                raise AssertionError(f"date {date} has data in other places")
            largest = max(largest, float(np.nanmax(np.abs(same - b))))
    return largest
