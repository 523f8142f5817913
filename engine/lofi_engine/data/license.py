"""The licence policy as a gate: what a recipe allows, held against what a ledger says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lofi_engine.data.ledger import Entry
from lofi_engine.recipe.model import Licenses

UNKNOWN_LICENSE = "unknown"
SYNTHESISED = Entry(filename="", type="synthesised", license="cc0", ai_training=True, style_ids=())
"""The terms of what the built-in synthesiser makes; the styles are the track's own."""

# Terms that grant training by themselves; all others need `ai_training: true` in the ledger.
_GRANTS_TRAINING = ("cc0", "cc0-1.0", "ai-training-rights")
# Public licences stand in `allow` by name. A private contract's name says little ("AI Training
# Rights"), so for those the way of acquiring, e.g. "commissioned", may stand there instead.
_PUBLIC = re.compile(r"cc[0-]|public-domain")


@dataclass(frozen=True)
class Terms:
    """What may be done with a track.

    Args:
        license: tidied, e.g. "cc-by-4.0"; "unknown" without an entry.
        type: how it was acquired, "" without an entry.
        ai_training: whether training is allowed, as far as anybody said.
        refusal: why the policy keeps it out, "" when it does not.
    """

    license: str
    type: str
    ai_training: bool
    refusal: str


def tidy_license(license_name: str) -> str:
    """Write a licence's name the one way: lower case, hyphens ("CC BY 4.0" is "cc-by-4.0")."""
    tidied = re.sub(r"[\s_-]+", "-", license_name.strip().lower())
    return "cc0" if tidied == "cc0-1.0" else tidied


def judge(entry: Entry | None, policy: Licenses, ledger_name: str = "") -> Terms:
    """Hold a track's entry against the policy.

    Args:
        entry: what the ledger says; None where it says nothing of this track.
        policy: the recipe's.
        ledger_name: the ledger's file, "" where the source has none.
    """
    if entry is None:
        refusal = ""
        if policy.require_ai_training:
            refusal = f"no licence entry in {ledger_name}" if ledger_name else "no licence entry"
        return Terms(UNKNOWN_LICENSE, "", ai_training=False, refusal=refusal)
    license_name = tidy_license(entry.license)
    granted = license_name in _GRANTS_TRAINING if entry.ai_training is None else entry.ai_training
    allowed = {tidy_license(name) for name in policy.allow}
    by_type = entry.type in allowed and not _PUBLIC.match(license_name)
    refusal = ""
    if license_name not in allowed and not by_type:
        refusal = f"licence '{license_name}' is not allowed (allowed: {', '.join(policy.allow)})"
    elif policy.require_ai_training and not granted:
        refusal = f"no AI-training right recorded for licence '{license_name}'"
    return Terms(license_name, entry.type, granted, refusal)
