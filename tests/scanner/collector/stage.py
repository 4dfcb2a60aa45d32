"""What the collector's tests stand on: a state folder that is enrolled with a fake central server, and the program
itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from scanner.collector import config as configuration
from scanner.collector.config import Config
from scanner.collector.delivery import enrol
from scanner.collector.delivery.spool import Spool
from scanner.collector.run.session import RunOptions, RunSession
from scanner.collector.run.summary import RunSummary
from tests.scanner.collector.fake_central import FakeCentral, Replica

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 5


class Done(NamedTuple):
    """What a call of the program came to."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """The JSON on stdout."""
        members: dict[str, Any] = json.loads(self.out)
        return members


class Stage:
    """A folder with a tree, a configuration and a state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tree, self.state = folder, folder / "tree", folder / "state"
        self.conf = folder / "collector.conf"
        make_tree(self.tree)
        self.configure()

    def configure(self, **keys: object) -> Config:
        """Write the configuration anew, with these keys beside the state folder."""
        told = {"state": self.state, "low-priority": "no", "patience": PATIENCE, "timeout": 5}
        told |= {name.replace("_", "-"): value for name, value in keys.items()}
        self.conf.write_text("[collector]\n" + "".join(f"{name} = {value}\n" for name, value in told.items()))
        return configuration.load_config(self.conf)

    def enrol(self, central: FakeCentral) -> Replica:
        """Register with `central`, which gets the tree as a replica."""
        enrol.enrol(self.configure(server=central.url), central.token(), None, rotate=False)
        return central.add(self.tree)

    def run(self, *names: str, **options: Any) -> RunSummary:
        """One `run` in this process."""
        return RunSession(
            configuration.load_config(self.conf), RunOptions(names=names, workers=1, **options), print
        ).run()

    def call(self, *arguments: str, python: str = sys.executable, **environment: str) -> Done:
        """The program in a process of its own."""
        command = [python, "-m", "scanner.collector", "--config", str(self.conf), *arguments]
        done = subprocess.run(
            command, env=clean_environment(**environment), capture_output=True, text=True, timeout=120, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def spool(self, replica: Replica) -> Spool:
        """The spool of a replica."""
        return Spool(self.state / "replicas" / replica.replica)


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without proxies and failures, able to import the checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **more}


def make_tree(root: Path) -> None:
    """Files of several kinds and sizes below `root`."""
    (root / "sub" / "deep").mkdir(parents=True)
    for number in range(12):
        (root / "sub" / f"{number:02d}.dat").write_bytes(bytes([number]) * number * 1000)
    (root / "sub" / "deep" / "name\nwith \\ \x1b[31m odd").write_text("odd")
    os.link(root / "sub" / "01.dat", root / "sub" / "deep" / "linked")
    (root / "link").symlink_to("sub/01.dat")
    os.mkfifo(root / "fifo")
