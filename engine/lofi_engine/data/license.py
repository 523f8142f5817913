"""The licence policy as a gate: what a recipe allows, held against what a ledger says.

A claimed right to train (`ai_training: true`) without evidence enters with a note, unless the
recipe asks for evidence: a claim can be true before the letter is filed, but a release that is
challenged stands on the letter. cc0 and "AI Training Rights" say it in their own words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lofi_engine.data.attribution import asks_for_credit
from lofi_engine.data.compatibility import conflict
from lofi_engine.data.ledger import Entry
from lofi_engine.data.license_names import UNKNOWN_LICENSE, tidy_license
from lofi_engine.recipe.model import Licenses

__all__ = ["SYNTHESISED", "UNKNOWN_LICENSE", "Terms", "judge", "tidy_license"]

SYNTHESISED = Entry(filename="", type="synthesised", license="cc0", ai_training=True, style_ids=())
"""The terms of what the built-in synthesiser makes; the styles are the track's own."""

# Terms that grant training by themselves; all others need `ai_training: true` in the ledger.
_GRANTS_TRAINING = ("cc0", "ai-training-rights")
# Ways of acquiring where nobody else has a right to grant.
_NEEDS_NO_GRANT = ("own", "synthesised")
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
        notes: what a careful owner should mend though it keeps nothing out.
    """

    license: str
    type: str
    ai_training: bool
    refusal: str
    notes: tuple[str, ...] = ()


def judge(
    entry: Entry | None, policy: Licenses, ledger_name: str = "", publish_license: str = ""
) -> Terms:
    """Hold a track's entry against the policy.

    Args:
        entry: what the ledger says; None where it says nothing of this track.
        policy: the recipe's.
        ledger_name: the ledger's file, "" where the source has none.
        publish_license: what the model is to be published under (the recipe's `publish.license`);
            "" holds the track against no licence.
    """
    if entry is None:
        refusal = ""
        if policy.require_ai_training:
            refusal = f"no licence entry in {ledger_name}" if ledger_name else "no licence entry"
        return Terms(UNKNOWN_LICENSE, "", ai_training=False, refusal=refusal)
    license_name = tidy_license(entry.license)
    granted = license_name in _GRANTS_TRAINING if entry.ai_training is None else entry.ai_training
    refusals = _not_admitted(entry, license_name, policy, ledger_name)
    notes: tuple[str, ...] = ()
    if not refusals:
        refusals = _duties_unmet(entry, license_name, ledger_name, publish_license)
        if not granted and policy.require_ai_training:
            refusals.append(f"no AI-training right recorded for licence '{license_name}'")
        elif granted and _lacks_evidence(entry, license_name):
            claim = f"its right to train under '{license_name}' has no evidence"
            if policy.require_evidence:
                refusals.append(f"{claim} (source.ai_training_evidence)")
            else:
                notes = (f"{claim}; say in source.ai_training_evidence where it can be read",)
    return Terms(license_name, entry.type, granted, "; ".join(refusals), notes)


def _not_admitted(entry: Entry, license_name: str, policy: Licenses, ledger_name: str) -> list[str]:
    """Give what keeps a track out before its terms are looked into."""
    if license_name == UNKNOWN_LICENSE:
        place = ledger_name or "its ledger"
        return [f"its licence is still '{UNKNOWN_LICENSE}' in {place} (source.license)"]
    if entry.review_accepted is False:
        when = f" on {entry.review_date}" if entry.review_date else ""
        return [f"a listener refused it{when} (review.accepted)"]
    allowed = {tidy_license(name) for name in policy.allow}
    by_type = entry.type in allowed and not _PUBLIC.match(license_name)
    if license_name not in allowed and not by_type:
        return [f"licence '{license_name}' is not allowed (allowed: {', '.join(policy.allow)})"]
    return []


def _duties_unmet(
    entry: Entry, license_name: str, ledger_name: str, publish_license: str
) -> list[str]:
    """Give what the licence asks for and a model under `publish_license` would not keep."""
    refusals = []
    against = conflict(license_name, publish_license) if publish_license else ""
    if against:
        refusals.append(f"licence '{license_name}' {against}")
    if asks_for_credit(license_name) and not entry.attribution:
        refusals.append(
            f"licence '{license_name}' asks for credit and {ledger_name or 'its ledger'} names "
            "neither artist nor attribution"
        )
    return refusals


def _lacks_evidence(entry: Entry, license_name: str) -> bool:
    grants_itself = license_name in _GRANTS_TRAINING or entry.type in _NEEDS_NO_GRANT
    return not grants_itself and not entry.ai_training_evidence
