"""Which track's licence may go into a model under which licence, as a table with reasons.

Whether a model is an adaptation of what it learned from is not settled law. The table takes the
careful side: it holds the conditions of a track's licence against the published model, as if the
model were one. Sources: the licences' own texts (sections 2 to 4), Creative Commons' adapter's
chart in its FAQ, its list of compatible licences, and its guide on using CC works for training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lofi_engine.data.license_names import creative_commons

_NC = ("by-nc", "by-nc-sa", "by-nc-nd")


@dataclass(frozen=True)
class Rule:
    """Where tracks under one kind of licence may go.

    Args:
        into: terms of Creative Commons licences that a model may be published under; None is all
            licences, Creative Commons' or not.
        same_or_later: whether the model's licence must be of the track's version or a later one.
        also: other licences, by the Hub's names, that take it as well.
        reason: why, in one clause.
    """

    into: tuple[str, ...] | None
    reason: str
    same_or_later: bool = False
    also: tuple[str, ...] = ()


TABLE: Mapping[str, Rule] = {
    "by": Rule(None, "it asks for credit alone, which the model card gives"),
    "by-nc": Rule(
        _NC, "it forbids commercial use, which the model's licence must forbid as well (NC)"
    ),
    "by-sa": Rule(
        ("by-sa",),
        "what is built from it must be shared under the same licence or a later version (SA)",
        same_or_later=True,
        also=("gpl-3.0",),  # one way, and from 4.0 alone
    ),
    "by-nc-sa": Rule(
        ("by-nc-sa",),
        "what is built from it must be shared under the same licence or a later version, for "
        "non-commercial use (NC, SA)",
        same_or_later=True,
    ),
    "by-nd": Rule((), "what is built from it may not be shared at all (ND)"),
    "by-nc-nd": Rule((), "what is built from it may not be shared at all (ND)"),
}
"""By the terms of the track's licence. CC0, the public domain and private contracts set no
condition that a name could tell: the contract's evidence speaks for itself."""


def conflict(track_license: str, model_license: str) -> str:
    """Say why a track may not go into a model, "" when it may.

    Args:
        track_license: tidied, e.g. "cc-by-nc-4.0".
        model_license: what the model is published under, as the Hub writes it.
    """
    track = creative_commons(track_license)
    if track is None:
        if track_license.startswith("cc-"):
            return "is no Creative Commons licence; write it such as cc-by-4.0"
        return ""
    rule = TABLE[track.terms]
    if rule.into is None:
        return ""
    model = creative_commons(model_license)
    if model is not None and model.terms in rule.into:
        if not rule.same_or_later or _reaches(model.version, track.version):
            return ""
    elif model_license in rule.also and track.version == (4, 0):
        return ""
    return f"may not go into a model under '{model_license}': {rule.reason}"


def _reaches(model: tuple[int, int] | None, track: tuple[int, int] | None) -> bool:
    """Whether a ShareAlike licence's successor takes what it covers; 1.0 knows no successor."""
    if model is None or track is None:
        return model == track
    return model == track if track == (1, 0) else model >= track
