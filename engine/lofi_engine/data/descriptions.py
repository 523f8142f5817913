"""What is said of each track, `descriptions.json`: written by describe, read by later stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lofi_runtime.atomic import read_json, write_json

DESCRIPTIONS_NAME = "descriptions.json"
DESCRIPTIONS_VERSION = 2


@dataclass(frozen=True)
class Description:
    """What is said of one track.

    Args:
        track: its name in the dataset.
        prompt: tags separated by ", ".
        lyrics: the words with section marks, or "[Instrumental]".
        tempo_bpm: found in the sound, or known; 0.0 where no beat was found.
        key: such as "A minor"; "" where none was found.
        style_ids: the main one first.
        duration_sec: of the finished audio.
        prompt_from: "sidecar", "synthesiser", "style" or "sound".
        brightness: "dark", "warm" or "bright", as the spectral centroid says; "" in the middle.
        captions: other ways to say the prompt, by the reference's names for them: "simplified",
            "expanded", "descriptive", "synonyms", "use_cases", "analysis". Training draws one.
    """

    track: str
    prompt: str
    lyrics: str
    tempo_bpm: float
    key: str
    style_ids: tuple[str, ...]
    duration_sec: float
    prompt_from: str
    brightness: str = ""
    captions: Mapping[str, str] = field(default_factory=dict)


def write_descriptions(folder: Path, descriptions: Sequence[Description]) -> None:
    """Write `descriptions.json` into a describe artifact's folder."""
    content = {"version": DESCRIPTIONS_VERSION, "tracks": [asdict(one) for one in descriptions]}
    write_json(folder / DESCRIPTIONS_NAME, content)


def read_descriptions(folder: Path) -> tuple[Description, ...]:
    """Read `descriptions.json` of a describe artifact."""
    content = read_json(folder / DESCRIPTIONS_NAME)
    return tuple(
        Description(**{**one, "style_ids": tuple(one["style_ids"])}) for one in content["tracks"]
    )
