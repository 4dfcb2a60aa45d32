"""Fake sha256sum or md5sum of GNU with one fault, which is named before the first `-` of its own name.

`stray` prints a warning among the records; `lost` leaves the last record out and exits with 0; `cut` is killed in the
middle of its last record; `wrong` gives a wrong digest; `upper` writes digests in capitals; `twice` answers each file
twice; `hangs` never ends on files; `partial` does not read standard input to its end; `stops` ends at the first
file that it cannot open; `lossy` replaces bytes that are not UTF-8; `empty` gives every file the digest of nothing. The
faults of a batch appear only with more than seven files, after a self-test has been passed.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time

FAULT, _, NAME = os.path.basename(sys.argv[0]).partition("-")
ALGORITHM = NAME.replace("sum", "")
FILES_OF_SELF_TEST = 7


def hash_stdin() -> int:
    data = b""
    while True:
        piece = os.read(0, 4096)
        data += piece
        if not piece or FAULT == "partial":
            break
    hexadecimal = spoil(hashlib.new(ALGORITHM, data).hexdigest())
    sys.stdout.write(f"{hexadecimal}  -\n")
    return 0


def spoil(hexadecimal: str) -> str:
    if FAULT == "wrong":
        return hexadecimal[::-1]
    if FAULT == "upper":
        return hexadecimal.upper()
    return hexadecimal


def hash_files(paths: list[bytes]) -> tuple[list[bytes], int]:
    records = []
    code = 0
    for path in paths:
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            sys.stderr.write(f"{NAME}: {os.fsdecode(path)}: {error.strerror}\n")
            code = 1
            if FAULT == "stops":
                break
            continue

        if FAULT == "empty" and len(paths) > FILES_OF_SELF_TEST:
            data = b""
        hexadecimal = spoil(hashlib.new(ALGORITHM, data).hexdigest()).encode()
        shown_path = path.decode("utf-8", "replace").encode() if FAULT == "lossy" else path
        records.append(hexadecimal + b"  " + shown_path + b"\0")
    return records, code


def main() -> int:
    arguments = [os.fsencode(argument) for argument in sys.argv[1:]]
    if arguments[:1] == [b"--version"]:
        print(f"{NAME} (fake) 1.0")
        return 0
    paths = [argument for argument in arguments if argument not in (b"-z", b"--")]
    if not paths:
        return hash_stdin()

    after_self_test = len(paths) > FILES_OF_SELF_TEST
    if after_self_test and FAULT == "hangs":
        time.sleep(600)

    records, code = hash_files(paths)
    if after_self_test and FAULT == "stray":
        records.insert(2, b"warning: something\0")
    if after_self_test and FAULT == "twice":
        records += records[:1]
    if after_self_test and FAULT == "lost":
        records.pop()
    if after_self_test and FAULT == "cut":
        records[-1] = records[-1][:-3]
    sys.stdout.buffer.write(b"".join(records))
    sys.stdout.flush()
    if after_self_test and FAULT == "cut":
        os.kill(os.getpid(), signal.SIGKILL)
    return code


sys.exit(main())
