import pytest

from lofi_engine.recipe.nodes import MAX_DEPTH, MappingNode, ScalarNode, parse


def said(text):
    return [(p.line, p.column, p.path, p.message) for p in parse(text).problems]


def test_keys_and_values_know_their_line_column_and_offset():
    text = "a:\n  b: [1, two]\n  # why\n  'c': {d: 1e-4}\n"
    root = parse(text).root
    inner = root.entry("a").value
    two = inner.entry("b").value.items[1]
    d = inner.entry("c").value.entry("d")
    assert (two.start.line, two.start.column, two.raw, two.value) == (2, 10, "two", "two")
    assert (d.key.start.line, d.key.start.column) == (4, 9)
    assert text[d.value.start.offset : d.value.end.offset] == "1e-4"
    assert inner.entry("c").key.raw == "'c'"
    assert d.value.value == 1e-4


def test_quotes_make_text_of_anything():
    root = parse("a: '1'\nb: \"true\"\nc: |\n  3\n").root
    assert [entry.value.value for entry in root.entries] == ["1", "true", "3\n"]


@pytest.mark.parametrize(
    ("text", "line", "column", "path", "message"),
    [
        ("a: &x 1\n", 1, 4, "a", "an anchor ('&x') is not allowed; remove it"),
        ("a: !!int 1\n", 1, 4, "a", "a tag ('tag:yaml.org,2002:int') is not allowed; remove it"),
        ("a: ! 1\n", 1, 4, "a", "a tag ('!') is not allowed; remove it"),
        ("a: !py [1]\n", 1, 4, "a", "a tag ('!py') is not allowed; remove it"),
        ("a: 1\nb:\n  c: 2\n  c: 3\n", 4, 3, "b.c", "is already given on line 3; keep one"),
        ("a: {<<: {b: 1}}\n", 1, 5, "a", "a merge key ('<<') is not allowed; write the keys out"),
        ("1: x\n", 1, 1, "", "1 is not text; a key must be a word (or in quotes)"),
        ("null: x\n", 1, 1, "", "null is not text; a key must be a word (or in quotes)"),
        ("a: {[b]: 1}\n", 1, 5, "a", "a key must be a word, not a list or a mapping"),
        ("a: .inf\n", 1, 4, "a", ".inf is not a number a recipe can use; give a finite one"),
        ("%YAML 1.2\n---\na: 1\n", 1, 1, "", "a recipe has no % directives; remove them"),
        ("a: 1\n---\nb: 2\n", 2, 1, "", "a recipe is one document; remove this and what follows"),
    ],
)  # fmt: skip
def test_what_a_recipe_may_not_have_is_named_and_placed(text, line, column, path, message):
    assert said(text) == [(line, column, path, message)]


def test_an_alias_is_refused_and_not_followed():
    parsed = parse("a: &x [1]\nb: *x\n")
    assert [p.message for p in parsed.problems] == [
        "an anchor ('&x') is not allowed; remove it",
        "an alias ('*') is not allowed; write the value out",
    ]
    assert ("b",) in parsed.broken


def test_a_billion_laughs_costs_nothing():
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    assert len(parse("\n".join(lines)).problems) == 30 + 29 * 9


def test_every_structural_problem_is_found_at_once():
    assert len(said("a: !x 1\na: 2\n3: &y 4\nb: .nan\n")) == 5


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 10_000, "- " * 3_000, "? " * 3_000])
def test_deep_nesting_ends_with_a_sentence(text):
    (problem,) = parse(text).problems
    assert problem.message == f"is nested more than {MAX_DEPTH} deep"


def test_too_many_values_end_with_a_sentence():
    (problem,) = parse("a: [" + "1," * 21_000 + "]").problems
    assert problem.message == "a recipe holds at most 20000 values"
    assert problem.path == "a[19997]"


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("a: 1\n\tb: 2\n", 2, 1, "a tab cannot indent; use spaces"),
        ("a: b: c\n", 1, 5, "a ':' where no key can be"),
        ("a:\n  b: 1\n c: 2\n", 3, 2, "the indentation does not fit"),
        ('a: "x\n', 2, 1, "a quote is never closed"),
        ("a: [1, 2\nb: 3\n", 2, 2, "a list in brackets lacks its ',' or ']'"),
        ("a: {b: 1\nc: 3\n", 2, 2, "a mapping in braces lacks its ',' or '}'"),
        ("a: 1\nb: @x\n", 2, 4, "not valid YAML: "),
        ("a: 1\nb: x\x07\n", 2, 5, "character U+0007 is not allowed in YAML"),
        ('a: "\\UFFFFFFFF"\n', 1, 7, "an escape or number beyond what YAML allows"),
    ],
)  # fmt: skip
def test_text_that_is_no_yaml_is_placed_and_explained(text, line, column, part):
    (problem,) = parse(text).problems
    assert (problem.line, problem.column) == (line, column)
    assert part in problem.message


def test_half_a_surrogate_pair_is_refused():
    (problem,) = parse('a: "\\ud800"\n').problems
    assert problem.message == "holds half of a surrogate pair, which is not a character"


def test_an_empty_text_has_no_root_and_no_problem():
    assert parse("").root is None
    assert parse("# only words\n").root is None
    assert isinstance(parse("---\n").root, ScalarNode)
    assert isinstance(parse("{}").root, MappingNode)
