"""Puts clips beside the page: the sound to hear and its spectrogram, the worst clips first."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.document import Measured
from lofi_engine.metrics.figures import HIGHER
from lofi_engine.metrics.protocol import Report
from lofi_engine.metrics.scoring import are_pairs
from lofi_runtime.atomic import replacing

PLAYABLE = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a")
"""What browsers play; all else is written anew as FLAC."""

FOLDER = "clips"
OWN_FILES = "[0-9][0-9][0-9]-?.*"
_BLOCK_FRAMES = 65_536


@dataclass(frozen=True)
class Shown:
    """A clip on the page.

    Args:
        role: of its set.
        name: of the clip.
        style: its style, "" where it is not known.
        prompt: its prompt, "" where it is not known.
        audio: file name relative to the page.
        picture: file name relative to the page.
        values: its own value in each metric that has one a clip.
    """

    role: str
    name: str
    style: str
    prompt: str
    audio: str
    picture: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Order:
    """In which order clips are shown.

    Args:
        names: rows of clip names, one a set; "" where a set has no clip left.
        said: the order in words.
    """

    names: tuple[tuple[str, ...], ...]
    said: str


def choose(measured: Sequence[Measured], document: Mapping[str, Any], most: int) -> Order:
    """Choose clips and their order: by the first metric that has a value a clip, else by name.

    Args:
        measured: the sets; the first two are shown.
        document: of `as_document`.
        most: how many rows.
    """
    shown = [one.folder for one in measured[:2]]
    ranked = _ranking(document)
    names = shown[0].names
    said = "by name"
    if ranked is not None:
        metric, badness = ranked
        names = tuple(sorted(names, key=lambda name: (-badness.get(name, -1e300), name)))
        said = f"by {metric}, the worst first"
    if len(shown) == 1:
        return Order(tuple((name,) for name in names[:most]), said)
    if are_pairs(*shown):
        return Order(tuple((name, name) for name in names[:most]), said)
    others = shown[1].names
    rows = [(_at(names, row), _at(others, row)) for row in range(max(len(names), len(others)))]
    return Order(tuple(rows[:most]), f"{said}; the folders hold no pairs")


def clip_values(document: Mapping[str, Any], label: str, name: str) -> dict[str, float]:
    """Give a clip's own value in every metric that has one a clip."""
    figures = [*document["figures"]]
    figures += [row[part] for row in document["differences"] for part in ("first", "second")]
    return {
        figure["metric"]: figure["each"][name]
        for figure in figures
        if figure["judged"] == label and name in figure["each"]
    }


def place_clips(
    page_folder: Path,
    measured: Sequence[Measured],
    document: Mapping[str, Any],
    order: Order,
    report: Report,
) -> list[list[Shown | None]]:
    """Write sounds and pictures below the page; those of an older page are removed first.

    Raises:
        OSError: something cannot be written.
        MetricError: a clip can no longer be decoded.
    """
    folder = page_folder / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(OWN_FILES):
        old.unlink()
    rows: list[list[Shown | None]] = []
    for number, names in enumerate(order.names, 1):
        row: list[Shown | None] = []
        for one, name, letter in zip(measured, names, "ab", strict=False):
            stem = folder / f"{number:03d}-{letter}"
            row.append(_place(stem, one, name, document) if name else None)
        rows.append(row)
        report(number, len(order.names), next(name for name in names if name))
    return rows


def _place(stem: Path, measured: Measured, name: str, document: Mapping[str, Any]) -> Shown:
    from lofi_engine.gallery.spectrogram import draw_spectrogram

    folder = measured.folder
    clip, facts, source = folder.clip(name), folder.facts(name), folder.file(name)
    suffix = source.suffix.lower()
    audio = stem.with_suffix(suffix if suffix in PLAYABLE else ".flac")
    with replacing(audio) as aside:
        if suffix in PLAYABLE:
            shutil.copyfile(source, aside)
        else:
            _write_flac(aside, clip.samples, clip.sample_rate)
    picture = stem.with_suffix(".png")
    with replacing(picture) as aside:
        draw_spectrogram(aside, clip.samples, clip.sample_rate)
    return Shown(
        measured.role,
        name,
        facts.style,
        facts.prompt,
        f"{FOLDER}/{audio.name}",
        f"{FOLDER}/{picture.name}",
        clip_values(document, folder.label, name),
    )


def _write_flac(path: Path, samples: Any, sample_rate: int) -> None:
    import soundfile

    try:
        with soundfile.SoundFile(
            path, "w", sample_rate, len(samples), format="FLAC", subtype="PCM_24"
        ) as file:
            for start in range(0, samples.shape[1], _BLOCK_FRAMES):
                file.write(samples[:, start : start + _BLOCK_FRAMES].T)
    except soundfile.LibsndfileError as error:
        raise MetricError(
            f"{path.name}: cannot be written: {error.error_string}",
            hint="convert the clip to WAV",
        ) from error


def _ranking(document: Mapping[str, Any]) -> tuple[str, dict[str, float]] | None:
    """Give the first metric with a value a clip and how bad each clip is by it."""
    for row in document["differences"]:
        first, second = row["first"], row["second"]
        if first["each"] and first["better"]:
            both = first["each"].keys() & second["each"].keys()
            sign = -1 if first["better"] == HIGHER else 1
            return first["metric"], {
                name: sign * (first["each"][name] - second["each"][name]) for name in both
            }
    for figure in document["figures"]:
        if figure["each"] and figure["better"]:
            sign = -1 if figure["better"] == HIGHER else 1
            return figure["metric"], {name: sign * value for name, value in figure["each"].items()}
    return None


def _at(names: Sequence[str], row: int) -> str:
    return names[row] if row < len(names) else ""
