#!/bin/sh
# Let GMT itself read a grid that we wrote, and compare what it found.
#
#   sh tools/foreign/gmt_check.sh .venv/bin/python
#
# GMT is not on PyPI: apt-get install gmt, or https://www.generic-mapping-tools.org
set -eu
python=$1
command -v gmt >/dev/null || { echo "GMT is not installed (apt-get install gmt): not checked"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" - "$folder/a.grd" <<'PYTHON'
import sys
from losscene import los_scene
from mimtpy_cloud.exports.gmt import write_gmt
write_gmt(los_scene(shape=(60, 80)), sys.argv[1])
PYTHON
cd "$folder"
expected="100 100.8 39.4 40"
found=$(gmt grdinfo -C a.grd | awk '{print $2, $3, $4, $5}')
[ "$found" = "$expected" ] || { echo "GMT finds the edges $found, expected $expected"; exit 1; }
# The first pixel, in the north-west, is 0.014 m.
value=$(echo "100.005 39.995" | gmt grdtrack -Ga.grd | awk '{printf "%.6f", $3}')
[ "$value" = "0.014000" ] || { echo "GMT finds $value in the north-west, expected 0.014000"; exit 1; }
missing=$(gmt grd2xyz a.grd | awk '$3 == "NaN"' | wc -l)
[ "$missing" -eq 1 ] || { echo "GMT finds $missing pixels without data, expected 1"; exit 1; }
echo "GMT reads our grid: edges, values and no data as written"
