"""Says of every track what it is: a tag prompt, captions, lyrics, tempo, key and brightness.

A prompt or lyrics file that came with a track is used as it is; what the lint or the lyrics check
finds in it is a warning. A synthesised track's prompt is what its score truly plays. Any other
prompt is written from the track's styles, what a listener said of it and what was heard in it.
Leaves `tracks/<track>_prompt.txt`, `tracks/<track>_lyrics.txt` and `descriptions.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.audio.decode import decode
from lofi_engine.audio.music import ANALYSIS_SEC, TEMPO_RANGE_BPM, Music, analyse
from lofi_engine.data.descriptions import Description, write_descriptions
from lofi_engine.data.rows import Row, accepted_rows
from lofi_engine.recipe.model import Recipe
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.styles.captioners import BUILT_IN, Captioner, find_captioner
from lofi_engine.styles.captions import Facts, write_captions
from lofi_engine.styles.lyrics import INSTRUMENTAL_LYRICS, WORDLESS, tidy_lyrics
from lofi_engine.styles.lyrics_check import LyricsReport, check_lyrics
from lofi_engine.styles.source import (
    StylesSource,
    shipped_words_hash,
    styles_folders,
    styles_source,
)
from lofi_runtime.pipeline.lyrics import is_instrumental
from lofi_runtime.styles.lint import lint_prompt
from lofi_runtime.styles.prompts import (
    MAX_PROMPT_BYTES,
    Heard,
    describe_heard,
    draw,
    join_tags,
    write_prompt,
)
from lofi_runtime.styles.taxonomy import Style, find_style, load_styles
from lofi_runtime.styles.vocabulary import Vocabulary, load_vocabulary

VERSION = 3

_VOICE_OF_ANY_KIND = "vocals"
_SHOWN_FINDINGS = 3


@dataclass(frozen=True)
class Settings:
    """What shapes the descriptions besides the tracks.

    Args:
        styles: the taxonomy.
        words: a hash of the shipped vocabulary and captions.
        captioner: who writes the "descriptive" caption, a name of `captioner_names`.
    """

    styles: StylesSource
    words: str
    captioner: str = BUILT_IN


@dataclass(frozen=True)
class _Words:
    """What prompts are held against and what says them otherwise."""

    vocabulary: Vocabulary
    captioner: Captioner


def settings(recipe: Recipe) -> Settings:
    """Take what describing needs from the recipe."""
    return Settings(styles_source(recipe), shipped_words_hash())


def sources(recipe: Recipe) -> tuple[Path, ...]:
    """The recipe's own styles, if it has any."""
    return styles_folders(recipe)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Describe every accepted track.

    Raises:
        StageError: a track is of a style that the taxonomy does not have.
    """
    folder = settings.styles.folder(context.home)
    styles = load_styles(folder)
    vocabulary = load_vocabulary(folder).with_styles(styles.values())
    words = _Words(vocabulary, find_captioner(settings.captioner))
    rows = accepted_rows(context.inputs["curate"])
    (context.work / "tracks").mkdir()
    descriptions = []
    for number, row in enumerate(rows):
        context.emit(number, len(rows), "tracks", row.track)
        named = [find_style(styles, style_id, row.source) for style_id in row.style_ids]
        description = _describe(context, row, named, words)
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
    reports = _check_lyrics(context, rows, descriptions)
    return Outcome(facts=_facts(descriptions, reports))


def _describe(
    context: StageContext, row: Row, styles: Sequence[Style], words: _Words
) -> Description:
    audio = context.inputs["curate"] / row.file
    sound = decode(audio, keep_sec=ANALYSIS_SEC)
    music = analyse(sound, styles[0].tempo_bpm if styles else TEMPO_RANGE_BPM)
    lyrics = tidy_lyrics(_sidecar(context, row, "lyrics") or row.score.get("lyrics", ""))
    tempo_bpm = float(row.score.get("tempo_bpm") or music.tempo_bpm)
    prompt, prompt_from = _prompt(context, row, styles, lyrics, music)
    if len(prompt.encode()) > MAX_PROMPT_BYTES:
        context.warn(f"{row.source}: its prompt is longer than {MAX_PROMPT_BYTES} bytes")
    if prompt_from == "sidecar":
        _lint(context, row, prompt, words.vocabulary)
    clear_key = row.score.get("key") or (music.key if music.key_is_clear else "")
    facts = Facts(prompt, tempo_bpm, clear_key, music.brightness)
    captions = write_captions(facts, words.vocabulary)
    spoken = words.captioner.caption(audio, facts)
    return Description(
        track=row.track,
        prompt=prompt,
        lyrics=lyrics,
        tempo_bpm=round(tempo_bpm, 1),
        key=row.score.get("key") or music.key,
        style_ids=row.style_ids,
        duration_sec=row.duration_sec,
        prompt_from=prompt_from,
        brightness=music.brightness,
        captions={**captions, "descriptive": spoken} if spoken else captions,
    )


def _prompt(
    context: StageContext, row: Row, styles: Sequence[Style], lyrics: str, music: Music
) -> tuple[str, str]:
    """Give the prompt and where it is from."""
    given = join_tags(_sidecar(context, row, "prompt"))
    if given:
        return given, "sidecar"
    if row.score.get("prompt"):
        return str(row.score["prompt"]), "synthesiser"
    words = not is_instrumental(lyrics)
    has_voice = bool(styles) and styles[0].vocal
    heard = Heard(
        tempo_bpm=music.tempo_bpm,
        vocals=_VOICE_OF_ANY_KIND if words and not has_voice else "",
        key=music.key if music.key_is_clear else "",
        brightness=music.brightness,
        tags=row.review_tags,
    )
    if not styles:
        return describe_heard(heard), "sound"
    style, *others = styles
    if not words and not WORDLESS.intersection(style.tags["vocal_type"]):
        context.warn(
            f"{row.source}: {style.id} has words, but there are none for it; "
            f"put them in a _lyrics.txt beside it ({INSTRUMENTAL_LYRICS} is taken)"
        )
    seed = draw(context.seed, row.audio_sha256)
    return write_prompt(style, seed, heard, others), "style"


def _lint(context: StageContext, row: Row, prompt: str, vocabulary: Vocabulary) -> None:
    """Warn of what is wrong with a prompt that came with a track; it is used all the same."""
    found = [finding.message for finding in lint_prompt(prompt, vocabulary)]
    if found:
        more = len(found) - _SHOWN_FINDINGS
        told = found[:_SHOWN_FINDINGS] + ([f"and {more} more"] if more > 0 else [])
        context.warn(f"{row.source}: its prompt file: {'; '.join(told)}")


def _check_lyrics(
    context: StageContext, rows: Sequence[Row], descriptions: Sequence[Description]
) -> list[LyricsReport]:
    """Warn of what is odd in lyrics, and give the reports of those with words."""
    reports = []
    for row, description in zip(rows, descriptions, strict=True):
        if not is_instrumental(description.lyrics):
            reports.append(check_lyrics(description.lyrics))
            for warning in reports[-1].warnings:
                context.warn(f"{row.source}: its lyrics: {warning}")
    return reports


def _facts(
    descriptions: Sequence[Description], reports: Sequence[LyricsReport]
) -> Mapping[str, Any]:
    lines: Counter[str] = Counter()
    for report in reports:
        lines.update({code or "unknown": count for code, count in report.languages})
    prompts_from = Counter(description.prompt_from for description in descriptions)
    schemes = Counter(report.scheme for report in reports)
    return {
        "tracks": len(descriptions),
        "prompts_from": dict(sorted(prompts_from.items())),
        "with_words": len(reports),
        "lyric_lines_by_language": dict(sorted(lines.items())),
        "rhyme_schemes": dict(sorted(schemes.items())),
    }


def _sidecar(context: StageContext, row: Row, kind: str) -> str:
    if kind not in row.sidecars:
        return ""
    path = context.inputs["curate"] / "sidecars" / f"{row.track}_{kind}.txt"
    return path.read_text(encoding="utf-8")
