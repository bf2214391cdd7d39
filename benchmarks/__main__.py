"""``python -m benchmarks [NAME...] [--small] [--repeats N]``: run benchmarks and print their tables."""

import argparse
import sys

from benchmarks import cloud, decompose_series, enu, graph, ingest, mosaic, quadtree, ramp, search, series, velocity

BENCHMARKS = {
    "ingest": ingest.main,
    "velocity": velocity.main,
    "ramp": ramp.main,
    "mosaic": mosaic.main,
    "series": series.main,
    "enu": enu.main,
    "decompose_series": decompose_series.main,
    "search": search.main,
    "quadtree": quadtree.main,
    "graph": graph.main,
    "cloud": cloud.main,
}


def main() -> int:
    """Run the chosen benchmarks; the exit code is 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        choices=[*BENCHMARKS, []],
        metavar="NAME",
        help=f"{', '.join(BENCHMARKS)}; default: all",
    )
    parser.add_argument("--small", action="store_true", help="a 20 x 1000 x 1200 series: a quick look, not a verdict")
    parser.add_argument("--repeats", type=int, default=5, help="pairs to measure")
    options = parser.parse_args()
    passed = [BENCHMARKS[name](small=options.small, repeats=options.repeats) for name in options.names or BENCHMARKS]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
