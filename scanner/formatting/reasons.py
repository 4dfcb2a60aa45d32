"""Translate reasons that were stored or signed in English.

Collector and server write why a run failed, was refused or set aside, why a chain starts anew and why an engine was
chosen. These texts are signed or stored, so they stay English. A page translates them when it shows them: the text is
compared with the known messages, and the values are put into the translation of the first one that fits. A text that
fits none, for example from another version of the collector, is shown as it is.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from django.utils.translation import gettext, gettext_noop

MAX_LENGTH = 2000
"""Longer texts are not compared: a server that has been taken over may send anything."""

NESTED_VALUES = {"error", "last_reason", "reason"}
"""Values that are reasons themselves."""
LISTED_VALUES = {"refusals"}
"""Values that are several reasons, separated by semicolons."""

MESSAGES = (
    # Why a run failed on its server.
    gettext_noop("root missing"),
    gettext_noop("root is not a directory"),
    gettext_noop("root unreadable"),
    gettext_noop("root is not a plain absolute path"),
    gettext_noop("root is not among the roots that the collector's configuration allows"),
    gettext_noop("root on another file system: %(present)s, last time %(previous)s"),
    gettext_noop("root empty, last time it was not"),
    gettext_noop("root on another file system than when the run began"),
    gettext_noop("no process can be started for the walk: %(message)s"),
    gettext_noop("the walk does not go on: its process ended with %(status)s"),
    gettext_noop("no descriptor left: %(message)s"),
    gettext_noop("no limit on the rate: %(message)s; set TMPDIR"),
    gettext_noop("the workers do not start: one hangs"),
    gettext_noop("the workers do not start: %(message)s"),
    gettext_noop("cannot keep the state of a run in %(path)s: %(message)s"),
    gettext_noop("cannot read %(path)s: %(message)s"),
    gettext_noop("cannot write %(path)s: %(message)s"),
    gettext_noop("no engine: %(error)s"),
    gettext_noop("no engine is called %(requested)s: one of %(names)s"),
    # Why a new chain starts.
    gettext_noop("report %(sequence)d, which the central server has, is missing from the spool"),
    gettext_noop("what stood in place %(sequence)d of the chain can no longer be shown: lost, damaged or refused"),
    # Why a server is on hold.
    gettext_noop("Two statements for run %(sequence)d of %(replica)s."),
    # Why this engine.
    gettext_noop("as configured"),
    gettext_noop("the faster in a trial: hashlib %(hashlib)d MiB/s, native %(native)d MiB/s"),
    gettext_noop("no native tools: %(refusals)s"),
    gettext_noop("no trial of native tools: %(message)s; set TMPDIR"),
    gettext_noop("%(path)s: wrong answer for standard input"),
    gettext_noop("%(path)s: leaves standard input at %(offset)d of %(size)d"),
    # What became of work that was tried several times.
    gettext_noop("started %(number)d times and never finished: %(last_reason)s"),
    gettext_noop("its process died"),
    gettext_noop("attempt %(number)d of %(maximum)d failed: %(type)s: %(error)s"),
    gettext_noop("the database: %(message)s"),
    gettext_noop("the database refuses it: %(message)s"),
    # Why a report could not be ingested.
    gettext_noop("%(rows)d versions should have ended, but %(ended)d did"),
    gettext_noop("the run is no longer waiting for ingest"),
    gettext_noop("run %(sequence)d, which is newer, is in the history already"),
    gettext_noop("the stored upload is not the one that was accepted: its digest differs"),
    gettext_noop("the stored upload is not the one that was accepted: %(error)s"),
    gettext_noop("the stored upload is missing"),
    gettext_noop("more than the %(number)d new entries and notes that its server may add in a day"),
    gettext_noop("no room for ingest: %(message)s"),
    # Why the body of a report was refused.
    gettext_noop("%(size)d bytes of records are more than this central server takes"),
    gettext_noop("%(number)d records are more than this central server takes"),
    gettext_noop("more than the %(size)d bytes of records that the statement announces"),
    gettext_noop("more bytes than the records that the statement announces can take"),
    gettext_noop("the last line is cut short"),
    gettext_noop("no line in %(size)d bytes"),
    gettext_noop("the statement's %(name)s do not match the lines"),
    gettext_noop("something follows the end of the gzip stream"),
    gettext_noop("not a gzip stream, or a damaged one"),
    gettext_noop("not a gzip file, or a damaged one"),
    gettext_noop("unpacks to more than %(ratio)d times its size"),
    gettext_noop("the gzip stream is cut short"),
    gettext_noop("line %(number)d: %(error)s"),
    gettext_noop("longer than %(size)d bytes"),
    gettext_noop("a line is longer than %(size)d bytes"),
    gettext_noop("notes are not in ascending order"),
    gettext_noop("entries are not in strictly ascending order of path, before all notes"),
    gettext_noop("the line is not in its canonical form"),
    gettext_noop("not JSON: %(message)s"),
    gettext_noop("not a record: %(message)s"),
    gettext_noop("not an integer: %(text)s"),
    gettext_noop("a key occurs twice"),
    gettext_noop("a surrogate in a string"),
    gettext_noop("a path is a string"),
    gettext_noop("size, mtime_ns, mode, uid and gid are integers"),
    gettext_noop("a number is out of its range"),
    gettext_noop("sha256 has 64 and md5 has 32 digits"),
    gettext_noop("a file that is not empty has the digest of empty content"),
    gettext_noop("a hard link names an earlier path"),
    gettext_noop("error, link and special are strings"),
    gettext_noop("an error has the name of an errno and a stage"),
    gettext_noop("unknown kind of special file"),
    gettext_noop("a link target holds no NUL"),
    gettext_noop("unknown note"),
    gettext_noop("a member of a note %(name)s is not what the format allows"),
    gettext_noop("not a canonical name: %(text)s"),
    gettext_noop("not a relative path: %(text)s"),
    gettext_noop("not Unicode text: %(text)s"),
    gettext_noop("a backslash that escapes nothing: %(text)s"),
    # What is wrong with an envelope or a statement.
    gettext_noop("cannot read %(path)s: %(message)s"),
    gettext_noop("the first line is not an envelope: too long or cut short"),
    gettext_noop("the first line is not a DSSE envelope with one signature"),
    gettext_noop("the envelope is not in its canonical form"),
    gettext_noop("the envelope is of another type"),
    gettext_noop("the payload's size is more than %(size)d bytes"),
    gettext_noop("the keyid has not the size and form of a SHA-256 in hex"),
    gettext_noop("the signature's size is not %(size)d bytes"),
    gettext_noop("the statement is longer than 64 KiB"),
    gettext_noop("the statement is %(error)s"),
    gettext_noop("the statement is not in its canonical form"),
    gettext_noop("the statement's keys are not those of the format, in their order"),
    gettext_noop("the statement's %(key)s is not what the format allows"),
    gettext_noop("a failed run has a reason, and a complete one has none"),
    gettext_noop("a failed run has no records"),
    gettext_noop("the first run has no run before it"),
    gettext_noop("the number of blocks does not fit the number of records"),
    gettext_noop("more files and errors than records"),
    gettext_noop("no such time: %(text)s"),
    # What is wrong with a file in the old form.
    gettext_noop("a report in the old format has data and signature, and nothing else"),
    gettext_noop("data and signature are texts"),
    gettext_noop("data is not Unicode text"),
    gettext_noop("the digest of the data is not the one in the file: the file is damaged"),
    gettext_noop("the data lacks one of %(keys)s"),
    gettext_noop("the stored file is another report"),
    gettext_noop("not UTF-8"),
    gettext_noop("not a number: %(text)s"),
    gettext_noop("group is not a name of at most %(size)d characters"),
    gettext_noop("root_data is not an absolute path"),
    gettext_noop("root_data is longer than %(size)d characters"),
    gettext_noop("work_time is not a number of seconds"),
    gettext_noop("start_timestamp is not a number of seconds"),
    gettext_noop("start_timestamp is not in the years 2000 to 2199"),
    gettext_noop("checksums and errors are objects, files is a list"),
    gettext_noop("%(path)s is not below the root"),
    gettext_noop("%(path)s is too long"),
    gettext_noop("%(path)s is not the name of a file"),
    gettext_noop("%(path)s has no digests"),
    gettext_noop("%(path)s has an invalid digest"),
    gettext_noop("%(path)s has an error without a text"),
    # What is wrong with an exclude pattern.
    gettext_noop("longer than %(size)d characters"),
    gettext_noop("no path has a part %(text)s"),
    gettext_noop("no path has a NUL"),
    gettext_noop("a lone surrogate is not a character"),
    gettext_noop("ends in a backslash that escapes nothing"),
    gettext_noop("\\x needs two hexadecimal digits"),
    gettext_noop("a [ without its ]"),
    gettext_noop("the range %(low)s-%(high)s is empty"),
    gettext_noop("a set never matches /"),
    gettext_noop("exclude pattern %(pattern)s: %(reason)s"),
)


class _Pattern(NamedTuple):
    """A message and the expression that its texts match."""

    message: str
    expression: re.Pattern[str]
    numbers: frozenset[str]
    """Names of the values that are integers."""


def reason_text(text: str) -> str:
    """Return a stored reason in the language of the page."""
    if len(text) > MAX_LENGTH:
        return text

    for pattern in _patterns():
        match = pattern.expression.fullmatch(text)
        if match is None:
            continue
        values = {name: _translate_value(pattern, name, value) for name, value in match.groupdict().items()}
        translation = gettext(pattern.message)
        return translation % values if values else translation
    return text


def is_known(text: str) -> bool:
    """Return whether a text fits one of the messages."""
    return any(pattern.expression.fullmatch(text) for pattern in _patterns())


def _translate_value(pattern: _Pattern, name: str, value: str) -> str | int:
    if name in pattern.numbers:
        return int(value)
    if name in NESTED_VALUES:
        return reason_text(value)
    if name in LISTED_VALUES:
        return "; ".join(reason_text(part) for part in value.split("; "))
    return value


@cache
def _patterns() -> tuple[_Pattern, ...]:
    """Return the patterns of all messages, those with the most fixed text first: they are the most specific."""
    by_fixed_text = sorted(MESSAGES, key=lambda message: -len(re.sub(r"%\(\w+\)[sd]", "", message)))
    return tuple(_compile(message) for message in by_fixed_text)


def _compile(message: str) -> _Pattern:
    expression = ""
    numbers = set()
    for part in re.split(r"(%\(\w+\)[sd])", message):
        placeholder = re.fullmatch(r"%\((\w+)\)([sd])", part)
        if placeholder is None:
            expression += re.escape(part)
        elif placeholder[2] == "d":
            numbers.add(placeholder[1])
            expression += rf"(?P<{placeholder[1]}>\d{{1,19}})"
        else:
            expression += rf"(?P<{placeholder[1]}>.+?)"
    return _Pattern(message, re.compile(expression, re.DOTALL), frozenset(numbers))
