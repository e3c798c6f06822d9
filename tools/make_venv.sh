#!/bin/sh
# Make a virtual environment of pinned packages with initlab, editable, in it.
#
#   sh tools/make_venv.sh FOLDER LOCK PYTHON...
#
# The first PYTHON that runs and is new enough is taken; more packages are downloaded from
# nowhere but pip's own index, and none whose hash is not in LOCK.
set -eu
folder=$1
lock=$2
shift 2

if ! python=$(sh tools/find_python.sh "$@"); then
    {
        echo "initlab needs Python 3.11 or newer. Tried:"
        for candidate in "$@"; do
            if command -v "$candidate" >/dev/null; then
                echo "    $candidate: $("$candidate" --version 2>&1 | head -n 1)"
            else
                echo "    $candidate: not found"
            fi
        done
        echo "Install one from https://www.python.org/downloads/, or name the one that you have:"
        echo "    make PYTHON=/path/to/python3.12 ..."
    } >&2
    exit 1
fi

# ensurepip writes pip last, so a folder without it was left half-made.
if [ ! -x "$folder/bin/pip" ]; then
    echo "Making $folder with $python ($("$python" --version 2>&1))"
    "$python" -m venv --clear "$folder"
fi

echo "Installing the packages that $lock pins into $folder (about a minute, only once)"
pip="$folder/bin/python -m pip --disable-pip-version-check install --quiet"
$pip --require-hashes --requirement "$lock"
# The lock has everything that initlab needs, setuptools to build it included.
$pip --no-deps --no-build-isolation --editable .
touch "$folder/.ready"
