#!/bin/sh
# Set up the whole system on this machine, from nothing to a proven run in the browser:
#     sh deploy/quickstart.sh [DIR] [--once] [--port N] [--state DIR]
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
. "$here/find_python.sh"
python=$(find_python) || exit 2
exec "$python" -B "$here/quickstart.py" "$@"
