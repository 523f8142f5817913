"""Says of every track what it is: a tag prompt, lyrics, tempo and key.

A prompt or lyrics file that came with a track is used. A synthesised track's prompt is what its
score truly plays. Any other prompt is written from the track's style and the tempo found in it.
Leaves `tracks/<track>_prompt.txt`, `tracks/<track>_lyrics.txt` and `descriptions.json`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lofi_engine.audio.decode import decode
from lofi_engine.audio.music import ANALYSIS_SEC, TEMPO_RANGE_BPM, analyse
from lofi_engine.data.descriptions import Description, write_descriptions
from lofi_engine.data.rows import Row, accepted_rows
from lofi_engine.recipe.model import Recipe
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.styles.lyrics import INSTRUMENTAL_LYRICS, WORDLESS, tidy_lyrics
from lofi_engine.styles.source import StylesSource, styles_folders, styles_source
from lofi_runtime.pipeline.lyrics import is_instrumental
from lofi_runtime.styles.prompts import (
    MAX_PROMPT_BYTES,
    describe_unknown,
    draw,
    expand_style,
    join_tags,
)
from lofi_runtime.styles.taxonomy import Style, find_style, load_styles

VERSION = 2

_VOICE_OF_ANY_KIND = "vocals"


@dataclass(frozen=True)
class Settings:
    """What shapes the descriptions besides the tracks."""

    styles: StylesSource


def settings(recipe: Recipe) -> Settings:
    """Take what describing needs from the recipe."""
    return Settings(styles_source(recipe))


def sources(recipe: Recipe) -> tuple[Path, ...]:
    """The recipe's own styles, if it has any."""
    return styles_folders(recipe)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Describe every accepted track.

    Raises:
        StageError: a track is of a style that the taxonomy does not have.
    """
    styles = load_styles(settings.styles.folder(context.home))
    curated = context.inputs["curate"]
    rows = accepted_rows(curated)
    (context.work / "tracks").mkdir()
    descriptions = []
    for number, row in enumerate(rows):
        context.emit(number, len(rows), "tracks", row.track)
        named = [find_style(styles, style_id, row.source) for style_id in row.style_ids]
        description = _describe(context, row, named[0] if named else None)
        for kind, text in (("prompt", description.prompt), ("lyrics", description.lyrics)):
            path = context.work / "tracks" / f"{row.track}_{kind}.txt"
            path.write_text(text, encoding="utf-8", newline="\n")
        descriptions.append(description)
    context.emit(len(rows), len(rows), "tracks")
    write_descriptions(context.work, descriptions)
    unknown = [row.track for row in rows if not row.style_ids]
    if unknown:
        context.warn(
            f"{len(unknown)} tracks have no style ({unknown[0]} is the first); without a prompt "
            "file only what was measured is said of them"
        )
    prompts_from = Counter(description.prompt_from for description in descriptions)
    return Outcome(
        facts={
            "tracks": len(descriptions),
            "prompts_from": dict(sorted(prompts_from.items())),
            "with_words": sum(not is_instrumental(one.lyrics) for one in descriptions),
        }
    )


def _describe(context: StageContext, row: Row, style: Style | None) -> Description:
    sound = decode(context.inputs["curate"] / row.file, keep_sec=ANALYSIS_SEC)
    music = analyse(sound, style.tempo_bpm if style else TEMPO_RANGE_BPM)
    lyrics = tidy_lyrics(_sidecar(context, row, "lyrics") or row.score.get("lyrics", ""))
    tempo_bpm = float(row.score.get("tempo_bpm") or music.tempo_bpm)
    prompt, prompt_from = _prompt(context, row, style, lyrics, tempo_bpm)
    if len(prompt.encode()) > MAX_PROMPT_BYTES:
        context.warn(f"{row.source}: its prompt is longer than {MAX_PROMPT_BYTES} bytes")
    return Description(
        track=row.track,
        prompt=prompt,
        lyrics=lyrics,
        tempo_bpm=round(tempo_bpm, 1),
        key=row.score.get("key") or music.key,
        style_ids=row.style_ids,
        duration_sec=row.duration_sec,
        prompt_from=prompt_from,
    )


def _prompt(
    context: StageContext, row: Row, style: Style | None, lyrics: str, tempo_bpm: float
) -> tuple[str, str]:
    """Give the prompt and where it is from."""
    given = join_tags(_sidecar(context, row, "prompt"))
    if given:
        return given, "sidecar"
    if row.score.get("prompt"):
        return str(row.score["prompt"]), "synthesiser"
    words = not is_instrumental(lyrics)
    if style is None:
        return describe_unknown(tempo_bpm, vocals=_VOICE_OF_ANY_KIND if words else None), "sound"
    if not words and not WORDLESS.intersection(style.tags["vocal_type"]):
        context.warn(
            f"{row.source}: {style.id} has words, but there are none for it; "
            f"put them in a _lyrics.txt beside it ({INSTRUMENTAL_LYRICS} is taken)"
        )
    vocals = _VOICE_OF_ANY_KIND if words and not style.vocal else None
    seed = draw(context.seed, row.audio_sha256)
    return expand_style(style, seed, tempo_bpm=tempo_bpm, vocals=vocals), "style"


def _sidecar(context: StageContext, row: Row, kind: str) -> str:
    if kind not in row.sidecars:
        return ""
    path = context.inputs["curate"] / "sidecars" / f"{row.track}_{kind}.txt"
    return path.read_text(encoding="utf-8")
