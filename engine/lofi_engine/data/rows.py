"""The curated ledger, `ledger.json`: a row for every file that was looked at, also the refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lofi_runtime.atomic import read_json, write_json

LEDGER_NAME = "ledger.json"
LEDGER_VERSION = 1


@dataclass(frozen=True)
class Row:
    """What became of one file or one synthesised track. Empty fields are left out of the file.

    Args:
        source: the file, relative to the recipe's folder; "synth/<name>" for synthesised ones.
        status: "accepted", "rejected", or "missing": an entry of a ledger that means no file.
        reason: why it is not accepted.
        sha256: of the source's bytes; of the request, for synthesised tracks.
        track: its name in the dataset.
        file: the finished audio, relative to the artifact.
        audio_sha256: of the finished audio.
        duration_sec: of the finished audio.
        style_ids: the main one first.
        license: tidied name.
        type: how it was acquired, "synthesised" or the ledger's word.
        ai_training: whether training on it is allowed, as far as anybody said.
        artist: who made it.
        attribution: the credit line the licence asks for.
        cost_usd: what it cost.
        measurements: of the source, before any gain.
        notes: what a human should know that did not refuse it.
        sidecars: which texts came with it ("prompt", "lyrics").
        score: what the synthesiser says it played.
        quality_score: how good the source measures, 0 to 100.
        score_parts: what cost points, by name.
        duplicate_group: the first accepted track of the near duplicates it belongs to; "" for none.
        human_verified: whether the ledger says that a person has listened to it.
        listener_score: the ledger's score, 0 to 100; None without.
        review_tags: that person's tags, of the vocabulary or not.
    """

    source: str
    status: str
    reason: str = ""
    sha256: str = ""
    track: str = ""
    file: str = ""
    audio_sha256: str = ""
    duration_sec: float = 0.0
    style_ids: tuple[str, ...] = ()
    license: str = ""
    type: str = ""
    ai_training: bool = False
    artist: str = ""
    attribution: str = ""
    cost_usd: float = 0.0
    measurements: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sidecars: tuple[str, ...] = ()
    score: Mapping[str, Any] = field(default_factory=dict)
    quality_score: float = 0.0
    score_parts: Mapping[str, float] = field(default_factory=dict)
    duplicate_group: str = ""
    human_verified: bool = False
    listener_score: float | None = None
    review_tags: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether it is in the dataset."""
        return self.status == "accepted"


def write_rows(folder: Path, rows: Sequence[Row]) -> None:
    """Write `ledger.json` into a curate artifact's folder."""
    content = {"version": LEDGER_VERSION, "rows": [_sparse(row) for row in rows]}
    write_json(folder / LEDGER_NAME, content)


def read_rows(folder: Path) -> tuple[Row, ...]:
    """Read `ledger.json` of a curate artifact, in the order of the sources."""
    content = read_json(folder / LEDGER_NAME)
    return tuple(Row(**_frozen(row)) for row in content["rows"])


def accepted_rows(folder: Path) -> tuple[Row, ...]:
    """Read the rows of the tracks in the dataset."""
    return tuple(row for row in read_rows(folder) if row.accepted)


def _frozen(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


def _sparse(row: Row) -> dict[str, Any]:
    empty = asdict(Row(source="", status=""))
    kept = {key: value for key, value in asdict(row).items() if value != empty[key]}
    if row.license:
        kept["ai_training"] = row.ai_training
    else:
        kept.pop("ai_training", None)
    return kept
