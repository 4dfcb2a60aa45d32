r"""Match paths against exclude patterns: the collector leaves out what matches, the server checks what is typed in.

A pattern is text, one a line:

- `*` is any run of characters and `?` one character, `/` excepted; `**` is any run, `/` included;
  `**/` is any number of directories, also none;
- `[abc]`, `[a-z]`, `[!a-z]` is one character of a set or not of it, never `/`; a first `]` stands for itself;
- `\` takes the next character as it is, `\xhh` names a byte;
- a pattern without `/` matches the last part of a path anywhere; one with `/` (a leading one serves) is anchored at
  the root;
- a trailing `/` matches directories alone.

What lies below a matched directory is matched as well. A name is matched character by character where it is UTF-8 and
byte by byte where it is not. Nothing is normalised and nothing is case-folded.

A pattern is read into tokens, tokens are grouped into the parts between slashes, and the parts become the states of an
automaton. It reads a path once, one character after the other, and remembers all states that are possible: however many
stars a pattern has, a path costs time in proportion to its length. A regular expression would try one way after the
other, which takes hours for some patterns.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional, Union

from scanner.format.canonical_json import canonical_json
from scanner.format.errors import ExcludeError

MAX_PATTERN_LENGTH = 4096
"""Characters: as many as a path has bytes on Linux."""

_HEX_BYTE = re.compile(r"[0-9A-Fa-f]{2}")
_MOST_SITUATIONS = 4096
"""Situations that are remembered. With more of them the automaton forgets all, and finds each again when it occurs."""


class _Set(NamedTuple):
    """A set of characters, or all characters outside of it. It never holds `/`."""

    ranges: tuple[tuple[str, str], ...]
    is_negated: bool

    def __contains__(self, character: object) -> bool:
        if character == "/" or not isinstance(character, str):
            return False
        return any(low <= character <= high for low, high in self.ranges) is not self.is_negated


class _Token(NamedTuple):
    kind: str
    literal: str = ""
    """The text that the token matches, when it matches only itself."""
    members: Optional[_Set] = None
    """The characters that the token matches, when it is a set."""


class _TokenEnd(NamedTuple):
    token: _Token
    end: int
    """Offset of what follows the token in the pattern."""


class _CharacterEnd(NamedTuple):
    character: str
    end: int
    """Offset of what follows the character in the pattern."""


_STAR = _Token("*")
_DOUBLE_STAR = _Token("**")
_NO_SLASH = _Set((("/", "/"),), is_negated=True)
_QUESTION_MARK = _Token("set", members=_NO_SLASH)

_Part = list[_Token]
"""The tokens between two slashes."""


class _Situation(dict[str, "_Situation"]):
    """A set of states in which the automaton can be after some characters, and where each next character leads.

    A dictionary that computes what it lacks, because it is asked for each character of each path.
    """

    def __init__(self, automaton: _Automaton, states: frozenset[int]) -> None:
        super().__init__()
        self.states = states
        self.verdict = automaton.final in states
        self._automaton = automaton

    def __missing__(self, character: str) -> _Situation:
        following = self._automaton.compute(self, character)
        self[character] = following
        return following


class _Automaton:
    """States 0, 1, 2 … of all patterns. Each has transitions by a character, and moves that need none."""

    def __init__(self) -> None:
        self._transitions: list[list[tuple[_Acceptor, int]]] = []
        self._moves: list[list[int]] = []
        self.start = self.add_state()
        self.final = self.add_state()
        self._situations: dict[frozenset[int], _Situation] = {}
        self.steps = 0
        """Transitions that were computed. All others were remembered."""

    def add_state(self) -> int:
        """Return a new state."""
        self._transitions.append([])
        self._moves.append([])
        return len(self._moves) - 1

    def connect(self, source: int, acceptor: _Acceptor, target: int) -> None:
        """Let a character lead from one state to another."""
        self._transitions[source].append((acceptor, target))

    def move(self, source: int, target: int) -> None:
        """Let one state be another one as well."""
        self._moves[source].append(target)

    def begin(self) -> _Situation:
        """Return the situation before the first character."""
        return self._situation({self.start})

    def compute(self, situation: _Situation, character: str) -> _Situation:
        """Return the situation to which a character leads."""
        targets: set[int] = set()
        for state in situation.states:
            self.steps += 1
            for acceptor, target in self._transitions[state]:
                if character in acceptor:
                    targets.add(target)
        return self._situation(targets)

    def _situation(self, states: set[int]) -> _Situation:
        """Return the one situation with these states, and those that they are as well."""
        waiting = list(states)
        while waiting:
            for target in self._moves[waiting.pop()]:
                if target not in states:
                    states.add(target)
                    waiting.append(target)

        key = frozenset(states)
        situation = self._situations.get(key)
        if situation is None:
            if len(self._situations) >= _MOST_SITUATIONS:
                # Those in use stay alive, but lead to new ones from now on.
                for forgotten in self._situations.values():
                    forgotten.clear()
                self._situations = {}
            situation = _Situation(self, key)
            self._situations[key] = situation
        return situation


class _AnyCharacter:
    """Every character."""

    def __contains__(self, character: object) -> bool:
        return True


_ANY_CHARACTER = _AnyCharacter()
_Acceptor = Union[str, _Set, _AnyCharacter]
"""What is asked whether it holds a character."""


class Excludes:
    """A set of patterns, compiled once."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raise ExcludeError for a pattern that cannot be read."""
        self.patterns: tuple[str, ...] = tuple(patterns)
        self.tells_directories = False
        """Whether a pattern excludes a directory and not a file of the same name."""
        self._automaton = _Automaton()
        for pattern in self.patterns:
            self._add(pattern)
        # The paths of one directory come one after the other, and all begin alike.
        self._parent = ""
        self._parent_situation = self._automaton.begin()

    def matches(self, path: bytes, is_dir: bool) -> bool:
        """Return whether `path`, relative to the root, is excluded, either itself or with a directory above it."""
        if not self.patterns:
            return False

        # Bytes that are not UTF-8 become lone surrogates, one for each.
        text = path.decode("utf-8", "surrogateescape")
        name_start = text.rfind("/") + 1
        parent = text[:name_start]
        if parent != self._parent:
            situation = self._automaton.begin()
            for character in parent:
                situation = situation[character]
            self._parent = parent
            self._parent_situation = situation

        situation = self._parent_situation
        for character in text[name_start:]:
            situation = situation[character]
        if is_dir:
            situation = situation["/"]
        return situation.verdict

    def _add(self, pattern: str) -> None:
        """Add the states of a pattern for the text of a path, to which a directory adds a final `/`."""
        if len(pattern) > MAX_PATTERN_LENGTH:
            raise ExcludeError(pattern[:40] + "…", f"longer than {MAX_PATTERN_LENGTH} characters")

        # A trailing slash leaves an empty last part, a leading one an empty first part.
        parts = _split_into_parts(pattern)
        only_directories = len(parts) > 1 and not parts[-1]
        if only_directories:
            parts.pop()
            self.tells_directories = True
        anchored = len(parts) > 1
        if anchored and not parts[0]:
            parts.pop(0)
        _refuse_impossible_parts(pattern, parts)

        automaton = self._automaton
        state = automaton.add_state()
        automaton.move(automaton.start, state)
        if not anchored:
            state = self._add_any_directories(state)
        *directories, last = parts
        for part in directories:
            if part == [_DOUBLE_STAR]:
                state = self._add_any_directories(state)
            else:
                state = self._add_character(self._add_part(state, part), "/")
        if last == [_DOUBLE_STAR]:
            # At least one character: `a/**` is what is below `a`, and not `a`.
            state = self._add_character(state, _ANY_CHARACTER)
        state = self._add_part(state, last)

        # What is below a matched directory is matched as well.
        below = self._add_character(state, "/")
        automaton.connect(below, _ANY_CHARACTER, below)
        automaton.move(below, automaton.final)
        if not only_directories:
            automaton.move(state, automaton.final)

    def _add_part(self, state: int, part: _Part) -> int:
        """Add the states of a part. Return the one at its end."""
        for token in part:
            if token == _STAR:
                state = self._add_loop(state, _NO_SLASH)
            elif token == _DOUBLE_STAR:
                state = self._add_loop(state, _ANY_CHARACTER)
            elif token.members is not None:
                state = self._add_character(state, token.members)
            else:
                for character in token.literal:
                    state = self._add_character(state, character)
        return state

    def _add_character(self, state: int, acceptor: _Acceptor) -> int:
        target = self._automaton.add_state()
        self._automaton.connect(state, acceptor, target)
        return target

    def _add_loop(self, state: int, acceptor: _Acceptor) -> int:
        """Add a state for any number of characters, also none."""
        loop = self._automaton.add_state()
        self._automaton.move(state, loop)
        self._automaton.connect(loop, acceptor, loop)
        return loop

    def _add_any_directories(self, state: int) -> int:
        """Add states for any number of directories, also none."""
        start = self._automaton.add_state()
        self._automaton.move(state, start)
        name = self._add_character(start, _NO_SLASH)
        self._automaton.connect(name, _NO_SLASH, name)
        self._automaton.connect(name, "/", start)
        return start


def parse_excludes(text: str) -> Excludes:
    """Return the excludes of a text with one pattern a line. Empty lines and lines that begin with `#` are skipped.

    White space around a pattern is dropped; a backslash keeps it.
    """
    patterns = (_strip_line(line) for line in text.splitlines())
    return Excludes(pattern for pattern in patterns if pattern and not pattern.startswith("#"))


def scope_digest(patterns: Iterable[str], cross_mounts: bool) -> str:
    """Return the SHA3-512, in hex, of what changes which paths are read, and of nothing else.

    The statement carries it as `config`: runs with different digests do not cover the same paths.
    """
    scope = {"excludes": list(patterns), "cross_mounts": cross_mounts}
    return hashlib.sha3_512(canonical_json(scope).encode("utf-8", "surrogatepass")).hexdigest()


def _strip_line(line: str) -> str:
    line = line.lstrip()
    stripped = line.rstrip()
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    # An odd number of backslashes: the last one escapes the white space behind it.
    if backslashes % 2:
        return line[: len(stripped) + 1]
    return stripped


def _refuse_impossible_parts(pattern: str, parts: list[_Part]) -> None:
    for part in parts:
        text = "".join(token.literal or "*" for token in part)
        if text in ("", ".", ".."):
            raise ExcludeError(pattern, f"no path has a part {text!r}")
        if "\0" in text:
            raise ExcludeError(pattern, "no path has a NUL")


def _split_into_parts(pattern: str) -> list[_Part]:
    parts: list[_Part] = [[]]
    for token in _join_literals(_read_tokens(pattern)):
        if token.literal == "/":
            parts.append([])
        elif token in (_DOUBLE_STAR, _STAR) and parts[-1][-1:] == [token]:
            # A run of stars matches what one star matches.
            continue
        else:
            parts[-1].append(token)
    return parts


def _join_literals(tokens: Iterable[_Token]) -> Iterator[_Token]:
    """Yield the tokens with neighbouring literals joined.

    Bytes that were named one by one become the character that they spell, as they do in the decoded path.
    """
    literal = ""
    for token in tokens:
        if token.literal and token.literal != "/":
            literal += token.literal
            continue
        if literal:
            yield _literal_token(literal)
            literal = ""
        yield token
    if literal:
        yield _literal_token(literal)


def _literal_token(literal: str) -> _Token:
    text = literal.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return _Token("literal", text)


def _read_tokens(pattern: str) -> Iterator[_Token]:
    offset = 0
    while offset < len(pattern):
        token, offset = _read_token(pattern, offset)
        yield token


def _read_token(pattern: str, offset: int) -> _TokenEnd:
    if pattern.startswith("**", offset):
        return _TokenEnd(_DOUBLE_STAR, offset + 2)
    if pattern[offset] == "*":
        return _TokenEnd(_STAR, offset + 1)
    if pattern[offset] == "?":
        return _TokenEnd(_QUESTION_MARK, offset + 1)
    if pattern[offset] == "[":
        return _read_set(pattern, offset + 1)

    character, end = _read_character(pattern, offset)
    return _TokenEnd(_Token("literal", character), end)


def _read_character(pattern: str, offset: int) -> _CharacterEnd:
    """Read one character, which may be escaped."""
    character = pattern[offset]
    if "\ud800" <= character <= "\udfff":
        raise ExcludeError(pattern, "a lone surrogate is not a character")
    if character != "\\":
        return _CharacterEnd(character, offset + 1)
    if offset + 1 == len(pattern):
        raise ExcludeError(pattern, "ends in a backslash that escapes nothing")
    if pattern[offset + 1] != "x":
        return _CharacterEnd(pattern[offset + 1], offset + 2)

    digits = _HEX_BYTE.match(pattern, offset + 2)
    if not digits:
        raise ExcludeError(pattern, "\\x needs two hexadecimal digits")
    byte = bytes([int(digits[0], 16)])
    return _CharacterEnd(byte.decode("utf-8", "surrogateescape"), offset + 4)


def _read_set(pattern: str, offset: int) -> _TokenEnd:
    """Read a set, whose first character is at `offset`."""
    is_negated = pattern.startswith("!", offset)
    if is_negated:
        offset += 1

    start = offset
    ranges: list[tuple[str, str]] = []
    # A ] that comes first is a member and does not end the set.
    while offset == start or not pattern.startswith("]", offset):
        if offset >= len(pattern):
            raise ExcludeError(pattern, "a [ without its ]")
        low, offset = _read_character(pattern, offset)
        high = low
        if pattern.startswith("-", offset) and offset + 1 < len(pattern) and pattern[offset + 1] != "]":
            high, offset = _read_character(pattern, offset + 1)
        if low > high:
            raise ExcludeError(pattern, f"the range {low}-{high} is empty")
        if "/" in (low, high):
            raise ExcludeError(pattern, "a set never matches /")
        ranges.append((low, high))
    return _TokenEnd(_Token("set", members=_Set(tuple(ranges), is_negated)), offset + 1)
