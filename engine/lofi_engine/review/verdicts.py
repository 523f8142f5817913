"""What a review writes into a ledger, and how it reads there: the one place that knows the keys."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from lofi_engine.errors import StageError
from lofi_runtime.styles.taxonomy import Style, find_style

OPEN, ACCEPTED, REJECTED = "open", "accepted", "rejected"

_MAX_WORDS = 64


def verdict(row: Mapping[str, Any]) -> str:
    """Say what a person made of a track: "open", "accepted" or "rejected".

    An entry marked `human_verified` by hand, without a review, counts as accepted.
    """
    if row.get("human_verified") is not True:
        return OPEN
    return REJECTED if tags_and_all(row).get("accepted") is False else ACCEPTED


def tags_and_all(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give an entry's `review`, {} where it has none."""
    review = row.get("review")
    return review if isinstance(review, Mapping) else {}


def ledger_changes(
    row: Mapping[str, Any],
    wanted: Mapping[str, Any],
    styles: Mapping[str, Style],
    today: datetime.date,
) -> dict[str, Any]:
    """Turn what a listener did into changes of the ledger's keys.

    Args:
        row: the entry as it is.
        wanted: any of `accepted` (true or false; null opens it again), `quality_score` (number or
            null), `style_ids` and `tags` (lists of words), `notes` (text, "" takes it out).
        styles: the recipe's taxonomy.
        today: the date of the review.

    Raises:
        StageError: something wanted is no such thing.
        StyleError: an unknown style.
    """
    changes: dict[str, Any] = {}
    review = dict(tags_and_all(row))
    for key, value in wanted.items():
        match key:
            case "accepted":
                _check(value is None or isinstance(value, bool), key, value, "true, false or null")
                changes["human_verified"] = True if value is not None else None
                review.pop("accepted", None)
                review.pop("date", None)
                if value is not None:
                    review |= {"accepted": value, "date": today.isoformat()}
            case "quality_score":
                plain = type(value) in (int, float) and 0 <= value <= 100
                _check(value is None or plain, key, value, "0 to 100 or null")
                changes[key] = value
            case "style_ids":
                changes[key] = _styles(value, styles) or None
            case "tags":
                review.pop("tags", None)
                if tags := _tags(value):
                    review = {"tags": tags, **review}
            case "notes":
                _check(isinstance(value, str), key, value, "text")
                changes[key] = value.strip() or None
            case _:
                raise StageError(f"'{key}' is nothing that a review changes")
    if review != tags_and_all(row):
        changes["review"] = review or None
    return changes


def vocabulary(styles: Mapping[str, Style]) -> tuple[str, ...]:
    """Give every tag of the taxonomy, in the order of its styles, each once."""
    tags = (tag for style in styles.values() for listed in style.tags.values() for tag in listed)
    return tuple(dict.fromkeys(tags))


def _styles(value: object, styles: Mapping[str, Style]) -> list[str]:
    return [find_style(styles, style_id, "style_ids").id for style_id in _words(value, "style_ids")]


def _tags(value: object) -> list[str]:
    tags = list(dict.fromkeys(" ".join(tag.lower().split()) for tag in _words(value, "tags")))
    for tag in tags:
        _check(bool(tag) and "," not in tag, "tags", tag, "one tag: words without a comma")
    return tags


def _words(value: object, key: str) -> list[str]:
    """Give a list of words, each once."""
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise StageError(f"{key}: {str(value)[:80]!r} is not a list of words")
    if len(value) > _MAX_WORDS:
        raise StageError(f"{key}: {len(value)} words, at most {_MAX_WORDS} are kept")
    return list(dict.fromkeys(value))


def _check(good: bool, key: str, value: object, allowed: str) -> None:
    if not good:
        raise StageError(f"{key}: {str(value)[:80]!r} is not {allowed}")
