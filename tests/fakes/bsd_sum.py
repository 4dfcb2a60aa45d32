"""FreeBSD's and macOS' md5(1) and its links: `sha256`, `md5` and, in the manner of GNU, `sha256sum`, `md5sum`.

Nothing is escaped, with and without -z. Errors go on with the next file and end in 1. Output is written at the end.
"""

from __future__ import annotations

import hashlib
import os
import sys


def main() -> int:
    name = os.path.basename(sys.argv[0])
    gnu = name.endswith("sum")
    algorithm = name.removesuffix("sum") if hasattr(name, "removesuffix") else name.replace("sum", "")
    arguments = [os.fsencode(argument) for argument in sys.argv[1:]]
    quiet = zero = False
    while arguments and arguments[0].startswith(b"-") and arguments[0] != b"-":
        option = arguments.pop(0)
        if option == b"--":
            break
        quiet, zero = quiet or option == b"-q", zero or option == b"-z"
    if zero and not gnu:
        sys.stderr.write(f"{name}: illegal option -- z\n")
        return 1
    output, code = [], 0
    for path in arguments or [None]:
        digest = hashlib.new(algorithm)
        try:
            with open(0 if path is None else path, "rb", closefd=path is not None) as file:
                for piece in iter(lambda: file.read(4096), b""):
                    digest.update(piece)
        except OSError as error:
            sys.stderr.write(f"{name}: {os.fsdecode(path or b'')}: {error.strerror}\n")
            code = 1
            continue
        hexadecimal = digest.hexdigest().encode()
        if path is None:
            output.append(hexadecimal + (b"  -" if gnu and not quiet else b"") + b"\n")
        elif gnu:
            output.append(hexadecimal + b"  " + path + (b"\0" if zero else b"\n"))
        elif quiet:
            output.append(hexadecimal + b"\n")
        else:
            output.append(b"%s (%s) = %s\n" % (algorithm.upper().encode(), path, hexadecimal))
    sys.stdout.buffer.write(b"".join(output))
    return code


sys.exit(main())
