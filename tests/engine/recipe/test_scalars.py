import pytest

from lofi_engine.recipe.scalars import resolve_plain


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("1e-4", 1e-4),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("+1.5", 1.5),
        ("-3", -3),
        ("012", 12),
        ("0o14", 12),
        ("0xff", 255),
        ("true", True),
        ("FALSE", False),
        ("", None),
        ("~", None),
        ("Null", None),
    ],
)
def test_the_core_schema_of_yaml_1_2_gives_numbers_booleans_and_null(text, meaning):
    assert resolve_plain(text) == meaning
    assert type(resolve_plain(text)) is type(meaning)


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "on", "Off", "y", "1:30", "1_000", "tRUE", "0b11", "0o8", "-0x1", "1e", ".", "-",
     "2025-01-15", "1.0.0", "=", "nan", "١٢"],
)  # fmt: skip
def test_what_only_yaml_1_1_reads_as_something_else_is_text(text):
    assert resolve_plain(text) == text


@pytest.mark.parametrize("text", [".inf", "-.Inf", "+.INF", ".nan", ".NaN", "1e999", "9" * 101])
def test_a_number_that_is_infinite_or_absurdly_long_is_refused(text):
    with pytest.raises(ValueError, match=r"number"):
        resolve_plain(text)
