"""Reads YAML without its traps: keys given twice, anchors, aliases, merge keys and tags are faults.

PyYAML would take the second of two equal keys without a word. The engine reads recipes as
strictly; it also keeps where each value stands, which styles do not need.
"""

from __future__ import annotations

from typing import Any

import yaml


class _PlainLoader(yaml.SafeLoader):
    """Composes as SafeLoader does and notes what is not plain; nothing may be built then."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.faults: list[tuple[int, int, str]] = []

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            self._note(event.start_mark, "an alias ('*') is not allowed; write the value out")
        elif event.anchor is not None:
            self._note(event.start_mark, f"an anchor ('&{event.anchor}') is not allowed; remove it")
        if getattr(event, "tag", None) is not None:
            self._note(event.start_mark, f"a tag ('{event.tag}') is not allowed; remove it")
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        first_lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._note(key.start_mark, "a key must be a word, not a list or a mapping")
            elif key.value == "<<":
                self._note(key.start_mark, "a merge key ('<<') is not allowed; write the keys out")
            elif key.value in first_lines:
                first = first_lines[key.value]
                self._note(key.start_mark, f"'{key.value}' is already given on line {first}")
            else:
                first_lines[key.value] = key.start_mark.line + 1
        return node

    def _note(self, mark: Any, message: str) -> None:
        self.faults.append((mark.line + 1, mark.column + 1, message))


def read_plain_yaml(text: str) -> tuple[Any, list[str]]:
    """Read one YAML document.

    Returns:
        The content as plain values, and the faults as "line:column: what is wrong"; with faults
        there is no content.
    """
    try:
        loader = _PlainLoader(text)
        node = loader.get_single_node()
        faults = [f"{line}:{column}: {fault}" for line, column, fault in sorted(loader.faults)]
        if faults or node is None:
            return None, faults
        return loader.construct_document(node), []
    except yaml.reader.ReaderError as error:
        before = text[: error.position].split("\n")
        character = f"character U+{error.character:04X} is not allowed"
        return None, [f"{len(before)}:{len(before[-1]) + 1}: not YAML: {character}"]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"{mark.line + 1}:{mark.column + 1}:" if mark else ""
        return None, [f"{at} not YAML: {error.problem}"]
