from __future__ import annotations

import pytest

from lofi_runtime.styles.plain_yaml import read_plain_yaml


def test_plain_yaml_is_read_as_it_stands():
    assert read_plain_yaml("a: [1, b]\nc: {d: null}\n") == ({"a": [1, "b"], "c": {"d": None}}, [])
    assert read_plain_yaml("") == (None, [])


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("a: {b: 1, b: 2}", ["1:11: 'b' is already given on line 1"]),
        ("<<: {a: 1}", ["1:1: a merge key ('<<') is not allowed; write the keys out"]),
        ("[1]: 2", ["1:1: a key must be a word, not a list or a mapping"]),
        ("a: *b", ["1:4: not YAML: found undefined alias 'b'"]),
        ("a: [", ["1:5: not YAML: expected the node content, but found '<stream end>'"]),
        ("a: b\nc: \x01", ["2:4: not YAML: character U+0001 is not allowed"]),
        (
            "a: !!python/name:os.system x",
            ["1:4: a tag ('tag:yaml.org,2002:python/name:os.system') is not allowed; remove it"],
        ),
    ],
)
def test_what_is_not_plain_is_said_with_its_place(text, faults):
    assert read_plain_yaml(text) == (None, faults)
