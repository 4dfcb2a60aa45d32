#!/bin/sh
# Pack the collector into one file, for any machine with Python 3.9 or newer:
#     sh deploy/build_collector.sh [OUT]      (default: backup-syncer-collector.pyz in the current directory)
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
exec "${PYTHON:-python3}" -B "$here/build_collector.py" "${1:-backup-syncer-collector.pyz}"
