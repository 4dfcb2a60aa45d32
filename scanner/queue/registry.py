"""List the functions that the task cluster may call, and code calls of them as JSON.

Whoever can write the queue's table can have a listed function called with integers and short strings, and nothing
else: a name that is not listed here is never imported.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, get_type_hints

from scanner.errors import RefusedTask

MAX_TEXT = 200
"""Characters of a string argument."""
MAX_PAYLOAD = 1000
"""Characters of a coded call. Longer ones are not parsed."""
MAX_INTEGER = (1 << 63) - 1
"""The largest key of a row."""


@dataclass(frozen=True)
class ListedTask:
    """A function that the task cluster may call; with `minutes` it is called that often, without arguments."""

    function: Callable[..., object]
    minutes: int = 0

    @cached_property
    def name(self) -> str:
        """Return the dotted name by which callers and rows mean the function."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def judges(self) -> bool:
        """Return whether the function needs a slot of `scanner.queue.judging`."""
        return bool(getattr(self.function, "judges", False))

    @cached_property
    def parameters(self) -> tuple[type, ...]:
        """Return the types of the arguments, in order."""
        hints = get_type_hints(self.function)
        return tuple(hints[name] for name in inspect.signature(self.function).parameters)

    def check(self, arguments: list[Any]) -> None:
        """Raise RefusedTask unless the arguments are what the function takes, each of exactly its type."""
        # A bool is an int in Python, so the types themselves are compared.
        if tuple(type(argument) for argument in arguments) != self.parameters:
            raise RefusedTask(f"{self.name} does not take these arguments")

        for argument in arguments:
            if isinstance(argument, str) and len(argument) > MAX_TEXT:
                raise RefusedTask(f"an argument of {self.name} is too long")
            if isinstance(argument, int) and abs(argument) > MAX_INTEGER:
                raise RefusedTask(f"an argument of {self.name} is too large")


class Call(NamedTuple):
    """One call of a listed function."""

    task: ListedTask
    arguments: tuple[int | str, ...]


_tasks: dict[str, ListedTask] = {}


def register(*tasks: ListedTask) -> None:
    """List functions. Applications do so when they are loaded; repeating it is harmless."""
    for task in tasks:
        if not set(task.parameters) <= {int, str}:
            raise TypeError(f"{task.name}: a task takes only integers and strings")
        if task.minutes and task.parameters:
            raise TypeError(f"{task.name}: a scheduled task takes no arguments")
        _tasks[task.name] = task


def scheduled_tasks() -> list[ListedTask]:
    """Return the tasks that are called at intervals, in the order in which they were listed."""
    return [task for task in _tasks.values() if task.minutes]


def encode(name: str, arguments: tuple[int | str, ...]) -> str:
    """Return the JSON text of a call. Raise RefusedTask when the function is not listed or takes other arguments."""
    _find(name).check(list(arguments))
    return json.dumps({"task": name, "arguments": arguments})


def decode(payload: str) -> Call:
    """Return the call that a row of the queue asks for. Raise RefusedTask for all but a call of a listed task."""
    if len(payload) > MAX_PAYLOAD:
        raise RefusedTask("it is too long")
    try:
        members = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise RefusedTask("it is not JSON") from error

    if not isinstance(members, dict) or members.keys() != {"task", "arguments"}:
        raise RefusedTask("it is not a call")
    name = members["task"]
    arguments = members["arguments"]
    if not isinstance(name, str) or not isinstance(arguments, list):
        raise RefusedTask("it is not a call")

    task = _find(name)
    task.check(arguments)
    return Call(task, tuple(arguments))


def _find(name: str) -> ListedTask:
    try:
        return _tasks[name]
    except KeyError as error:
        # Quoted and cut: the name may come from whoever wrote the row, and goes to the log.
        raise RefusedTask(f"{name[:MAX_TEXT]!a} is not a listed task") from error
