"""Finds in a prompt what no listener could make true: unknown tags and tags that contradict."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from lofi_runtime.styles.vocabulary import Vocabulary, fold

UNKNOWN = "unknown"
CONTRADICTION = "contradiction"

_NEAR = 0.7


@dataclass(frozen=True)
class Finding:
    """One thing wrong with a prompt.

    Args:
        kind: `UNKNOWN` or `CONTRADICTION`.
        tags: the tag, or the two that do not go together, as written.
        about: what the two disagree about, such as "tempo"; "" for an unknown tag.
        nearest: the known tag most like an unknown one; "" where none is.
    """

    kind: str
    tags: tuple[str, ...]
    about: str = ""
    nearest: str = ""

    @property
    def message(self) -> str:
        """The finding in one line."""
        if self.kind == CONTRADICTION:
            return f"'{self.tags[0]}' and '{self.tags[1]}' contradict each other ({self.about})"
        advice = f"; did you mean '{self.nearest}'?" if self.nearest else ""
        return f"'{self.tags[0]}' is not a known tag{advice}"


def lint_prompt(prompt: str, vocabulary: Vocabulary) -> tuple[Finding, ...]:
    """Check a prompt's tags: each known, no two of them contradicting.

    Args:
        prompt: tags separated by commas.
        vocabulary: what is known; `with_styles` adds a taxonomy's own tags.

    Returns:
        Unknown tags in their order, then contradictions; nothing for a clean prompt.
    """
    written = dict.fromkeys(" ".join(tag.split()) for tag in prompt.split(","))
    tags = [tag for tag in written if tag]
    return (*_unknown(tags, vocabulary), *_contradictions(tags, vocabulary))


def _unknown(tags: list[str], vocabulary: Vocabulary) -> Iterator[Finding]:
    names: dict[str, str] = {}
    for tag in tags:
        if vocabulary.meaning(tag) is None:
            names = names or {fold(name): name for name in vocabulary.names()}
            near = difflib.get_close_matches(fold(tag), names, n=1, cutoff=_NEAR)
            yield Finding(UNKNOWN, (tag,), nearest=names[near[0]] if near else "")


def _contradictions(tags: list[str], vocabulary: Vocabulary) -> Iterator[Finding]:
    understood = [(tag, vocabulary.meaning(tag)) for tag in tags]
    known = [(tag, meaning) for tag, meaning in understood if meaning is not None]
    for (one, mine), (other, theirs) in combinations(known, 2):
        about = vocabulary.contradiction(mine, theirs)
        if about:
            yield Finding(CONTRADICTION, (one, other), about=about)
