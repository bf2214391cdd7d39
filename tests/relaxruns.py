"""A sample script whose `relax` is a small shell script, and folders of runs."""

import os
from pathlib import Path

#: One run: two viscosities and a depth, as users write such scripts.
SAMPLE = """#!/bin/sh
#PBS -N relax
#PBS -l walltime=1:00:00
#PBS -o /somewhere/relax.out
#SBATCH -J relax
#SBATCH --error=relax.err
#SBATCH -N 1

# vs=20 is not this one
VIS=3
vs=1.0 # 1/yr
export vm="2.0"
H=30
WDIR=./sample

if [ ! -e $WDIR ]; then
  mkdir $WDIR
fi
SCALE=vs=7
relax $WDIR <<EOF | tee $WDIR/in.param
# gammadot0
$vs $vm $H $VIS
EOF
"""
#: Writes one series from its standard input; fails for a depth of 13.
RELAX = """#!/bin/sh
read comment
read vs vm h rest
echo "$vs $vm $h"
if [ "$h" = 13 ]; then echo "first" >&2; echo "no convergence" >&2; exit 3; fi
if [ "$h" = 14 ]; then exit 0; fi
printf '0 0 0 0\\n1 %s %s %s\\n' "$vs" "$vm" "$h" > "$1/P066-relax.txt"
echo again >> "$1/../count.txt"
"""


def write_sample(folder: Path, name: str = "iran_vs_sample.sh") -> Path:
    """Write the sample."""
    (folder / name).write_text(SAMPLE)
    return folder / name


def install_relax(folder: Path, monkeypatch) -> None:
    """Put the small `relax` on the path of this process and its children."""
    folder.mkdir()
    (folder / "relax").write_text(RELAX)
    (folder / "relax").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
