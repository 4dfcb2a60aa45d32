"""Fake md5(1) of FreeBSD and macOS, and its links: `sha256`, `md5` and, in GNU's manner, `sha256sum`, `md5sum`.

Nothing is escaped, with and without -z. Errors go on with the next file and end in 1. Output is written at the end.
"""

from __future__ import annotations

import hashlib
import os
import sys


def main() -> int:
    name = os.path.basename(sys.argv[0])
    like_gnu = name.endswith("sum")
    algorithm = name[: -len("sum")] if like_gnu else name
    arguments = [os.fsencode(argument) for argument in sys.argv[1:]]
    quiet = False
    end_in_nul = False
    while arguments and arguments[0].startswith(b"-") and arguments[0] != b"-":
        option = arguments.pop(0)
        if option == b"--":
            break
        quiet = quiet or option == b"-q"
        end_in_nul = end_in_nul or option == b"-z"
    if end_in_nul and not like_gnu:
        sys.stderr.write(f"{name}: illegal option -- z\n")
        return 1

    output = []
    code = 0
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
            output.append(hexadecimal + (b"  -" if like_gnu and not quiet else b"") + b"\n")
        elif like_gnu:
            output.append(hexadecimal + b"  " + path + (b"\0" if end_in_nul else b"\n"))
        elif quiet:
            output.append(hexadecimal + b"\n")
        else:
            output.append(b"%s (%s) = %s\n" % (algorithm.upper().encode(), path, hexadecimal))
    sys.stdout.buffer.write(b"".join(output))
    return code


sys.exit(main())
