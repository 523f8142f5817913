from __future__ import annotations

import pytest

from lofi_engine.data.attribution import built_credit
from lofi_engine.data.compatibility import TABLE, conflict
from lofi_engine.data.license_names import creative_commons, deed_url, spoken_license, tidy_license


@pytest.mark.parametrize(
    ("written", "tidied"),
    [
        ("CC BY 4.0", "cc-by-4.0"),
        ("CC-BY-NC-SA 3.0", "cc-by-nc-sa-3.0"),
        ("Creative Commons Attribution 4.0 International", "cc-by-4.0"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0", "cc-by-nc-sa-4.0"),
        ("Creative Commons Attribution-NoDerivs 3.0 Unported License", "cc-by-nd-3.0"),
        ("https://creativecommons.org/licenses/by-nc/4.0/", "cc-by-nc-4.0"),
        ("http://creativecommons.org/licenses/by-sa/3.0/us/deed.en", "cc-by-sa-3.0-us"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "cc0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "public-domain"),
        ("CC0 1.0 Universal", "cc0"),
        ("cc-by-nd-nc-1.0", "cc-by-nc-nd-1.0"),
        ("AI Training Rights", "ai-training-rights"),
        ("Contract of May", "contract-of-may"),
    ],
)
def test_a_licence_written_any_way_has_one_name(written, tidied):
    assert tidy_license(written) == tidied


def test_names_are_taken_apart_and_put_together():
    parts = creative_commons("cc-by-nc-sa-3.0-us")
    assert parts is not None
    assert (parts.terms, parts.version) == ("by-nc-sa", (3, 0))
    assert creative_commons("cc0") is creative_commons("contract") is None
    assert spoken_license("cc-by-nc-4.0") == "CC BY-NC 4.0"
    assert deed_url("cc-by-sa-3.0-us") == "https://creativecommons.org/licenses/by-sa/3.0/us/"
    assert deed_url("cc-by") == ""


MODELS = ("apache-2.0", "mit", "openrail", "other", "cc-by-4.0", "cc0-1.0")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("track", ["cc0", "public-domain", "cc-by-4.0", "cc-by", "contract"])
def test_what_binds_nobody_may_go_into_any_model(track, model):
    assert conflict(track, model) == ""


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("terms", ["by-nc", "by-sa", "by-nc-sa", "by-nd", "by-nc-nd"])
def test_nc_sa_and_nd_may_not_go_into_an_open_model(terms, model):
    said = conflict(f"cc-{terms}-4.0", model)
    assert said == f"may not go into a model under '{model}': {TABLE[terms].reason}"
    for sign in ("NC", "SA", "ND"):
        if sign.lower() in terms.split("-") and not (sign == "NC" and "nd" in terms):
            assert sign in said


@pytest.mark.parametrize(
    ("track", "model", "may"),
    [
        ("cc-by-nc-4.0", "cc-by-nc-4.0", True),
        ("cc-by-nc-3.0", "cc-by-nc-sa-4.0", True),
        ("cc-by-nc-4.0", "cc-by-sa-4.0", False),
        ("cc-by-sa-4.0", "cc-by-sa-4.0", True),
        ("cc-by-sa-3.0-us", "cc-by-sa-4.0", True),
        ("cc-by-sa-4.0", "cc-by-sa-3.0", False),
        ("cc-by-sa-1.0", "cc-by-sa-2.0", False),
        ("cc-by-sa-4.0", "cc-by-nc-sa-4.0", False),
        ("cc-by-sa-4.0", "gpl-3.0", True),
        ("cc-by-sa-3.0", "gpl-3.0", False),
        ("cc-by-sa", "cc-by-sa-4.0", False),
        ("cc-by-nc-sa-2.0", "cc-by-nc-sa-4.0", True),
        ("cc-by-nc-sa-4.0", "cc-by-nc-4.0", False),
        ("cc-by-nd-4.0", "cc-by-nd-4.0", False),
        ("cc-by-nc-nd-4.0", "cc-by-nc-nd-4.0", False),
    ],
)
def test_the_table_says_which_model_may_take_which_track(track, model, may):
    assert (conflict(track, model) == "") is may


def test_a_creative_commons_licence_there_is_not_is_told_so():
    assert conflict("cc-sampling+", "apache-2.0") == (
        "is no Creative Commons licence; write it such as cc-by-4.0"
    )


def test_a_credit_has_title_author_source_and_licence():
    assert built_credit(
        "cc-by-nc-4.0", artist="Ann", title="Rain", url="https://example.org/1"
    ) == (
        '"Rain" by Ann (https://example.org/1), CC BY-NC 4.0 '
        "(https://creativecommons.org/licenses/by-nc/4.0/)"
    )
    assert built_credit("cc-by", artist="Ann") == "A track by Ann, CC BY"
    assert built_credit("cc-by-4.0", artist="Ann", license_url="https://t.example") == (
        "A track by Ann, CC BY 4.0 (https://t.example)"
    )


def test_no_credit_is_made_up():
    assert built_credit("cc-by-4.0", artist="") == ""
    assert built_credit("cc0", artist="Ann") == built_credit("contract", artist="Ann") == ""
