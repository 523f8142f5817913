"""A recipe with a folder of tracks and their ledger, as they are before anybody reviewed them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import soundfile

from tests.support.audio_folder import tune
from tests.support.recipes import write_recipe

NAMES = ("city rain.flac", "late train.wav", "no row.flac", "old tape.aiff", "text.mp3")
"""Sorted, so that a track's number is its place; the third has no row, the last is no audio."""


def make_review_folder(home: Path) -> Path:
    """Write `raw/`, `sources.json` and the recipe; give the recipe's path."""
    raw = home / "raw"
    raw.mkdir(parents=True)
    for number, name in enumerate(NAMES[:-1]):
        soundfile.write(raw / name, tune(6.0, 44_100, seed=number + 1), 44_100, subtype="PCM_16")
    (raw / "text.mp3").write_text("no song, a shopping list\n" * 50)
    (raw / "notes.pdf").write_bytes(b"%PDF")
    (raw / "city rain_prompt.txt").write_text("lofi hip hop, rain, 80 bpm\n", encoding="utf-8")
    (raw / "city rain_lyrics.txt").write_text("[Verse]\nCity lights\n", encoding="utf-8")
    rows = [row_of(name) for name in NAMES if name != "no row.flac"]
    write_ledger(home, rows)
    return write_recipe(
        home,
        dataset={
            "sources": [{"path": "raw", "ledger": "sources.json"}],
            "licenses": {"allow": ["commissioned", "cc0"]},
        },
    )


def row_of(name: str) -> dict[str, Any]:
    """Give the ledger's row of a track that was bought."""
    source = {"type": "commissioned", "artist": "Mira", "license": "AI Training Rights"}
    return {"filename": name, "source": source, "style_ids": ["CORE-01"]}


def write_ledger(home: Path, rows: list[dict[str, Any]]) -> None:
    (home / "sources.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def read_row(home: Path, name: str) -> dict[str, Any]:
    """Give a track's row as it stands in the ledger now."""
    rows = json.loads((home / "sources.json").read_text(encoding="utf-8"))
    return next(row for row in rows if row["filename"] == name)
