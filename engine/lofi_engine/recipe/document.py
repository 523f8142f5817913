"""A recipe file as read: its text, its nodes, and where each value stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

from lofi_engine.errors import RecipeError
from lofi_engine.recipe.nodes import (
    START,
    Entry,
    MappingNode,
    Mark,
    Node,
    ScalarNode,
    SequenceNode,
    parse,
)
from lofi_engine.recipe.problems import Path, Problem, closest, dotted, listed, quoted
from lofi_engine.recipe.shipped import shipped_recipes, shown

MAX_BYTES = 1 << 20
"""Largest recipe file read."""

# YAML 1.2 does not see these as line breaks; PyYAML does, editors differ.
_ODD_BREAK = re.compile("[\x85\u2028\u2029]|\r(?!\n)")
_ODD_NAMES = {"\x85": "U+0085", "\u2028": "U+2028", "\u2029": "U+2029", "\r": "a bare return"}


@dataclass(frozen=True)
class Document:
    """One recipe's text, parsed.

    Args:
        file: the name problems are reported under, as the user typed it.
        text: what the user wrote.
        root: the top mapping.
        problems: what is wrong with the structure (aliases, tags, keys given twice).
        broken: paths of values that are already reported.
        overrides: what stands in place of the file, as typed (`training.steps=200`).
    """

    file: str
    text: str
    root: MappingNode
    problems: tuple[Problem, ...]
    broken: frozenset[Path]
    overrides: tuple[str, ...] = ()

    def value(self) -> dict[str, object]:
        """Return the whole recipe as plain values."""
        return {entry.name: _plain(entry.value) for entry in self.root.entries}

    def node(self, path: Path) -> Node | None:
        """Return the value at that path, or None where there is none."""
        node: Node | None = self.root
        for part in path:
            if isinstance(node, MappingNode) and isinstance(part, str):
                entry = node.entry(part)
                node = entry.value if entry else None
            elif isinstance(node, SequenceNode) and isinstance(part, int):
                node = node.items[part] if part < len(node.items) else None
            else:
                return None
        return node

    def entry(self, path: Path) -> Entry | None:
        """Return the key and value at that path, where its last part is a key."""
        parent = self.node(path[:-1]) if path else None
        last = path[-1] if path else None
        return (
            parent.entry(last)
            if isinstance(parent, MappingNode) and isinstance(last, str)
            else None
        )

    def mark(self, path: Path) -> Mark:
        """Return where the value at that path begins; the nearest key above if it is not there."""
        if (node := self.node(path)) is not None:
            return node.start
        return self.key_mark(path[:-1]) if path else START

    def key_mark(self, path: Path) -> Mark:
        """Return where the key at that path begins; for a list item, where the item begins."""
        entry = self.entry(path)
        return entry.key.start if entry else self.mark(path)

    def shown(self, path: Path) -> str:
        """Show a value as the user typed it: numbers literally, text in quotes, else its kind."""
        node = self.node(path)
        if isinstance(node, ScalarNode):
            return quoted(node.value) if isinstance(node.value, str) else node.raw or "nothing"
        return "a mapping" if isinstance(node, MappingNode) else "a list"

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """Make a problem of the value (or the key) at that path."""
        mark = self.key_mark(path) if at_key else self.mark(path)
        return Problem(mark.line, mark.column, dotted(path), message)

    def error(self, problems: Iterable[Problem]) -> RecipeError:
        """Make the error that reports these problems, in the order of the file."""
        return report(self.file, problems, self.overrides)


def report(file: str, problems: Iterable[Problem], overrides: Sequence[str] = ()) -> RecipeError:
    """Make the error that reports these problems of `file`, sorted, each once."""
    return RecipeError([problem.render(file, overrides) for problem in sorted(set(problems))])


def parse_document(text: str, file: str) -> Document:
    """Parse a recipe's text, named `file` in messages.

    Raises:
        RecipeError: it is no YAML mapping at all. Lesser problems are kept in the document.
    """
    if odd := _ODD_BREAK.search(text):
        before = text[: odd.start()]
        line, column = before.count("\n") + 1, odd.start() - (before.rfind("\n") + 1) + 1
        name = _ODD_NAMES[odd.group()]
        message = f"{name} ends a line for some programs and not for others; remove it"
        raise report(file, [Problem(line, column, "", message)])
    parsed = parse(text)
    if isinstance(parsed.root, MappingNode):
        return Document(file, text, parsed.root, parsed.problems, parsed.broken)
    if parsed.problems:
        raise report(file, parsed.problems)
    if parsed.root is None or (isinstance(parsed.root, ScalarNode) and parsed.root.value is None):
        message = "the recipe is empty; `lofi-recipe init` writes one to start from"
        raise report(file, [Problem(1, 1, "", message)])
    kind = "a list" if isinstance(parsed.root, SequenceNode) else "a single value"
    start = parsed.root.start
    message = f"a recipe is a mapping of keys (`version: 1` first); this is {kind}"
    raise report(file, [Problem(start.line, start.column, "", message)])


def read_text(path: FilePath) -> str:
    """Read a recipe file.

    Raises:
        RecipeError: there is no such file, it is a folder, cannot be opened, is larger than
            `MAX_BYTES`, or is not UTF-8; one line.
    """
    file = str(path)
    try:
        if path.is_fifo():
            raise RecipeError([f"{file}: is a pipe; save the recipe as a file"])
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise RecipeError([f"{file}: no such file{_suggest(path)}"]) from None
    except IsADirectoryError:
        raise RecipeError([f"{file}: is a folder; name a recipe file in it"]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RecipeError([f"{file}: cannot be read: {reason}"]) from None
    if len(content) > MAX_BYTES:
        raise RecipeError([f"{file}: is larger than the {MAX_BYTES} bytes a recipe may have"])
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        good = content[: error.start].decode("utf-8")
        line, column = good.count("\n") + 1, len(good) - (good.rfind("\n") + 1) + 1
        byte = content[error.start]
        message = f"byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
        raise report(file, [Problem(line, column, "", message)]) from None


def _suggest(path: FilePath) -> str:
    shipped = shipped_recipes()
    siblings = sorted(path.parent.glob("*.yaml")) if path.parent.is_dir() else []
    names = {recipe.stem: shown(recipe) for recipe in [*shipped, *siblings]}
    if near := closest(path.stem, names):
        return f"; did you mean '{names[near]}'?"
    return f"; shipped recipes: {listed(shown(recipe) for recipe in shipped)} (`lofi-recipe ls`)"


def _plain(node: Node) -> object:
    if isinstance(node, MappingNode):
        return {entry.name: _plain(entry.value) for entry in node.entries}
    if isinstance(node, SequenceNode):
        return [_plain(item) for item in node.items]
    return node.value
