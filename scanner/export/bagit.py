"""Write the tag files of a bag (RFC 8493), whose payload directory `data` is the root of the run, as one tar."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator

from scanner.collector.version import VERSION
from scanner.export.entries import join_lines, read_files
from scanner.export.omissions import OmissionReason, Omissions
from scanner.format import paths
from scanner.format.records import Entry
from scanner.models import Run

ALGORITHMS = ("sha256", "md5")
_DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_END_OF_ARCHIVE = bytes(2 * tarfile.BLOCKSIZE)
"""Two blocks of zeros end a tar (POSIX, pax)."""


class _TagFile:
    """Size and digests of a tag file, which stand before its content: in the tar's header, in the tag manifests."""

    def __init__(self, content: bytes = b"") -> None:
        self.size = 0
        # MD5 is here for readers of old lists and protects nothing: so it also works where a policy forbids it.
        self._digests = {name: hashlib.new(name, usedforsecurity=False) for name in ALGORITHMS}
        self.add(content)

    def add(self, data: bytes) -> None:
        self.size += len(data)
        for digest in self._digests.values():
            digest.update(data)

    def digest(self, algorithm: str) -> str:
        return self._digests[algorithm].hexdigest()


class _PayloadManifests:
    """Sizes and digests of the manifests of a run, computed once before anything is written."""

    def __init__(self, run: Run, omissions: Omissions) -> None:
        self.tag_files = {algorithm: _TagFile() for algorithm in ALGORITHMS}
        self.file_count = 0
        self.bytes = 0
        for row in _expressible_files(run, omissions):
            self.file_count += 1
            self.bytes += row.size or 0
            for algorithm, tag_file in self.tag_files.items():
                tag_file.add(_manifest_line(row, algorithm))


def write_bag(run: Run, _prefix: bytes, omissions: Omissions) -> Iterator[bytes]:
    """Yield the tar in pieces. Memory stays flat: the rows are read once for the sizes and once for each manifest.

    A name that is not UTF-8 cannot be expressed: it is left out, and bag-info.txt says so.
    """
    manifests = _PayloadManifests(run, omissions)
    small_files = {"bagit.txt": _DECLARATION.encode(), "bag-info.txt": _bag_info(run, manifests, omissions).encode()}

    tag_files = {f"manifest-{algorithm}.txt": tag_file for algorithm, tag_file in manifests.tag_files.items()}
    for name, content in small_files.items():
        tag_files[name] = _TagFile(content)

    # A tag manifest lists the other tag files, and no tag manifest.
    for algorithm in ALGORITHMS:
        lines = [f"{tag_file.digest(algorithm)}  {name}\n" for name, tag_file in sorted(tag_files.items())]
        small_files[f"tagmanifest-{algorithm}.txt"] = "".join(lines).encode()

    for name, content in small_files.items():
        yield from _tar_member(run, name, len(content), [content])
    for algorithm, tag_file in manifests.tag_files.items():
        # What is left out was counted when the sizes were computed.
        rows = _expressible_files(run, Omissions())
        pieces = join_lines(_manifest_line(row, algorithm) for row in rows)
        yield from _tar_member(run, f"manifest-{algorithm}.txt", tag_file.size, pieces)
    yield _END_OF_ARCHIVE


def _expressible_files(run: Run, omissions: Omissions) -> Iterator[Entry]:
    for row in read_files(run, omissions):
        if _is_utf8(row.path):
            yield row
        else:
            omissions.add(OmissionReason.NAME, row.path)


def _is_utf8(path: str) -> bool:
    r"""Return whether a name is UTF-8. In its coded form only other bytes are written `\x`, a backslash is doubled."""
    return "\\x" not in path or "\\x" not in path.replace("\\\\", "")


def _manifest_line(row: Entry, algorithm: str) -> bytes:
    """Return a line of a manifest. `%`, CR and LF are percent-encoded, and nothing else is (RFC 8493, 2.1.3)."""
    digest = row.sha256 if algorithm == "sha256" else row.md5
    assert digest is not None
    name = paths.decode(row.path).replace(b"%", b"%25").replace(b"\r", b"%0D").replace(b"\n", b"%0A")
    return digest.hex().encode() + b"  data/" + name + b"\n"


def _bag_info(run: Run, manifests: _PayloadManifests, omissions: Omissions) -> str:
    description = (
        f"Run {run.sequence} of replica {run.replica.uuid}. "
        "The payload, data, is the root directory of the replica and is not in this archive."
    )
    if omissions.counts[OmissionReason.LINK] or omissions.counts[OmissionReason.SPECIAL]:
        # A payload is files only (RFC 8493, 1.3): validators stop at a dangling link, and report any other as unlisted.
        description += (
            " Copy it without symbolic links and special files: rsync -a --no-links --no-specials --no-devices."
        )

    lines = [
        f"Bag-Software-Agent: backup_syncer {VERSION}",
        f"Bagging-Date: {run.finished_at:%Y-%m-%d}",
        f"External-Identifier: urn:uuid:{run.uuid}",
        f"External-Description: {description}",
    ]

    if run.envelope is not None:  # an unsigned import knows no sizes
        lines.append(f"Payload-Oxum: {manifests.bytes}.{manifests.file_count}")
    lines += [f"Left-Out: {line.removeprefix('left out, ')}" for line in omissions.lines()]
    return "".join(f"{line}\n" for line in lines)


def _tar_member(run: Run, name: str, size: int, content: Iterable[bytes]) -> Iterator[bytes]:
    info = tarfile.TarInfo(f"{run.replica.uuid}-{run.sequence}/{name}")
    info.size = size
    info.mode = 0o644
    info.mtime = int(run.finished_at.timestamp())
    yield info.tobuf(tarfile.PAX_FORMAT)
    yield from content
    yield bytes(-size % tarfile.BLOCKSIZE)
