#!/bin/sh
# Print the first of the Pythons given that runs and is new enough; fail if none does.
#
#   sh tools/find_python.sh PYTHON...
for python in "$@"; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        command -v "$python"
        exit 0
    fi
done
exit 1
