#!/bin/sh
# Print the path of an interpreter that can run this project, or say what is missing and exit 1.
#
#   sh tools/find-python.sh            looks in PATH, pyenv and uv
#   PYTHON=/some/python3 sh tools/...  uses that one or fails
#
# A name on PATH proves nothing (a pyenv shim may exit 127), so every candidate is executed and must
# say of itself that it is new enough and can make a virtual environment.
set -u

probe='
import sys
if sys.version_info < (3, 12) or sys.implementation.name != "cpython":
    raise SystemExit(1)
import ensurepip, ssl, venv
print(sys.executable)'

usable() {
    found=$("$1" -I -c "$probe" 2>/dev/null </dev/null) && [ -x "$found" ]
}

if [ -n "${PYTHON:-}" ]; then
    if usable "$PYTHON"; then
        echo "$found"
        exit 0
    fi
    echo "PYTHON=$PYTHON is not a working CPython >= 3.12 with venv and ssl" >&2
    exit 1
fi

pyenv_versions="${PYENV_ROOT:-${HOME:-}/.pyenv}/versions"
uv_versions="${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-${HOME:-}/.local/share}/uv/python}"

# The versions that the project is tested with (.python-version) come before newer ones.
for version in 3.13 3.12 3.14 3; do
    for candidate in "python$version" \
        "$pyenv_versions/$version".*/bin/python3 \
        "$uv_versions/cpython-$version".*/bin/python3; do
        if usable "$candidate"; then
            echo "$found"
            exit 0
        fi
    done
done

python3=$(python3 -c 'import sys; print(sys.version.split()[0], "at", sys.executable)' 2>/dev/null </dev/null) ||
    python3="not there, or does not run"
printf '%s\n' >&2 \
    "No Python >= 3.12 found." \
    "  looked for   python3.13, python3.12, python3.14, python3 on PATH; $pyenv_versions; $uv_versions" \
    "  python3 is   $python3" \
    "  to install   uv python install 3.13   or   pyenv install 3.13   or   apt-get install python3.13-venv" \
    "  or name one  make PYTHON=/path/to/python3.13"
exit 1
