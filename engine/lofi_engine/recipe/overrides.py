"""Values given on the command line in place of a recipe's own: `training.steps=200`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lofi_engine.recipe.document import Document
from lofi_engine.recipe.nodes import Entry, MappingNode, Mark, Node, ScalarNode, SequenceNode, parse
from lofi_engine.recipe.problems import Path, Problem, dotted


def with_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """Return the document with each `key.path=value` put in; later ones win.

    Values are YAML, so `lora.targets=[to_q, to_v]` gives a list. Parts of a path that are numbers
    name list items. Problems of such a value name the override in place of the file.

    Raises:
        RecipeError: one has no `=`, its value is no YAML, or its path leads through a value.
    """
    problems: list[Problem] = []
    root = document.root
    for number, override in enumerate(overrides):
        mark = Mark(0, number, 0)
        keys, equals, text = override.partition("=")
        path: Path = tuple(int(k) if k.isascii() and k.isdigit() else k for k in keys.split("."))
        if not equals or "" in path:
            message = "is not an override; write key.path=value, such as training.steps=200"
            problems.append(Problem(mark.line, mark.column, "", message))
            continue
        parsed = parse(text)
        problems += [replace(found, line=0, column=number, path=keys) for found in parsed.problems]
        value = parsed.root or ScalarNode(None, "", True, mark, mark)
        try:
            changed = _put(root, path, _placed(value, mark), mark)
        except LookupError:
            message = "leads nowhere in this recipe"
            problems.append(Problem(mark.line, mark.column, dotted(path), message))
            continue
        if isinstance(changed, MappingNode):
            root = changed
    document = replace(document, root=root, overrides=tuple(overrides))
    if problems:
        raise document.error(problems)
    return document


def _put(node: Node, path: Path, value: Node, mark: Mark) -> Node:
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(node, SequenceNode) and isinstance(first, int):
        items = list(node.items)
        items[first] = _put(items[first], rest, value, mark)
        return replace(node, items=tuple(items))
    if not isinstance(node, MappingNode) or not isinstance(first, str):
        raise LookupError(first)
    old = node.entry(first)
    below = old.value if old else MappingNode((), True, mark)
    key = ScalarNode(first, first, True, mark, mark) if old is None or not rest else old.key
    entry = Entry(first, key, _put(below, rest, value, mark))
    others = [entry if other is old else other for other in node.entries]
    return replace(node, entries=tuple(others if old else [*others, entry]))


def _placed(node: Node, mark: Mark) -> Node:
    """Return the node with every mark set to that of its override."""
    if isinstance(node, ScalarNode):
        return replace(node, start=mark, end=mark)
    if isinstance(node, SequenceNode):
        return SequenceNode(tuple(_placed(item, mark) for item in node.items), mark)
    entries = (
        Entry(entry.name, replace(entry.key, start=mark, end=mark), _placed(entry.value, mark))
        for entry in node.entries
    )
    return MappingNode(tuple(entries), node.flow, mark)
