#!/bin/sh
# Make the test environment and run the whole test suite:
#     sh deploy/test.sh [--all] [--long] [--lint | --no-lint] [pytest's arguments]
# With pytest's arguments, e.g. -k NAME: these tests alone, without lint and in one process.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
. "$here/find_python.sh"
# A Python that the services could use is better, because the quick start is tested with the same one.
python=$(find_python 2>/dev/null || FOR_OWN_USE=1 find_python) || exit 2
exec "$python" -B "$here/test.py" "$@"
