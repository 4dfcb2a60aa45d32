"""Reasons that were stored in English, shown in the language of the page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import translation

from scanner.formatting.reasons import MAX_LENGTH, MESSAGES, is_known, reason_text

ROOT = Path(__file__).resolve().parents[3]
REASON_ERRORS = {
    "BodyError",
    "EngineChoice",
    "ExcludeError",
    "HashPassError",
    "LegacyFormatError",
    "PathError",
    "PermanentError",
    "RecordError",
    "ReportError",
    "RetryableError",
    "RootError",
    "RunFailed",
    "StorageError",
    "ToolRefusedError",
    "WalkError",
}
"""What is raised or made with a reason that a page may show."""
REASON_VARIABLES = {"break_reason", "reason"}
SAMPLE = "7"
"""A value that fits numbers and texts."""


def literal(node: ast.expr) -> str | None:
    """Return the text of a string with its values replaced by a sample; None for what is no string."""
    if isinstance(node, ast.Subscript):
        return literal(node.value)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else SAMPLE for part in node.values]
        return "".join(str(part) for part in parts)
    return None


def reasons_of(tree: ast.AST) -> Iterator[str]:
    """Yield the reasons that a module may write."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in REASON_ERRORS:
            texts = [text for argument in node.args if (text := literal(argument)) is not None]
            if texts:
                yield texts[-1]
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            text = literal(node.value)
            if node.targets[0].id in REASON_VARIABLES and text:
                yield text


def modules() -> list[Path]:
    """Return the modules of collector and server."""
    paths = [path for package in ("scanner", "checker") for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in paths if "migrations" not in path.parts]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_reason_in_the_code_is_known(path: Path) -> None:
    """Each reason that the collector or the server can give has a message here."""
    reasons = reasons_of(ast.parse(path.read_text(encoding="utf-8")))
    # What consists of values alone, such as a path and the system's own words, has nothing to translate.
    worded = [reason for reason in reasons if any(character.isalpha() for character in reason)]
    assert [reason for reason in worded if not is_known(str(reason))] == []


def test_every_message_is_translated() -> None:
    """Each message has a Russian text, and its values come back in it."""
    with translation.override("ru"):
        for message in MESSAGES:
            assert reason_text(sample_of(message)) != sample_of(message)


def sample_of(message: str) -> str:
    """Return a text that fits a message."""
    return re.sub(r"%\(\w+\)[sd]", SAMPLE, message)


def test_reasons_within_reasons() -> None:
    """A reason that contains another one is translated as a whole; what is unknown stays as it is."""
    with translation.override("ru"):
        text = "started 3 times and never finished: attempt 2 of 3 failed: BodyError: the last line is cut short"
        assert reason_text(text) == (
            "запуск повторяли 3 раза, ни один не завершился: "
            "попытка 2 из 3 не удалась: BodyError: последняя строка обрезана"
        )
        refusals = "no native tools: /bin/a: wrong answer for standard input; /bin/b: odd"
        assert reason_text(refusals) == (
            "утилиты системы не подошли: /bin/a: неверный ответ для стандартного ввода; /bin/b: odd"
        )
        assert reason_text("something new") == "something new"


def test_english_pages_show_the_text_itself() -> None:
    """In English nothing changes."""
    for message in MESSAGES:
        assert reason_text(sample_of(message)) == sample_of(message)


def test_a_text_without_end_is_not_compared() -> None:
    """A text longer than any reason is shown as it is, without being parsed."""
    text = "line 1: " * MAX_LENGTH
    with translation.override("ru"):
        assert reason_text(text) == text
