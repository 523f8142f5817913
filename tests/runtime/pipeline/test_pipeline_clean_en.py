from __future__ import annotations

import pytest

from lofi_runtime.pipeline.clean_en import clean_english

# Checked against the reference's own cleaner, quirks included.
CASES = {
    "It's \"$20\" & Dr. No's 1st": "it's twenty dollars and doctor no's first",
    "12.5% of 1,000,000 @ 3": "twelve point five percent of one million at three",
    "£5.50  #1": "five pounds sterling, fifty pence hash one",
    "€7 or 7€": "seven euro or seven euro",
    "$1.00, $0.99": "one dollar, zero dollars, ninety-nine cents",
    "3rd St.": "third saint",
    " 7° ": "seven degree",
    "Mrs. Capt.": "misess captain",
    "3 o'clock at 85 bpm": "three o'clock at eighty-five bpm",
    "01 007 1.0 1.5.3": "one seven one one point five.three",
    "$1.2.3 $20": "dollar one point two.three dollar twenty",
    "[Verse 2]": "[verse two]",
}


@pytest.mark.parametrize("line", CASES)
def test_a_line_is_written_out_as_in_training(line):
    assert clean_english(line) == CASES[line]


def test_a_number_beyond_words_stays_in_digits():
    assert clean_english("x" + "9" * 60) == "x" + "9" * 60
