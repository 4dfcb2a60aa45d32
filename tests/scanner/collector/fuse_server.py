"""Serve a small FUSE file system that behaves badly: `python fuse_server.py MOUNT_POINT BEHAVIOUR`.

`collide` shows two disks as one, as pass-through file systems do: different files have one inode number. `hang` never
answers when the file `stuck/file` is read, or the directory `closed` is opened.

The protocol is that of linux/fuse.h, version 7.31; every request is answered by this one process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys
from dataclasses import dataclass, field
from enum import IntEnum

BEHAVIOURS = ("collide", "hang")
ROOT_NODE = 1
SHARED_INODE = 4242
TIME = 1_700_000_000

REQUEST_HEADER = struct.Struct("<IIQQIIII")
REPLY_HEADER = struct.Struct("<IiQ")
INIT_REPLY = struct.Struct("<IIIIHHIIHH8I")
ATTRIBUTES = struct.Struct("<6Q10I")
ENTRY_REPLY = struct.Struct("<QQQQII")
ATTRIBUTES_REPLY = struct.Struct("<QII")
OPEN_REPLY = struct.Struct("<QII")
STATFS_REPLY = struct.Struct("<5Q4I6I")
READ_REQUEST = struct.Struct("<QQI")
DIRECTORY_ENTRY = struct.Struct("<QQII")


class Opcode(IntEnum):
    """Requests of the kernel that are served (`fuse_opcode`)."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    OPEN = 14
    READ = 15
    STATFS = 17
    RELEASE = 18
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    DESTROY = 38
    BATCH_FORGET = 42


UNANSWERED = (Opcode.FORGET, Opcode.BATCH_FORGET)


@dataclass
class Node:
    """A file, or a directory with its children by name."""

    number: int
    inode: int
    content: bytes | None = None
    children: dict[bytes, Node] = field(default_factory=dict)
    hangs: bool = False

    def attributes(self) -> bytes:
        """Return the `fuse_attr` of the node."""
        if self.content is None:
            mode, links, size = stat.S_IFDIR | 0o755, 2, 0
        else:
            mode, links, size = stat.S_IFREG | 0o644, 2, len(self.content)
        return ATTRIBUTES.pack(self.inode, size, 1, TIME, TIME, TIME, 0, 0, 0, mode, links, 0, 0, 0, 4096, 0)


class Tree:
    """The nodes of a file system."""

    def __init__(self, behaviour: str) -> None:
        self.nodes: dict[int, Node] = {}
        self.root = self._add(None, b"")
        if behaviour == "collide":
            for name in (b"1", b"2"):
                disk = self._add(self.root, name)
                self._add(disk, b"f", b"content " + name, inode=SHARED_INODE)
        else:
            self._add(self.root, b"read", b"content")
            self._add(self.root, b"closed").hangs = True
            self._add(self._add(self.root, b"stuck"), b"file", b"never").hangs = True

    def _add(self, parent: Node | None, name: bytes, content: bytes | None = None, inode: int = 0) -> Node:
        number = len(self.nodes) + ROOT_NODE
        node = Node(number, inode or number, content)
        self.nodes[number] = node
        if parent is not None:
            parent.children[name] = node
        return node


def answer(tree: Tree, opcode: int, node: Node, body: bytes) -> bytes | None:
    """Return the answer to a request; None for one that is never answered. Raise OSError to refuse it."""
    if opcode == Opcode.INIT:
        return INIT_REPLY.pack(7, 31, 65536, 0, 12, 10, 65536, 1, 16, 0, *[0] * 8)
    if opcode == Opcode.LOOKUP:
        child = node.children.get(body.rstrip(b"\0"))
        if child is None:
            raise OSError(errno.ENOENT, "no such name")
        return ENTRY_REPLY.pack(child.number, 0, 60, 60, 0, 0) + child.attributes()
    if opcode == Opcode.GETATTR:
        return ATTRIBUTES_REPLY.pack(60, 0, 0) + node.attributes()
    if opcode in (Opcode.OPEN, Opcode.OPENDIR):
        return None if node.hangs and opcode == Opcode.OPENDIR else OPEN_REPLY.pack(node.number, 0, 0)
    if opcode == Opcode.READ:
        _handle, offset, size = READ_REQUEST.unpack_from(body)
        return None if node.hangs else (node.content or b"")[offset : offset + size]
    if opcode == Opcode.READDIR:
        return _list_directory(node, *READ_REQUEST.unpack_from(body)[1:])
    if opcode == Opcode.STATFS:
        return STATFS_REPLY.pack(1000, 500, 500, 1000, 500, 4096, 255, 4096, 0, *[0] * 6)
    if opcode in (Opcode.FLUSH, Opcode.RELEASE, Opcode.RELEASEDIR):
        return b""
    raise OSError(errno.ENOSYS, "not served")


def _list_directory(node: Node, offset: int, size: int) -> bytes:
    listing = b""
    for position, (name, child) in enumerate(node.children.items(), 1):
        kind = stat.S_IFDIR if child.content is None else stat.S_IFREG
        entry = DIRECTORY_ENTRY.pack(child.inode, position, len(name), kind >> 12) + name
        entry += bytes(-len(entry) % 8)
        if position > offset and len(listing) + len(entry) <= size:
            listing += entry
    return listing


def mount(device: int, mount_point: str) -> None:
    """Mount the file system that is served through an open `/dev/fuse`. Raise OSError when the system refuses."""
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    system = ctypes.CDLL(None, use_errno=True)
    if system.mount(b"disks", os.fsencode(mount_point), b"fuse.union", 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), mount_point)


def serve(device: int, tree: Tree) -> None:
    """Answer requests until the file system is unmounted."""
    while True:
        try:
            request = os.read(device, 1 << 20)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return
            raise

        _length, opcode, unique, number, *_caller = REQUEST_HEADER.unpack_from(request)
        if opcode in UNANSWERED:
            continue
        if opcode == Opcode.DESTROY:
            return

        try:
            reply = answer(tree, opcode, tree.nodes.get(number, tree.root), request[REQUEST_HEADER.size :])
            refusal = 0
        except OSError as error:
            reply, refusal = b"", error.errno or errno.EIO
        if reply is not None:
            os.write(device, REPLY_HEADER.pack(REPLY_HEADER.size + len(reply), -refusal, unique) + reply)


def main() -> None:
    """Mount and serve."""
    mount_point, behaviour = sys.argv[1:]
    if behaviour not in BEHAVIOURS:
        sys.exit(f"behaviour: one of {', '.join(BEHAVIOURS)}")
    device = os.open("/dev/fuse", os.O_RDWR)
    mount(device, mount_point)
    serve(device, Tree(behaviour))


if __name__ == "__main__":
    main()
