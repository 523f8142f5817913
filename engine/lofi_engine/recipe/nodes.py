"""YAML text to nodes that know where they stand.

Built on PyYAML's events, not on its composer: events show anchors, aliases and tags before they are
resolved, so a recipe cannot use them to grow or to recurse, and nesting is bounded here. Everything
wrong in the structure is collected; only text that is no YAML at all ends the reading early.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml
from yaml import events as ev

from lofi_engine.recipe.problems import Path, Problem, dotted, quoted
from lofi_engine.recipe.scalars import Scalar, resolve_plain

_Event = Any  # PyYAML's events have attributes that its type stubs do not know

MAX_DEPTH = 16
"""Nesting a recipe may have; the format itself needs six."""
MAX_NODES = 20_000
"""Values a recipe may hold."""


@dataclass(frozen=True)
class Mark:
    """A place in the text: line and column from 1, offset in characters from 0."""

    line: int
    column: int
    offset: int


START = Mark(1, 1, 0)


@dataclass(frozen=True)
class ScalarNode:
    """One value; `raw` is the text as typed, quotes and all."""

    value: Scalar
    raw: str
    plain: bool
    start: Mark
    end: Mark


@dataclass(frozen=True)
class SequenceNode:
    """A list."""

    items: tuple[Node, ...]
    start: Mark


@dataclass(frozen=True)
class MappingNode:
    """A mapping, in the order of the file; `flow` is the form with braces."""

    entries: tuple[Entry, ...]
    flow: bool
    start: Mark

    def entry(self, key: str) -> Entry | None:
        """Return the entry of that key, if there is one."""
        return next((entry for entry in self.entries if entry.name == key), None)


@dataclass(frozen=True)
class Entry:
    """One key with its value."""

    name: str
    key: ScalarNode
    value: Node


Node = ScalarNode | SequenceNode | MappingNode


@dataclass(frozen=True)
class Parsed:
    """What the text holds: the top node (None if there is none), and what is wrong.

    `broken` holds the paths of values that are reported already, so that no more is said of them.
    """

    root: Node | None
    problems: tuple[Problem, ...]
    broken: frozenset[Path]


class _Unreadable(Exception):  # noqa: N818 - never leaves this file
    """The text cannot be read on; what was wrong is already noted."""


def parse(text: str) -> Parsed:
    """Read YAML text into nodes; never raises for what the text holds."""
    reader = _Reader(text)
    try:
        root = reader.document()
    except _Unreadable:
        root = None
    return Parsed(root, tuple(reader.problems), frozenset(reader.broken))


class _Reader:
    def __init__(self, text: str) -> None:
        self.problems: list[Problem] = []
        self.broken: set[Path] = set()
        self._text = text
        self._nodes = 0
        self._events = self._guarded()

    def document(self) -> Node | None:
        """Read the one document there may be."""
        self._next()
        event = self._next()
        if isinstance(event, ev.StreamEndEvent):
            return None
        if event.version or event.tags:
            self._note(event, (), "a recipe has no % directives; remove them")
        root = self._node(self._next(), (), 0)
        self._next()
        event = self._next()
        if not isinstance(event, ev.StreamEndEvent):
            self._note(event, (), "a recipe is one document; remove this and what follows")
        return root

    def _guarded(self) -> Iterator[_Event]:
        """Yield events, turning each way PyYAML gives up into a problem."""
        loader = None
        try:
            loader = yaml.SafeLoader(self._text)
            while loader.check_event():
                yield loader.get_event()  # type: ignore[no-untyped-call]
        except yaml.reader.ReaderError as error:
            before = self._text[: error.position]
            line, column = before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1
            self._fail(line, column, f"character U+{error.character:04X} is not allowed in YAML")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self._fail(line, column, f"not valid YAML: {_in_plain_words(error)}")
        except (ValueError, OverflowError):
            # An escape such as "\UFFFFFFFF", or a %YAML directive with thousands of digits.
            mark = loader.get_mark() if loader else None
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self._fail(line, column, "not valid YAML: an escape or number beyond what YAML allows")

    def _next(self) -> _Event:
        return next(self._events)

    def _node(self, event: _Event, path: Path, depth: int) -> Node:
        self._nodes += 1
        if depth > MAX_DEPTH:
            self._fail_at(event, path, f"is nested more than {MAX_DEPTH} deep")
        if self._nodes > MAX_NODES:
            self._fail_at(event, path, f"a recipe holds at most {MAX_NODES} values")
        self._refuse_extras(event, path)
        if isinstance(event, ev.MappingStartEvent):
            return self._mapping(event, path, depth)
        if isinstance(event, ev.SequenceStartEvent):
            return self._sequence(event, path, depth)
        if isinstance(event, ev.ScalarEvent):
            return self._scalar(event, path)
        self._spoil(event, path, "an alias ('*') is not allowed; write the value out")
        return ScalarNode(None, "", True, _mark(event.start_mark), _mark(event.end_mark))

    def _refuse_extras(self, event: _Event, path: Path) -> None:
        if isinstance(event, ev.AliasEvent):
            return
        if event.anchor is not None:
            self._note(event, path, f"an anchor ('&{event.anchor}') is not allowed; remove it")
        if event.tag is not None:
            self._spoil(event, path, f"a tag ({quoted(event.tag)}) is not allowed; remove it")

    def _scalar(self, event: _Event, path: Path) -> ScalarNode:
        plain = event.style is None
        value: Scalar = event.value
        if plain:
            try:
                value = resolve_plain(event.value)
            except ValueError as error:
                self._spoil(event, path, str(error))
        elif any("\ud800" <= character <= "\udfff" for character in event.value):
            self._spoil(event, path, "holds half of a surrogate pair, which is not a character")
        start, end = _mark(event.start_mark), _mark(event.end_mark)
        return ScalarNode(value, self._text[start.offset : end.offset], plain, start, end)

    def _sequence(self, start: _Event, path: Path, depth: int) -> SequenceNode:
        items: list[Node] = []
        while not isinstance(event := self._next(), ev.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items)), depth + 1))
        return SequenceNode(tuple(items), _mark(start.start_mark))

    def _mapping(self, start: _Event, path: Path, depth: int) -> MappingNode:
        entries: dict[str, Entry] = {}
        while not isinstance(event := self._next(), ev.MappingEndEvent):
            key = self._key(event, path, depth)
            name = key.value if key and isinstance(key.value, str) else "?"
            value = self._node(self._next(), (*path, name), depth + 1)
            if key is None:
                continue
            if name in entries:
                first = entries[name].key.start.line
                self._note(event, (*path, name), f"is already given on line {first}; keep one")
            else:
                entries[name] = Entry(name, key, value)
        return MappingNode(tuple(entries.values()), bool(start.flow_style), _mark(start.start_mark))

    def _key(self, event: _Event, path: Path, depth: int) -> ScalarNode | None:
        """Read a key; None (and a problem) for one that is not a word."""
        node = self._node(event, path, depth + 1)
        if isinstance(event, ev.AliasEvent):
            return None
        if not isinstance(node, ScalarNode):
            self._note(event, path, "a key must be a word, not a list or a mapping")
            return None
        if node.plain and node.value == "<<":
            self._note(event, path, "a merge key ('<<') is not allowed; write the keys out")
            return None
        if not isinstance(node.value, str):
            shown = node.raw or "an empty key"
            self._note(event, path, f"{shown} is not text; a key must be a word (or in quotes)")
            return None
        return node

    def _note(self, event: _Event, path: Path, message: str) -> None:
        mark = event.start_mark
        self.problems.append(Problem(mark.line + 1, mark.column + 1, dotted(path), message))

    def _spoil(self, event: _Event, path: Path, message: str) -> None:
        """Note a problem after which nothing more can be said of this value."""
        self.broken.add(path)
        self._note(event, path, message)

    def _fail_at(self, event: _Event, path: Path, message: str) -> NoReturn:
        self._note(event, path[:4], message)
        raise _Unreadable

    def _fail(self, line: int, column: int, message: str) -> NoReturn:
        self.problems.append(Problem(line, column, "", message))
        raise _Unreadable


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1, mark.index)


_PLAIN_WORDS = (
    ("found character '\\t'", "a tab cannot indent; use spaces"),
    ("mapping values are not allowed", "a ':' where no key can be; indent anew or add quotes"),
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("could not find expected ':'", "a key without its ':'"),
    ("found unexpected end of stream", "a quote is never closed"),
    ("expected ',' or ']'", "a list in brackets lacks its ',' or ']'"),
    ("expected ',' or '}'", "a mapping in braces lacks its ',' or '}'"),
)  # fmt: skip


def _in_plain_words(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "it cannot be read"
    for start, words in _PLAIN_WORDS:
        if problem.startswith(start):
            return words
    return problem.encode("unicode_escape").decode("ascii")
