import pytest

from lofi_engine.errors import RecipeError
from lofi_engine.recipe.document import MAX_BYTES, parse_document, read_text
from tests.support.ordinary_user import heeding_permissions


def refusal(call, *arguments):
    with pytest.raises(RecipeError) as raised:
        call(*arguments)
    return str(raised.value)


def test_values_and_marks_are_found_by_path():
    document = parse_document("a:\n  - b: 1\n  - c\n", "r.yaml")
    assert document.value() == {"a": [{"b": 1}, "c"]}
    assert document.mark(("a", 0, "b")).column == 8
    assert document.key_mark(("a", 0, "b")).column == 5
    assert document.mark(("a", 1)).line == 3


def test_what_is_not_there_is_placed_at_the_nearest_key_above():
    document = parse_document("a:\n  b: 1\n", "r.yaml")
    assert (document.mark(("a", "z", 3, "y")).line, document.mark(("a", "z")).column) == (1, 1)


@pytest.mark.parametrize("text", ["", "\n\n", "# words\n", "---\n", "null\n"])
def test_an_empty_recipe_points_at_init(text):
    assert refusal(parse_document, text, "r.yaml") == (
        "r.yaml:1:1: the recipe is empty; `lofi-recipe init` writes one to start from"
    )


def test_a_list_or_a_word_is_no_recipe():
    said = "a recipe is a mapping of keys (`version: 1` first); this is"
    assert refusal(parse_document, "- 1\n", "r.yaml") == f"r.yaml:1:1: {said} a list"
    assert refusal(parse_document, "\n  hello\n", "r.yaml") == f"r.yaml:2:3: {said} a single value"


@pytest.mark.parametrize(
    ("sign", "name"), [("\x85", "U+0085"), ("\u2028", "U+2028"), ("\r", "a bare return")]
)
def test_a_line_break_only_some_programs_see_is_refused(sign, name):
    message = refusal(parse_document, f"a: 1\n# x{sign}b: 2\n", "r.yaml")
    assert message.startswith(f"r.yaml:2:4: {name} ends a line for some programs")


def test_windows_line_ends_and_a_byte_order_mark_are_read():
    document = parse_document("\ufeffa: 1\r\nb:\r\n  c: 2\r\n", "r.yaml")
    assert document.value() == {"a": 1, "b": {"c": 2}}
    assert (document.mark(("b", "c")).line, document.mark(("b", "c")).column) == (3, 6)


def test_the_file_is_named_as_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_bytes(b"\xff")
    path = type(tmp_path)("sub/../r.yaml")
    (tmp_path / "sub").mkdir()
    assert refusal(read_text, path).startswith("sub/../r.yaml:1:1: ")


def test_bytes_that_are_not_utf_8_are_placed(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_bytes("a: 1\nb: ü".encode() + b"\xe4\n")
    assert refusal(read_text, path) == f"{path}:2:5: byte 0xe4 is not UTF-8; save the file as UTF-8"


def test_a_file_over_a_mebibyte_is_refused_and_one_of_a_mebibyte_read(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_bytes(b"#" * MAX_BYTES)
    assert len(read_text(path)) == MAX_BYTES
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert refusal(read_text, path) == f"{path}: is larger than the 1048576 bytes a recipe may have"


def test_a_folder_is_refused(tmp_path):
    assert refusal(read_text, tmp_path) == f"{tmp_path}: is a folder; name a recipe file in it"


def test_a_file_that_may_not_be_read_says_so(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("a: 1")
    path.chmod(0)
    with heeding_permissions():
        assert refusal(read_text, path) == f"{path}: cannot be read: Permission denied"


def test_a_missing_file_lists_the_shipped_recipes(tmp_path):
    message = refusal(read_text, tmp_path / "zzz.yaml")
    assert "zzz.yaml: no such file; shipped recipes: " in message
    assert "starter.yaml" in message
    assert message.endswith("(`lofi-recipe ls`)")


def test_a_missing_file_suggests_a_near_one(tmp_path):
    (tmp_path / "rainy.yaml").touch()
    assert refusal(read_text, tmp_path / "rainny.yaml").endswith(
        f"no such file; did you mean '{tmp_path / 'rainy.yaml'}'?"
    )
    assert refusal(read_text, tmp_path / "starter").endswith("recipes/starter.yaml'?")


def test_a_name_that_no_file_can_have_is_refused_in_one_line(tmp_path):
    assert refusal(read_text, tmp_path / ("x" * 300)).endswith("cannot be read: File name too long")
    assert "cannot be read" in refusal(read_text, type(tmp_path)("a\0b"))
