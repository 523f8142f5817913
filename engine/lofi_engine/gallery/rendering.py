"""Renders a gallery: one clip and one picture a style, then the page that shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.audio.vorbis import write_vorbis
from lofi_engine.errors import StageError
from lofi_engine.gallery.page import GENERATOR, write_page
from lofi_runtime.atomic import replacing, write_text
from lofi_runtime.styles.taxonomy import Style, find_style, load_styles

PAGE_NAME = "index.html"
DURATION_LIMITS_SEC = (5, 600)
LICENSE = "CC0-1.0"
_QUALITY = 0.4  # of Vorbis, 0 is the best; about 128 kbit/s for what lofi has

Progress = Callable[[int, int, str], None]
"""`progress(done, total, style_id)`: before each style, and once at the end with ""."""


@dataclass(frozen=True)
class Clip:
    """One style as it was rendered.

    Args:
        style: the style.
        audio: file name of the clip, relative to the page.
        picture: file name of the spectrogram, relative to the page.
        said: what `lofi_runtime.synth.describe` says of it.
    """

    style: Style
    audio: str
    picture: str
    said: dict[str, Any]


def render_gallery(
    folder: Path,
    style_ids: Sequence[str],
    duration_sec: int,
    seed: int,
    on_progress: Progress,
) -> Path:
    """Render styles into a folder that a browser can open, with nothing but what lies in it.

    A gallery made before in the same folder is replaced file by file; nothing else is touched.
    Equal arguments give the same sound.

    Args:
        folder: where to; made where it is missing.
        style_ids: which styles, in the page's order; none means all.
        duration_sec: of each clip, 5 to 600.
        seed: 0 or more; another seed renders other pieces.
        on_progress: told of each style; what it raises ends the work.

    Returns:
        The page, `folder/index.html`.

    Raises:
        StyleError: there is no such style.
        StageError: the folder holds a page that is not a gallery, cannot be written, or the
            duration or the seed is out of range.
    """
    taxonomy = load_styles()
    chosen = [find_style(taxonomy, name) for name in dict.fromkeys(style_ids)]
    chosen = chosen or list(taxonomy.values())
    _check(folder, duration_sec, seed)
    page = folder / PAGE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clips = []
        for done, style in enumerate(chosen):
            on_progress(done, len(chosen), style.id)
            clips.append(_render(folder, style, duration_sec, seed))
        write_text(page, write_page(clips, duration_sec, seed))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StageError(f"{folder}: the gallery cannot be written: {reason}") from error
    on_progress(len(chosen), len(chosen), "")
    return page


def _check(folder: Path, duration_sec: int, seed: int) -> None:
    low, high = DURATION_LIMITS_SEC
    if not low <= duration_sec <= high:
        raise StageError(f"a clip of {duration_sec} s: {low} to {high} s are possible")
    if seed < 0:
        raise StageError(f"seed {seed}: it must be 0 or more")
    if folder.exists() and not folder.is_dir():
        raise StageError(f"{folder}: is a file; name a folder for the gallery")
    page = folder / PAGE_NAME
    if page.is_file() and GENERATOR not in page.read_text(encoding="utf-8", errors="replace"):
        raise StageError(f"{page}: is not a gallery and will not be replaced; name another folder")


def _render(folder: Path, style: Style, duration_sec: int, seed: int) -> Clip:
    from lofi_engine.gallery.spectrogram import draw_spectrogram
    from lofi_runtime.backend import SAMPLE_RATE
    from lofi_runtime.synth import compose, describe, render

    score = compose("", seed=seed, duration_sec=float(duration_sec), style=style.id)
    samples = render(score)
    audio, picture = f"{style.id}.ogg", f"{style.id}.png"
    with replacing(folder / audio) as aside:
        write_vorbis(aside, samples, SAMPLE_RATE, _tags(style), _QUALITY)
    with replacing(folder / picture) as aside:
        draw_spectrogram(aside, samples, SAMPLE_RATE)
    return Clip(style, audio, picture, describe(score))


def _tags(style: Style) -> dict[str, str]:
    from lofi_runtime.audio_file import generated_tags
    from lofi_runtime.synth import ProceduralBackend

    return generated_tags(
        model=ProceduralBackend.model_version, license=LICENSE, title=f"{style.id} {style.name}"
    )
