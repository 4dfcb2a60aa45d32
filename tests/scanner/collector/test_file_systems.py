"""Test the collector on real file systems: what shows a file twice, hides a device or has an odd name in the table."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.scanner.collector import fuse_server
from tests.scanner.collector.installation import Installation, clean_environment

SECONDS = 120


def run_with_mounts(installation: Installation, script: str, exit_code: int = 0) -> dict[str, dict[str, Any]]:
    """Run a shell script that mounts below the tree, then the collector, both in a mount namespace of their own.

    Return the entries of the report by path.
    """
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*namespace, "true"], check=False).returncode != 0:
        pytest.skip("needs root, or user namespaces")

    shutil.rmtree(installation.tree)
    installation.tree.mkdir()
    collector = f"{sys.executable} -m scanner.collector --config {installation.conf} run --local root --engine hashlib"
    process = subprocess.run(
        [*namespace, "sh", "-ec", f"cd {installation.directory}; mv tree root\n{script}\n{collector} --output out"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert process.returncode == exit_code, process.stderr
    (report,) = (installation.directory / "out").iterdir()
    lines = gzip.decompress(report.read_bytes()).splitlines()[1:]
    return {entry["path"]: entry for entry in map(json.loads, lines)}


def digests(entries: dict[str, dict[str, Any]]) -> set[str]:
    return {str(entry.get("sha256")) for entry in entries.values()}


def test_overlay(installation: Installation) -> None:
    """Files of both layers of an overlay are read, although each has the device number of its layer."""
    entries = run_with_mounts(
        installation,
        """mkdir a b; mount -t tmpfs a a; mount -t tmpfs b b; mkdir a/d b/up b/work
        echo lower >a/low; echo lower2 >a/d/low2; ln -s low a/link
        mount -t overlay overlay -o lowerdir=a,upperdir=b/up,workdir=b/work root; echo new >root/new""",
    )
    assert set(entries) == {"d/low2", "link", "low", "new"}
    assert len(digests(entries) - {"None"}) == 3


def test_odd_names_in_the_mount_table(installation: Installation) -> None:
    """Mounts whose point holds a carriage return, or whose source is not UTF-8, are mounts like others."""
    entries = run_with_mounts(
        installation,
        r"""d=$(printf 'cr\rx'); mkdir "root/$d" root/odd source; echo secret >source/f
        mount --bind source "root/$d"; mount -t tmpfs "$(printf 'b\351\\777')" root/odd
        echo x >root/odd/x; echo f >root/f""",
    )
    assert {path: entry.get("special") for path, entry in entries.items()} == {
        "cr\rx": "mount",
        "odd": "mount",
        "f": None,
    }


def served_file_system(behaviour: str) -> str:
    """Return a shell script that serves a file system of `fuse_server` at the root until the shell ends."""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("the system has no FUSE")
    if os.geteuid() != 0:
        pytest.skip("needs root, or user namespaces with FUSE")
    return f"""{sys.executable} {fuse_server.__file__} root {behaviour} & server=$!
        trap 'kill -9 $server' EXIT
        until grep -q fuse.union /proc/self/mountinfo; do kill -0 $server; sleep 0.05; done"""


def test_one_inode_number_for_two_files(installation: Installation) -> None:
    """Files that a FUSE mount shows with one number, size, time and link count are not taken for one file."""
    entries = run_with_mounts(installation, served_file_system("collide"))
    assert set(entries) == {"1/f", "2/f"}
    assert len(digests(entries)) == 2
    assert not any("hardlink" in entry for entry in entries.values())


def test_a_file_system_that_stops_answering(installation: Installation) -> None:
    """A file and a directory that are never answered are errors of their own, and the rest is read."""
    installation.configure(no_progress=2)
    entries = run_with_mounts(installation, served_file_system("hang"), exit_code=1)
    assert set(entries) == {"read", "closed", "stuck/file"}
    assert entries["read"]["sha256"] == hashlib.sha256(b"content").hexdigest()
    assert entries["closed"]["error"] == entries["stuck/file"]["error"] == "ETIMEDOUT"


def test_inode_collision(installation: Installation) -> None:
    """Two disks that a FUSE mount shows as one have equal inode numbers: each name is read."""
    if shutil.which("bindfs") is None:
        pytest.skip("bindfs is not installed")
    if os.geteuid() != 0:
        pytest.skip("needs root, or user namespaces with FUSE")
    entries = run_with_mounts(
        installation,
        """mkdir -p source/1 source/2; mount -t tmpfs 1 source/1; mount -t tmpfs 2 source/2
        for n in 1 2; do echo "content $n" >source/$n/f; ln source/$n/f source/$n/g; done
        bindfs source root""",
    )
    assert set(entries) == {"1/f", "1/g", "2/f", "2/g"}
    assert entries["1/f"]["sha256"] != entries["2/f"]["sha256"]
    assert entries["1/f"]["sha256"] == entries["1/g"]["sha256"]
    assert not any("hardlink" in entry for entry in entries.values())


BTRFS_OF_TWO_DISKS = """truncate -s 150M a b; first=$(losetup -f --show a); second=$(losetup -f --show b)
    mkfs.btrfs -q $first $second; trap 'umount root; losetup -d $first $second' EXIT
    mount $first root -o device=$first,device=$second; echo top >root/top
    btrfs -q subvolume create root/sub; echo sub >root/sub/f; echo more >root/sub/g
    btrfs -q subvolume snapshot root/sub root/snapshot; echo changed >root/snapshot/f"""

MOUNT_FROM_THE_OTHER_DISK = """import os, subprocess, sys
from scanner.collector.system.filesystem import identify_filesystem as identify
first, second = sys.argv[1:]
before = identify(b"root")
subprocess.run(["umount", "root"], check=True)
subprocess.run(["mount", second, "root", "-o", f"device={first},device={second}"], check=True)
after = identify(b"root")
assert before.id.startswith("uuid:") and after.is_same(before), (before, after)"""


def test_btrfs(installation: Installation) -> None:
    """A subvolume counts as a mount point. A file system of two disks is the same one from whichever it is mounted."""
    if shutil.which("mkfs.btrfs") is None:
        pytest.skip("mkfs.btrfs is not installed")
    if os.geteuid() != 0:
        pytest.skip("only root mounts an image")
    entries = run_with_mounts(
        installation,
        f"""{BTRFS_OF_TWO_DISKS}
        {sys.executable} -c '{MOUNT_FROM_THE_OTHER_DISK}' $first $second""",
    )
    assert {path: entry.get("special") for path, entry in entries.items()} == {
        "snapshot": "mount",
        "sub": "mount",
        "top": None,
    }


def test_own_directories_are_left_out(installation: Installation) -> None:
    """The state directory and the directory of reports below the root are not read, and the statement names them."""
    output = installation.directory / "out"
    call = installation.call("run", "--local", str(installation.directory), "--output", str(output))
    assert call.exit_code == 0, call.stderr
    (report,) = output.iterdir()
    envelope, *lines = gzip.decompress(report.read_bytes()).splitlines()

    paths = {json.loads(line)["path"] for line in lines}
    assert "collector.conf" in paths
    assert not any(path.startswith(("state/", "out/")) for path in paths)

    statement = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    assert statement["host"]["filesystem"]["left_out"] == ["out", "state"]
