"""Fake digest(1) of illumos: `sha256 (NAME) = HEX` with -v; else the bare digest, or `(NAME) = HEX` for several files.

It knows no `-`, ends in 2 after a file it could not open, in 1 after one it could not read, and the last error wins.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys


def main() -> int:
    arguments = [os.fsencode(argument) for argument in sys.argv[1:]]
    algorithm = ""
    verbose = False
    while arguments and arguments[0].startswith(b"-") and arguments[0] != b"-":
        option = arguments.pop(0)
        if option == b"-a":
            algorithm = arguments.pop(0).decode()
        verbose = verbose or option == b"-v"

    output = []
    code = 0
    for path in arguments or [None]:
        digest = hashlib.new(algorithm)
        try:
            descriptor = 0 if path is None else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            sys.stderr.write(f"digest: can not open input file {os.fsdecode(path or b'')}\n")
            code = 2
            continue
        try:
            for piece in iter(functools.partial(os.read, descriptor, 65536), b""):
                digest.update(piece)
        except OSError:
            sys.stderr.write("digest: error reading file\ndigest: crypto operation failed\n")
            code = 1
            continue

        hexadecimal = digest.hexdigest().encode()
        if path is not None and (verbose or len(arguments) > 1):
            label = algorithm.encode() + b" " if verbose else b""
            output.append(b"%s(%s) = %s\n" % (label, path, hexadecimal))
        else:
            output.append(hexadecimal + b"\n")
    sys.stdout.buffer.write(b"".join(output))
    return code


sys.exit(main())
