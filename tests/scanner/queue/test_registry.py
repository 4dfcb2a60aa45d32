"""Calls of listed functions are coded as JSON; everything else is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scanner.errors import RefusedTask
from scanner.queue import registry
from scanner.queue.registry import MAX_INTEGER, MAX_PAYLOAD, MAX_TEXT, ListedTask

CALLS: list[tuple[int, str]] = []


def greet(number: int, text: str) -> None:
    """Stand for a task with both kinds of arguments."""
    CALLS.append((number, text))


def secret() -> None:
    """Stand for a function that no list names."""


NAME = f"{__name__}.greet"


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """List `greet` while a test runs."""
    monkeypatch.setitem(registry._tasks, NAME, ListedTask(greet))


def test_a_call_survives_coding() -> None:
    """Name and arguments come back as they were."""
    call = registry.decode(registry.encode(NAME, (7, "x")))
    call.task.function(*call.arguments)

    assert CALLS[-1] == (7, "x")
    assert registry.decode(registry.encode(NAME, (MAX_INTEGER, "x" * MAX_TEXT))).arguments[0] == MAX_INTEGER


REFUSED: dict[str, Any] = {
    "another function of the module": {"task": f"{__name__}.secret", "arguments": []},
    "a function of Python": {"task": "os.system", "arguments": ["true"]},
    "an attribute of a listed function": {"task": f"{NAME}.__globals__", "arguments": []},
    "no name": {"task": 7, "arguments": []},
    "a list as a name": {"task": [NAME], "arguments": [7, "x"]},
    "too few arguments": {"task": NAME, "arguments": [7]},
    "too many arguments": {"task": NAME, "arguments": [7, "x", "y"]},
    "arguments by name": {"task": NAME, "arguments": {"number": 7, "text": "x"}},
    "the wrong type": {"task": NAME, "arguments": ["7", "x"]},
    "a boolean": {"task": NAME, "arguments": [True, "x"]},
    "a fraction": {"task": NAME, "arguments": [7.0, "x"]},
    "nothing": {"task": NAME, "arguments": [None, "x"]},
    "a container": {"task": NAME, "arguments": [7, ["x"]]},
    "a long text": {"task": NAME, "arguments": [7, "x" * (MAX_TEXT + 1)]},
    "a large integer": {"task": NAME, "arguments": [MAX_INTEGER + 1, "x"]},
    "a further member": {"task": NAME, "arguments": [7, "x"], "hook": "os.system"},
    "a missing member": {"task": NAME},
    "a list": [NAME, 7, "x"],
    "a text": NAME,
    "null": None,
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_is_refused(case: str) -> None:
    """No other name, type, number or shape is a call."""
    with pytest.raises(RefusedTask):
        registry.decode(json.dumps(REFUSED[case]))


@pytest.mark.parametrize("payload", ["", "{", "[" * MAX_PAYLOAD, "\0", "1" * MAX_PAYLOAD, " " * (MAX_PAYLOAD + 1)])
def test_what_is_not_json_is_refused(payload: str) -> None:
    """Neither broken nor endless texts reach further than the parser."""
    with pytest.raises(RefusedTask):
        registry.decode(payload)


def test_a_caller_who_errs_is_told() -> None:
    """A call that the cluster would refuse is not queued."""
    with pytest.raises(RefusedTask, match="not a listed task"):
        registry.encode("os.system", ("true",))
    with pytest.raises(RefusedTask, match="does not take"):
        registry.encode(NAME, (7,))


def test_a_task_takes_simple_arguments() -> None:
    """A function with other arguments, or a scheduled one with any, cannot be listed."""

    def takes_a_path(path: bytes) -> None:
        """Stand for a function that takes what is no integer or string."""

    with pytest.raises(TypeError, match="only integers and strings"):
        registry.register(ListedTask(takes_a_path))
    with pytest.raises(TypeError, match="takes no arguments"):
        registry.register(ListedTask(greet, minutes=1))
