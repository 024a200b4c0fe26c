#!/bin/sh
# Prints the Python that the tests use, the first in PATH or the system's own: the packages of a
# distribution are the latter's. Fails when none is new enough and has all of their modules.
#
#   python.sh [MODULE,MODULE...]    with these modules rather than those of the second reader
for python in python3 /usr/bin/python3; do
    "$python" -c "import ${1:-numpy, zstandard, xxhash}, sys; sys.exit(sys.version_info < (3, 11))" \
        2>/dev/null || continue
    echo "$python"
    exit 0
done
exit 1
