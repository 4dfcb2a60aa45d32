"""Install a collector in a directory: a tree to hash, a configuration, a state directory, and the program itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from scanner.collector.config import Config, load_config
from scanner.collector.delivery import enrol
from scanner.collector.delivery.spool import Spool
from scanner.collector.run.session import RunOptions, RunSession
from scanner.collector.run.summary import RunSummary
from tests.scanner.collector.fake_central import FakeCentral, Replica

ROOT = Path(__file__).resolve().parents[3]
"""The checkout."""
PATIENCE = 5
CALL_SECONDS = 120


class CallResult(NamedTuple):
    """Result of one call of the program."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        """The JSON object on stdout."""
        members: dict[str, Any] = json.loads(self.stdout)
        return members


class Installation:
    """A collector in a directory of its own. It is enrolled only after `enrol`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tree = directory / "tree"
        self.state = directory / "state"
        self.conf = directory / "collector.conf"
        make_tree(self.tree)
        self.configure()

    def configure(self, **changes: object) -> Config:
        """Write the configuration anew, with `changes` to the defaults of these tests, and return it."""
        values: dict[str, object] = {
            "state": self.state,
            "low-priority": "no",
            "patience": PATIENCE,
            "timeout": 5,
        }
        for name, value in changes.items():
            values[name.replace("_", "-")] = value

        lines = [f"{name} = {value}\n" for name, value in values.items()]
        self.conf.write_text("[collector]\n" + "".join(lines))
        return self.load_config()

    def load_config(self) -> Config:
        """Return the configuration as it was written last."""
        return load_config(self.conf)

    def enrol(self, central: FakeCentral) -> Replica:
        """Enrol with `central`, and return the tree as a replica there."""
        config = self.configure(server=central.url)
        enrol.enrol(config, central.token(), None, rotate=False)
        return central.add_replica(self.tree)

    def run(self, *names: str, **options: Any) -> RunSummary:
        """Do one `run` in this process."""
        run_options = RunOptions(names=names, workers=1, **options)
        return RunSession(self.load_config(), run_options, print).run()

    def call(self, *arguments: str, python: str = sys.executable, **environment: str) -> CallResult:
        """Call the program in a process of its own."""
        process = subprocess.run(
            [python, "-m", "scanner.collector", "--config", str(self.conf), *arguments],
            env=clean_environment(**environment),
            capture_output=True,
            text=True,
            timeout=CALL_SECONDS,
            check=False,
        )
        return CallResult(process.returncode, process.stdout, process.stderr)

    def spool(self, replica: Replica) -> Spool:
        """Return the spool of a replica."""
        return Spool(self.state / "replicas" / replica.replica)


def clean_environment(**changes: str) -> dict[str, str]:
    """Return an environment that can import the checkout, without proxies, and with `changes`."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**environment, "PYTHONPATH": str(ROOT), **changes}


def make_tree(root: Path) -> None:
    """Make 14 files of several sizes, one of them a hard link, a symbolic link and a FIFO below `root`."""
    deep_directory = root / "sub" / "deep"
    deep_directory.mkdir(parents=True)
    for number in range(12):
        (root / "sub" / f"{number:02d}.dat").write_bytes(bytes([number]) * number * 1000)
    (deep_directory / "name\nwith \\ \x1b[31m odd").write_text("odd")
    os.link(root / "sub" / "01.dat", deep_directory / "linked")
    (root / "link").symlink_to("sub/01.dat")
    os.mkfifo(root / "fifo")
