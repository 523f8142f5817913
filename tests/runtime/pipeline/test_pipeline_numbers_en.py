from __future__ import annotations

from decimal import Decimal

import pytest

from lofi_runtime.pipeline.numbers_en import LARGEST, cardinal, currency, decimal, ordinal

CARDINALS = {
    0: "zero",
    13: "thirteen",
    40: "forty",
    99: "ninety-nine",
    100: "one hundred",
    101: "one hundred and one",
    999: "nine hundred and ninety-nine",
    1000: "one thousand",
    1001: "one thousand and one",
    1100: "one thousand, one hundred",
    1234: "one thousand, two hundred and thirty-four",
    1_000_001: "one million and one",
    2_000_100: "two million, one hundred",
}


@pytest.mark.parametrize("number", CARDINALS)
def test_cardinals(number):
    assert cardinal(number) == CARDINALS[number]


def test_ordinals():
    numbers = (1, 2, 3, 5, 8, 9, 12, 20, 21, 100, 101, 1000)
    assert [ordinal(number) for number in numbers] == [
        "first", "second", "third", "fifth", "eighth", "ninth", "twelfth", "twentieth",
        "twenty-first", "one hundredth", "one hundred and first", "one thousandth",
    ]  # fmt: skip


def test_decimals_and_amounts():
    assert decimal("3.05") == "three point zero five"
    assert decimal("12.50") == "twelve point five"
    assert decimal("3.0") == "three"
    assert currency(Decimal("1.01"), "USD") == "one dollar, one cent"
    assert currency(Decimal("20"), "EUR") == "twenty euro"


@pytest.mark.parametrize("number", [-1, LARGEST + 1])
def test_numbers_without_words_are_refused(number):
    with pytest.raises(ValueError, match="has no words here"):
        cardinal(number)
