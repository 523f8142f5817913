"""Whatever a file holds, a recipe loads or is refused in lines; it never crashes the program."""

import json
import re
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lofi_engine.errors import RecipeError
from lofi_engine.recipe.load import load_recipe, load_text
from lofi_engine.recipe.migrate import migrate_text
from lofi_engine.recipe.schema import all_keys
from tests.support.recipe_texts import GOOD

OLD = (Path(__file__).parent / "fixtures" / "v0.yaml").read_text(encoding="utf-8")
LINE = re.compile(r"r\.yaml(:\d+:\d+)?: \S")
SLOW = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
KEYS = sorted({key for key, _ in all_keys()})
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(KEYS),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
SIGNS = st.sampled_from(list("\t\n\r :-?,[]{}#&*!|>'\"%@`~<=.0aé\x00\x85\u2028\ufeff\U0001f3b5"))


def problems_of(call, *arguments):
    """The lines a call is refused with; none when it succeeds. Anything else it raises is a bug."""
    try:
        call(*arguments)
    except RecipeError as error:
        return error.problems or ("refused without a reason",)
    return ()


def check(text):
    lines = problems_of(load_text, text, Path("r.yaml")) + problems_of(migrate_text, text, "r.yaml")
    for line in lines:
        assert LINE.match(line), line
        assert line.isprintable(), ascii(line)


@SLOW
@given(st.text(max_size=200) | st.lists(SIGNS, max_size=60).map("".join))
def test_any_text_is_a_recipe_or_refused(text):
    check(text)
    check("version: 1\n" + text)


@SLOW
@given(st.binary(max_size=100))
def test_any_bytes_are_a_recipe_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_bytes(content)
    assert all(line.startswith(f"{path}:") for line in problems_of(load_recipe, path))


@SLOW
@given(st.data())
def test_a_recipe_with_a_piece_cut_or_put_in_is_a_recipe_or_refused(data):
    text = data.draw(st.sampled_from([GOOD, OLD]))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    piece = "".join(data.draw(st.lists(SIGNS, max_size=6)))
    check(text[:start] + piece + text[end:])


@SLOW
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5), st.integers(0, 5))
def test_a_recipe_with_any_values_is_a_recipe_or_refused(values, depth):
    content = yaml.safe_load(GOOD)
    place = content
    for _ in range(depth):
        inner = [value for value in place.values() if isinstance(value, dict)]
        place = inner[depth % len(inner)] if inner else place
    place.update(values)
    check(json.dumps(content))
    check(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
