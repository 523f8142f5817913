"""English numbers in words, as ACE-Step's lyrics were written out: "85" is "eighty-five"."""

from __future__ import annotations

from decimal import Decimal

_ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = [
    "thousand", "million", "billion", "trillion", "quadrillion", "quintillion", "sextillion",
    "septillion", "octillion", "nonillion", "decillion",
]  # fmt: skip
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_COINS = {
    "USD": (("dollar", "dollars"), ("cent", "cents")),
    "GBP": (("pound sterling", "pounds sterling"), ("penny", "pence")),
    "EUR": (("euro", "euro"), ("cent", "cents")),
}

LARGEST = 1000 ** (len(_SCALES) + 1) - 1
"""Greater numbers have no words here."""


def cardinal(number: int) -> str:
    """Give 0 to `LARGEST` in words: "one thousand, two hundred and thirty-four".

    Raises:
        ValueError: the number is out of range.
    """
    if not 0 <= number <= LARGEST:
        raise ValueError(f"{number} has no words here, must be from 0 to {LARGEST}")
    if number < 1000:
        return _below_thousand(number)
    groups = []
    rest, scale = number, -1
    while rest:
        rest, group = divmod(rest, 1000)
        if group:
            name = f" {_SCALES[scale]}" if scale >= 0 else ""
            groups.append(_below_thousand(group) + name)
        scale += 1
    last = number % 1000
    joint = " and " if 0 < last < 100 else ", "
    if not last:
        return ", ".join(reversed(groups))
    return ", ".join(reversed(groups[1:])) + joint + groups[0]


def ordinal(number: int) -> str:
    """Give "first", "twenty-first", "one hundredth", ...

    Raises:
        ValueError: the number is out of range.
    """
    words = cardinal(number)
    split = max(words.rfind(" "), words.rfind("-")) + 1
    head, last = words[:split], words[split:]
    if last in _ORDINALS:
        return head + _ORDINALS[last]
    return head + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def decimal(text: str) -> str:
    """Give a decimal fraction such as "12.50" in words: "twelve point five"; "3.0" is "three".

    Raises:
        ValueError: the whole part is out of range.
    """
    whole, _, fraction = text.partition(".")
    digits = fraction.rstrip("0")
    words = [cardinal(int(whole)), *(["point"] if digits else [])]
    return " ".join([*words, *(_ONES[int(digit)] for digit in digits)])


def currency(amount: Decimal, code: str) -> str:
    """Give "twenty dollars, fifteen cents"; whole amounts lose their cents.

    Args:
        amount: 0 or more; rounded to cents.
        code: "USD", "GBP" or "EUR".

    Raises:
        ValueError: the amount is out of range.
    """
    whole, coins = divmod(int((amount * 100).to_integral_value()), 100)
    (one, many), (one_coin, many_coins) = _COINS[code]
    words = f"{cardinal(whole)} {one if whole == 1 else many}"
    if amount == amount.to_integral_value():
        return words
    return f"{words}, {cardinal(coins)} {one_coin if coins == 1 else many_coins}"


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest or not hundreds:
        tens, ones = divmod(rest, 10)
        if rest < 20:
            words.append(_ONES[rest])
        else:
            words.append(_TENS[tens] + (f"-{_ONES[ones]}" if ones else ""))
    return " and ".join(words)
