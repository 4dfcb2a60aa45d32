"""Ask the file system something that it may never answer, without waiting for ever."""

from __future__ import annotations

import errno
import os
import queue
import threading
from typing import Callable, Tuple, TypeVar, Union

Result = TypeVar("Result")


def call_within(seconds: float, function: Callable[[], Result]) -> Result:
    """Return what `function` returns, or raise what it raises. Raise TimeoutError when it takes longer.

    It then goes on, on a thread that nobody waits for any more.
    """
    results: queue.SimpleQueue[Tuple[bool, Union[Result, BaseException]]] = queue.SimpleQueue()

    def call() -> None:
        try:
            results.put((True, function()))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            results.put((False, error))

    try:
        threading.Thread(target=call, daemon=True).start()
    except RuntimeError:
        # No thread can be started. Better to wait than not to ask.
        return function()

    try:
        has_returned, result = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
    if has_returned:
        return result  # type: ignore[return-value]  # the pair says that it is no exception
    raise result  # type: ignore[misc]  # the pair says that it is an exception
