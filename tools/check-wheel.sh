#!/bin/sh
# Build the wheel, install it with what it requires into an environment of its own, and meet it as a user would.
#
#   sh tools/check-wheel.sh [PYTHON]
set -eu
python=${1:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

install="-m pip --quiet --quiet --disable-pip-version-check"
"$python" $install wheel --no-deps --wheel-dir "$folder" .
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" $install install --no-compile "$folder"/*.whl

cd "$folder"  # away from the checkout, so that nothing but the wheel can be imported
venv/bin/python -m pip check
venv/bin/python - <<'CODE'
from importlib.metadata import entry_points
from pathlib import Path

import mimtpy_cloud as mc

assert "site-packages" in mc.__file__, mc.__file__
assert (Path(mc.__file__).parent / "py.typed").is_file()
for name in mc.__all__:
    getattr(mc, name)
for entry in entry_points(group="intake.drivers"):
    if entry.value.startswith("mimtpy_cloud"):
        entry.load()
print(f"wheel {mc.__version__}: {len(mc.__all__)} public names import")
CODE
venv/bin/mimtpy --help
