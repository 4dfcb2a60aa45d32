"""Fake cksum(1) of OpenBSD with -a: a tagged line for each file and algorithm, bare digests for standard input.

Nothing is escaped. Errors go on with the next file and end in 1. Output is written at the end.
"""

from __future__ import annotations

import hashlib
import os
import sys


def main() -> int:
    arguments = [os.fsencode(argument) for argument in sys.argv[1:]]
    algorithms = []
    quiet = False
    while arguments and arguments[0].startswith(b"-") and arguments[0] != b"-":
        option = arguments.pop(0)
        if option == b"--":
            break
        if option == b"-a":
            algorithms += arguments.pop(0).decode().split(",")
        quiet = quiet or option == b"-q"

    output = []
    code = 0
    for path in arguments or [None]:
        digests = [hashlib.new(algorithm) for algorithm in algorithms]
        try:
            with open(0 if path is None else path, "rb", closefd=path is not None) as file:
                for piece in iter(lambda: file.read(32768), b""):
                    for digest in digests:
                        digest.update(piece)
        except IsADirectoryError as error:
            sys.stderr.write(f"cksum: {os.fsdecode(path or b'')}: read error: {error.strerror}\n")
            code = 1
            continue
        except OSError as error:
            sys.stderr.write(f"cksum: cannot open {os.fsdecode(path or b'')}: {error.strerror}\n")
            code = 1
            continue

        for algorithm, digest in zip(algorithms, digests):
            hexadecimal = digest.hexdigest().encode()
            if path is None or quiet:
                output.append(hexadecimal + b"\n")
            else:
                output.append(b"%s (%s) = %s\n" % (algorithm.upper().encode(), path, hexadecimal))
    sys.stdout.buffer.write(b"".join(output))
    return code


sys.exit(main())
