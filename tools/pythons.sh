#!/bin/sh
# Run tests on every Python that is found beside the one of .venv, each in a .venv-3.x of its own.
#
#   sh tools/pythons.sh LOCK PYTEST_ARGUMENTS...
set -u
lock=$1
shift
main=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
tried=
failed=

for version in 3.11 3.12 3.13 3.14; do
    [ "$version" = "$main" ] && continue
    # pyenv keeps Pythons where no PATH leads.
    python=$(sh tools/find_python.sh "python$version" "$HOME/.pyenv/versions/$version".*/bin/python) ||
        continue
    folder=.venv-$version
    if [ -z "$(find "$folder/.ready" -newer "$lock" -newer pyproject.toml 2>/dev/null)" ]; then
        sh tools/make_venv.sh "$folder" "$lock" "$python" || exit 1
    fi
    echo "======== Python $version ========"
    tried="$tried $version"
    "$folder/bin/python" -m pytest "$@" || failed="$failed $version"
done

if [ -z "$tried" ]; then
    echo "No Python from 3.11 on was found beside that of .venv, ${main:-none}: NOT TESTED on others."
elif [ -n "$failed" ]; then
    echo "Tests failed on Python$failed, of those tried:$tried" >&2
    exit 1
else
    echo "Tests passed on Python$tried"
fi
