"""English lyric lines as ACE-Step's tokenizer expects them: lower case, everything in words.

The order matters: numbers before abbreviations before symbols ("$20" must not become
"dollar 20"), white space last.
"""

from __future__ import annotations

import contextlib
import re
from decimal import Decimal
from functools import partial

from lofi_runtime.pipeline import numbers_en

_THOUSANDS = re.compile(r"\b\d{1,3}(,\d{3})*(\.\d+)?\b")
_CURRENCIES = {
    "GBP": re.compile(r"£[0-9.,]*[0-9]+|[0-9.,]*[0-9]+£"),
    "USD": re.compile(r"\$[0-9.,]*[0-9]+|[0-9.,]*[0-9]+\$"),
    "EUR": re.compile(r"[0-9.,]*[0-9]+€|€[0-9.,]*[0-9]+"),
}
_DECIMAL = re.compile(r"[0-9]+[.,][0-9]+")
_ORDINAL = re.compile(r"([0-9]+)(?:st|nd|rd|th)")
_WHOLE = re.compile(r"[0-9]+")
_ABBREVIATIONS = {
    "mrs": "misess",  # as the model was trained
    "mr": "mister",
    "dr": "doctor",
    "st": "saint",
    "co": "company",
    "jr": "junior",
    "maj": "major",
    "gen": "general",
    "drs": "doctors",
    "rev": "reverend",
    "lt": "lieutenant",
    "hon": "honorable",
    "sgt": "sergeant",
    "capt": "captain",
    "esq": "esquire",
    "ltd": "limited",
    "col": "colonel",
    "ft": "fort",
}
_SYMBOLS = {
    "&": "and",
    "@": "at",
    "%": "percent",
    "#": "hash",
    "$": "dollar",
    "£": "pound",
    "°": "degree",
}
_SPACES = re.compile(r"\s+")


def clean_english(line: str) -> str:
    """Lower a line's case and write out its numbers, abbreviations and symbols."""
    text = line.replace('"', "").lower()
    with contextlib.suppress(ValueError):  # a number beyond words stays in digits
        text = _numbers_in_words(text)
    for short, word in _ABBREVIATIONS.items():
        text = re.sub(rf"\b{short}\.", word, text)
    for symbol, word in _SYMBOLS.items():
        text = text.replace(symbol, f" {word} ").replace("  ", " ")
    return _SPACES.sub(" ", text.strip())


def _numbers_in_words(text: str) -> str:
    text = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    with contextlib.suppress(ValueError):  # as in training, one bad amount ends it
        for code, pattern in _CURRENCIES.items():
            text = pattern.sub(partial(_currency, code), text)
    text = _DECIMAL.sub(lambda match: numbers_en.decimal(match[0].replace(",", ".")), text)
    text = _ORDINAL.sub(lambda match: numbers_en.ordinal(int(match[1])), text)
    return _WHOLE.sub(lambda match: numbers_en.cardinal(int(match[0])), text)


def _currency(code: str, match: re.Match[str]) -> str:
    amount = re.sub(r"[^\d.]", "", match[0].replace(",", "."))
    if amount.count(".") > 1:
        raise ValueError(f"{match[0]} is not an amount")
    return numbers_en.currency(Decimal(float(amount)), code)
