"""Curated, described and split tracks as the stages leave them, without running the stages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from lofi_engine.artifact import write_record
from lofi_engine.data.descriptions import Description, write_descriptions
from lofi_engine.data.rows import Row, write_rows
from lofi_engine.lookup import artifact_folder
from lofi_engine.recipe.load import load_recipe
from lofi_engine.run import plan_states, runs_folder
from lofi_engine.stages.base import Outcome
from lofi_engine.stages.registry import STAGES

CREDIT = '"Rain" by Ann | Co (https://example.org/rain), CC BY 4.0'
CAPTIONS = {
    "simplified": "lofi",
    "descriptive": "A slow evening of piano and rain, warm and worn, without a voice.",
}
LYRICS = "[Verse]\nStay with me\nuntil the morning light\n\n[Chorus]\nねむれ\n"


@dataclass(frozen=True)
class FinishedData:
    """The three stages' folders."""

    curate: Path
    describe: Path
    split: Path

    def folders(self) -> tuple[Path, Path, Path]:
        return self.curate, self.describe, self.split


def write_data(place: Path, suffixes: Mapping[str, str] | None = None) -> FinishedData:
    """Write three tracks, "snow" held out and without captions.

    Args:
        place: where the stages' folders are made.
        suffixes: of the tracks' audio; ".flac" where nothing is said.
    """
    return _write(
        FinishedData(*(place / name for name in ("curate", "describe", "split"))), suffixes
    )


def finish_data(recipe_path: Path, suffixes: Mapping[str, str] | None = None) -> FinishedData:
    """Leave the same as finished stages of a recipe."""
    recipe = load_recipe(recipe_path)
    planned = {state.stage.name: state.stage for state in plan_states(recipe, STAGES)}
    stages = [planned[name] for name in ("curate", "describe", "split")]
    folders = [artifact_folder(runs_folder(recipe), stage) for stage in stages]
    data = _write(FinishedData(*folders), suffixes)
    for stage, folder in zip(stages, folders, strict=True):
        write_record(
            folder,
            content={**stage.identity(), "key": stage.key},
            outcome=Outcome(),
            recipe={"name": recipe.name, "text": recipe.text},
            measured={"started": "2026-01-02T03:04:05Z", "duration_sec": 1.0},
        )
    return data


def _write(data: FinishedData, suffixes: Mapping[str, str] | None) -> FinishedData:
    (data.curate / "tracks").mkdir(parents=True)
    for folder in (data.describe, data.split):
        folder.mkdir(parents=True)
    rows = []
    for number, name in enumerate(("night", "rain", "snow")):
        file = f"tracks/{name}{(suffixes or {}).get(name, '.flac')}"
        noise = 0.1 * np.random.default_rng(number).standard_normal((48_000 * 4, 2))
        soundfile.write(data.curate / file, noise.astype(np.float32), 48_000)
        rows.append(
            Row(
                source=f"audio/{name}.wav",
                status="accepted",
                track=name,
                file=file,
                duration_sec=4.0,
                style_ids=("CORE-01",),
                license={"rain": "cc-by-4.0", "snow": "ai-training-rights"}.get(name, "cc0"),
                type={"snow": "commissioned"}.get(name, "synthesised"),
                ai_training=True,
                artist={"rain": "Ann | Co"}.get(name, ""),
                attribution={"rain": CREDIT}.get(name, ""),
            )
        )
    rows.append(Row(source="audio/noise.wav", status="rejected", reason="clipped"))
    write_rows(data.curate, rows)
    described = [
        _said("night", "lofi, night, piano, 72 bpm", LYRICS, CAPTIONS),
        _said("rain", "lofi, rain", "[Instrumental]", {"simplified": "rain lofi"}),
        _said("snow", "snow", "[Instrumental]", {}),
    ]
    write_descriptions(data.describe, described)
    sides = {"train": ["rain", "night"], "validation": ["snow"], "by": "overall"}
    (data.split / "split.json").write_text(json.dumps(sides))
    return data


def _said(name: str, prompt: str, lyrics: str, captions: Mapping[str, str]) -> Description:
    return Description(
        track=name,
        prompt=prompt,
        lyrics=lyrics,
        tempo_bpm=72.0,
        key="A minor",
        style_ids=("CORE-01",),
        duration_sec=4.0,
        prompt_from="style",
        captions=captions,
    )
