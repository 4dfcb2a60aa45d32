"""Servers with addresses of their own: network namespaces joined by pairs of virtual interfaces, gone after the test.

Nothing of the machine's own network is touched: the central server has a namespace too, and each collector's has one
wire to it. Where namespaces cannot be made, all share the loopback address.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import urllib.parse
from pathlib import Path

from tests.disk_image import SEARCH_PATH
from tests.flow.processes import Collector, RunningSystem, wait_for
from tests.scanner.collector.delivery.test_client import certificate

HUB = "10.203.77.1"
CONNECTS = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()"


def missing(url: str) -> str:
    """Why there can be no namespaces here; empty when there can. `url` is the database's."""
    if os.geteuid() != 0:
        return "only root makes namespaces"
    if not (urllib.parse.unquote(urllib.parse.urlsplit(url).hostname or "/")).startswith("/"):
        return "the database has an address, which is not to be reached from a namespace"
    for name in ("ip", "nsenter"):
        if shutil.which(name, path=SEARCH_PATH) is None:
            return f"no {name}"
    done = subprocess.run(
        ["unshare", "--net", "true"], capture_output=True, check=False, env=os.environ | {"PATH": SEARCH_PATH}
    )
    return "" if done.returncode == 0 else "the kernel makes no namespaces"


class Network:
    """A namespace for the central server and so many for collectors, while the context lasts."""

    def __init__(self, number: int) -> None:
        self.hub = f"bs{os.getpid()}hub"
        self.names = [f"bs{os.getpid()}n{number}" for number in range(number)]
        self.addresses = [f"10.203.77.{number + 2}" for number in range(number)]

    def __enter__(self) -> Network:
        try:
            _ip("netns", "add", self.hub)
            _ip("-n", self.hub, "link", "set", "lo", "up")
            for name, address in zip(self.names, self.addresses, strict=True):
                self._join(name, address)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _join(self, name: str, address: str) -> None:
        _ip("netns", "add", name)
        _ip("-n", self.hub, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        for where, wire, own, other in ((self.hub, name, HUB, address), (name, "eth0", address, HUB)):
            _ip("-n", where, "address", "add", own, "peer", other, "dev", wire)
            _ip("-n", where, "link", "set", wire, "up")

    def __exit__(self, *_details: object) -> None:
        for name in (*self.names, self.hub):
            if Path("/run/netns", name).exists():
                _ip("netns", "delete", name)

    @staticmethod
    def within(name: str) -> list[str]:
        """Return the words before a command that is to run there. Unlike `ip netns exec`, they keep all mounts."""
        return ["nsenter", f"--net=/run/netns/{name}"]


class Central(RunningSystem):
    """A central server in a namespace, reached over TLS alone."""

    def __init__(self, directory: Path, url: str, like: RunningSystem, network: Network) -> None:
        super().__init__(directory, url, like)
        self.network = network
        directory.mkdir(parents=True, exist_ok=True)
        self.certificate = certificate(directory, HUB)
        self.url = f"https://{HUB}:{self.port}"
        self.environment["BACKUP_SYNCER_PUBLIC_URL"] = self.url
        web = [part.replace("127.0.0.1:", f"{HUB}:") for part in self.web.command]
        secure = ["--certfile", str(self.certificate), "--keyfile", str(self.certificate), "--access-logfile", "-"]
        self.web.command = [*network.within(network.hub), *web[:-1], *secure, web[-1]]
        self.web.environment = self.cluster.environment = self.environment

    def await_web(self) -> None:
        """Wait until it takes connections from the last of the namespaces."""
        command = [*self.network.within(self.network.names[-1]), "python3", "-c", CONNECTS, HUB, str(self.port)]
        wait_for(
            lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0, 60, "the web server"
        )

    def visitors(self) -> set[str]:
        """The addresses that sent reports."""
        log = self.web.log.read_text(encoding="utf-8", errors="replace")
        return set(re.findall(r'^([\d.]+) .*"POST /api/v1/reports[ ?/].*" 20\d ', log, re.M))


class FarCollector(Collector):
    """A collector in a namespace."""

    def __init__(self, directory: Path, central: Central, name: str) -> None:
        super().__init__(directory, central.url)
        self.before = central.network.within(name)
        with self.config.open("a") as config:
            config.write(f"ca = {central.certificate}\n")

    def command(self, *arguments: str) -> list[str]:
        """The command line of the collector there."""
        return [*self.before, *super().command(*arguments)]


def _ip(*arguments: str) -> None:
    done = subprocess.run(
        ["ip", *arguments], capture_output=True, text=True, check=False, env=os.environ | {"PATH": SEARCH_PATH}
    )
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
