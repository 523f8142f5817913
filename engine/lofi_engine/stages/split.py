"""Holds tracks out for validation: by style where there are enough of them, else overall.

Leaves `split.json`: {train: [...], validation: [...], by: "style" or "overall"}.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lofi_engine.data.descriptions import read_descriptions
from lofi_engine.data.rows import accepted_rows
from lofi_engine.data.splitting import Item, Split, split_tracks
from lofi_engine.recipe.model import Recipe
from lofi_engine.stages.base import Outcome, StageContext
from lofi_runtime.atomic import write_json

VERSION = 2


@dataclass(frozen=True)
class Settings:
    """What shapes the split besides the tracks."""

    holdout_share: float


def settings(recipe: Recipe) -> Settings:
    """Take what splitting needs from the recipe."""
    return Settings(recipe.dataset.holdout_share)


def sources(recipe: Recipe) -> tuple[Path, ...]:
    """Nothing on disk but the earlier stages' folders."""
    return ()


def run(context: StageContext, settings: Settings) -> Outcome:
    """Split the described tracks. With fewer than two there is no validation set, and it says so.

    The same sound and near duplicates are never on both sides. One artist's tracks may be: they
    are different music, and whole artists held out would skew the styles.
    """
    contents = {
        row.track: row.duplicate_group or row.audio_sha256
        for row in accepted_rows(context.inputs["curate"])
    }
    described = read_descriptions(context.inputs["describe"])
    items = [
        Item(one.track, one.style_ids[0] if one.style_ids else "", contents[one.track])
        for one in described
    ]
    split = split_tracks(items, settings.holdout_share, context.seed)
    _tell(context, split, settings.holdout_share)
    content = {"train": split.train, "validation": split.validation, "by": split.by}
    write_json(context.work / "split.json", content)
    context.emit(len(items), len(items), "tracks")
    return Outcome(
        facts={
            "train": len(split.train),
            "validation": len(split.validation),
            "by": split.by,
            "pooled_styles": list(split.pooled),
        }
    )


def _tell(context: StageContext, split: Split, share: float) -> None:
    if not split.validation:
        why = "holdout_share is 0" if share == 0 else "there is only one track to learn from"
        context.warn(f"no validation set: {why}")
    elif split.by == "overall":
        context.warn(
            f"no style has enough tracks to hold {100 * share:g} % of it out; "
            "validation tracks were drawn from all of them together"
        )
    elif split.pooled:
        context.warn(
            f"styles with too few tracks were held out together: {', '.join(split.pooled)}"
        )
