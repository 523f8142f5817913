"""Japanese lines in Latin letters, kanji too where the extra `japanese` is installed.

ACE-Step v1 learned Japanese from what cutlet makes of it: words apart, particles as they sound,
loan words in English spelling ("coffee"). Without cutlet the kana are spelled one by one and kanji
stay what they are.
"""

from __future__ import annotations

import contextlib
import importlib
from functools import cache
from typing import Any

from lofi_runtime.pipeline.kana import to_romaji

EXTRA = "lofi-recipe[japanese]"
"""What to install so that kanji are read."""


def reads_kanji() -> bool:
    """Whether this installation can read kanji."""
    return _reader() is not None


def romanize(line: str) -> str:
    """Write a Japanese line in lower-case Latin letters."""
    reader = _reader()
    if reader is not None:
        # The library stumbles over a repetition mark (ゝ) where no word has one.
        with contextlib.suppress(KeyError):
            return str(reader.romaji(line)).lower()
    return to_romaji(line).lower()


@cache
def _reader() -> Any | None:
    """Give a `cutlet.Cutlet`, or None where it or its dictionary is not installed."""
    try:
        return importlib.import_module("cutlet").Cutlet()
    except (ImportError, RuntimeError):  # the second: no dictionary
        return None
