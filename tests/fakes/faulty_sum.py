"""A sha256sum or md5sum in the manner of GNU with one fault, named by what stands before the first `-` of its own name.

`stray` prints a warning among the records; `lost` leaves the last record out and exits with 0; `cut` is killed in the
middle of its last record; `wrong` gives a wrong digest; `upper` writes digests in capitals; `twice` answers each file
twice; `hangs` never ends on files; `partial` does not read standard input to its end; `stops` ends at the first
file that it cannot open; `lossy` replaces what is not UTF-8; `empty` gives every file the digest of nothing. The faults
of a batch appear only with more than six files, after a self-test has been passed.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time

fault, _, name = os.path.basename(sys.argv[0]).partition("-")
algorithm = name.replace("sum", "")


def stdin() -> int:
    data = b""
    while True:
        piece = os.read(0, 4096)
        data += piece
        if not piece or fault == "partial":
            break
    hexadecimal = hashlib.new(algorithm, data).hexdigest()[:: -1 if fault == "wrong" else 1]
    sys.stdout.write(f"{hexadecimal.upper() if fault == 'upper' else hexadecimal}  -\n")
    return 0


def records(paths: list[bytes]) -> tuple[list[bytes], int]:
    output, code = [], 0
    for path in paths:
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            sys.stderr.write(f"{name}: {os.fsdecode(path)}: {error.strerror}\n")
            code = 1
            if fault == "stops":
                break
            continue
        hexadecimal = hashlib.new(algorithm, b"" if fault == "empty" and len(paths) > 7 else data).hexdigest().encode()
        if fault == "wrong":
            hexadecimal = hexadecimal[::-1]
        shown = path.decode("utf-8", "replace").encode() if fault == "lossy" else path
        output += [(hexadecimal.upper() if fault == "upper" else hexadecimal) + b"  " + shown + b"\0"]
    return output, code


def main() -> int:
    arguments = [os.fsencode(argument) for argument in sys.argv[1:]]
    if arguments[:1] == [b"--version"]:
        print(f"{name} (fake) 1.0")
        return 0
    paths = [argument for argument in arguments if argument not in (b"-z", b"--")]
    if not paths:
        return stdin()
    late = len(paths) > 7
    if fault == "hangs" and late:
        time.sleep(600)
    output, code = records(paths)
    if late and fault == "stray":
        output.insert(2, b"warning: something\0")
    if late and fault == "twice":
        output += output[:1]
    if late and fault == "lost":
        output.pop()
    if late and fault == "cut":
        output[-1] = output[-1][:-3]
    sys.stdout.buffer.write(b"".join(output))
    sys.stdout.flush()
    if late and fault == "cut":
        os.kill(os.getpid(), signal.SIGKILL)
    return code


sys.exit(main())
