#!/bin/sh
# Set-up and the whole test suite:
#     sh deploy/test.sh [--all] [--long] [--no-lint] [pytest's arguments]
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
. "$here/find_python.sh"
python=$(FOR_OWN_USE=1 find_python) || exit 2
exec "$python" -B "$here/test.py" "$@"
