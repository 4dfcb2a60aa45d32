"""Start a child process of the collector, talk to it through pipes that never block, and end it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from typing import Any, List, Optional, Sequence, Tuple

import scanner
from scanner.collector.system import messages

_PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.abspath(scanner.__file__)))
"""What holds the package: a directory, or the archive that the collector runs from."""
_START = "import sys; sys.path.insert(0, sys.argv[1]); from %s import main; main()"
_READ_BYTES = 1 << 20


class ChildProcess:
    """A child in a session of its own, so that one kill ends it and the tools that it runs."""

    def __init__(self, module: str, setup: Any, descriptors: Sequence[int] = ()) -> None:
        """Start `main` of a module, and send it the setup, pickled. Raise OSError when no process can be started."""
        self.ready = False
        """Whether it has said that it works."""
        self.silent_seconds = 0.0
        """For how long it has been busy without a message."""
        self._inbox = bytearray()
        self._outbox = bytearray(messages.encode_message((pickle.dumps(setup),)))
        # -I and -S: neither the user's environment nor site-packages change what a child runs, and it starts sooner.
        # UTF-8, so that names read alike in all processes, whatever the locale says.
        self._process = subprocess.Popen(
            [sys.executable, "-IS", "-X", "utf8", "-c", _START % module, _PACKAGE_PARENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=descriptors,
            start_new_session=True,
        )

        assert self._process.stdin is not None and self._process.stdout is not None
        self.sink = self._process.stdin.fileno()
        """Descriptor to write to."""
        self.source = self._process.stdout.fileno()
        """Descriptor to read from."""

        # One loop serves all children: a slow one must not hold up the others.
        os.set_blocking(self.sink, False)
        os.set_blocking(self.source, False)

    @property
    def pid(self) -> int:
        """Return the process id, which is that of its session as well."""
        return self._process.pid

    @property
    def has_output(self) -> bool:
        """Return whether something waits to be written."""
        return bool(self._outbox)

    def queue_message(self, *message: Any) -> None:
        """Queue a message behind those that wait to be written."""
        self._outbox += messages.encode_message(message)

    def write_output(self) -> None:
        """Write what the pipe takes. That a child has died shows when its output ends."""
        try:
            del self._outbox[: os.write(self.sink, self._outbox)]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._outbox.clear()

    def read_messages(self) -> Optional[List[Tuple[Any, ...]]]:
        """Return the messages that have arrived, or None once the child is gone."""
        try:
            data = os.read(self.source, _READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            return None

        self._inbox += data
        return list(messages.take_messages(self._inbox))

    def send_signal(self, number: int) -> None:
        """Send a signal to the child alone."""
        self._process.send_signal(number)

    def finish(self, patience: float) -> None:
        """Let the child end by itself for so many seconds, then kill it."""
        self._close_pipes()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self, patience: float = 5.0) -> Optional[int]:
        """Kill the child and whatever it has started. Return its exit code, or None when it does not go away.

        The group is killed before its leader is waited for: until then the number cannot belong to another group.
        """
        if self._process.returncode is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                # PermissionError: macOS says so when only a zombie is left.
                pass

        self._close_pipes()
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            return None

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
