"""One thing that is wrong with a recipe, and the words to say it in."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Where a value stands: keys and list positions from the top of the file."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN_LENGTH = 60


@dataclass(frozen=True, order=True)
class Problem:
    """One problem; sorts by where it stands in the file.

    Args:
        line: from 1; 0 for a value given on the command line.
        column: from 1, in characters; on line 0, which of the overrides it is, from 0.
        path: `key.path`, or "" for the file as a whole.
        message: what is wrong, without a full stop.
    """

    line: int
    column: int
    path: str
    message: str

    def render(self, file: str, overrides: Sequence[str] = ()) -> str:
        """Write the one line a user sees, with the file (or override) as they typed it."""
        where = f"{file}:{self.line}:{self.column}" if self.line else overrides[self.column]
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


def dotted(path: Path) -> str:
    """Write a path as `dataset.sources[0].path`."""
    parts: list[str] = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        else:
            key = part if _BARE_KEY.fullmatch(part) else quoted(part)
            parts.append(f".{key}" if parts else key)
    return "".join(parts)


def quoted(text: str) -> str:
    """Show text in quotes on one line, shortened, with nothing unprintable in it."""
    shown = text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "..."
    return repr(shown)


def closest(word: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed word nearest to `word`, or None when nothing is near."""

    def plain(text: str) -> str:
        return text.lower().replace("-", "_")

    candidates = {plain(name): name for name in reversed(list(allowed))}
    # A hostile word must not cost quadratic time.
    found = difflib.get_close_matches(plain(word[:100]), candidates, n=1, cutoff=0.6)
    return candidates[found[0]] if found else None


def did_you_mean(word: str, allowed: Sequence[str]) -> str:
    """Return `; did you mean 'x'?` where an allowed word is near, else an empty string."""
    near = closest(word, allowed)
    return f"; did you mean '{near}'?" if near else ""


def listed(words: Iterable[str]) -> str:
    """Join words for a sentence: `a, b or c`."""
    words = list(words)
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
