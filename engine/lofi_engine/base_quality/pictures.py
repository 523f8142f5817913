"""Clips to hear and see: what the base makes of a caption, beside the piece it was written for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.audio.vorbis import write_vorbis
from lofi_engine.base_quality.bench import Ask, Bench
from lofi_engine.base_quality.material import Piece, captions_of, lyrics_of, play
from lofi_engine.markdown import plain
from lofi_runtime.atomic import replacing, write_text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

DURATION_SEC = 20
GROUPS = ("CORE", "SEASON", "INST", "VOCAL")
"""One clip of each; the last one is sung."""
PAGE = "clips.md"
_LICENSE = "CC0-1.0"
_QUALITY = 0.5
_GAP, _CAPTION = 8, 18
_INK, _PAPER = (32, 32, 32), (255, 255, 255)


def draw(bench: Bench, base_name: str, folder: Path) -> Path:
    """Write four clips of 20 s as Ogg Vorbis, their spectrograms as PNG, and a page of both.

    Each picture shows the generated clip above the synthesised piece.

    Args:
        bench: its settings' duration does not count here.
        base_name: what the base is called; files begin with it.
        folder: made where it is missing; files of these names are replaced.

    Returns:
        The page.

    Raises:
        StageError: there is no held-out piece of a group.
        BackendError: the base gives values that are not numbers.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    long = bench.lasting(DURATION_SEC)
    lines = [f"# Clips of {plain(base_name)}", ""]
    for number, group in enumerate(GROUPS):
        bench.say(number, len(GROUPS), f"a clip of {group}")
        piece = _piece(bench, group)
        prompt, lyrics = captions_of(piece)[0], lyrics_of(piece)
        ask = Ask(piece.name, prompt, lyrics, bench.seed("pictures", number))
        name = f"{base_name}-{group.lower()}"
        generated, original = long.render(ask).samples, play(piece, DURATION_SEC).samples
        _write_sound(folder / f"{name}.ogg", generated, base_name, prompt)
        _write_picture(folder / f"{name}.png", generated, original)
        lines += _entry(name, ask)
    bench.say(len(GROUPS), len(GROUPS), "clips")
    page = folder / PAGE
    write_text(page, "\n".join(lines))
    return page


def _piece(bench: Bench, group: str) -> Piece:
    def wanted(piece: Piece) -> bool:
        is_sung = bool(lyrics_of(piece))
        return piece.style.startswith(f"{group}-") and is_sung == (group == "VOCAL")

    (piece,) = bench.material.held_out(1, wanted)
    return replace(piece, duration_sec=float(DURATION_SEC))


def _entry(name: str, ask: Ask) -> list[str]:
    lyrics = " / ".join(ask.lyrics.split("\n")) if ask.lyrics else "none"
    return [
        f"## {name}",
        "",
        f"[Listen]({name}.ogg). Prompt: {plain(ask.prompt)}. Lyrics: {plain(lyrics)}. "
        f"Seed {ask.seed}.",
        "",
        f"![Spectrograms: generated above, the synthesiser's piece below]({name}.png)",
        "",
    ]


def _write_sound(path: Path, samples: Samples, model: str, title: str) -> None:
    from lofi_runtime.audio_file import generated_tags
    from lofi_runtime.backend import SAMPLE_RATE

    tags = generated_tags(model=model, license=_LICENSE, title=title)
    with replacing(path) as aside:
        write_vorbis(aside, samples, SAMPLE_RATE, tags, _QUALITY)


def _write_picture(path: Path, generated: Samples, original: Samples) -> None:
    """Put two spectrograms one above the other, each under its caption."""
    import tempfile

    from PIL import Image, ImageDraw

    from lofi_engine.gallery.spectrogram import HEIGHT, WIDTH, draw_spectrogram
    from lofi_runtime.backend import SAMPLE_RATE

    each = _CAPTION + HEIGHT + _GAP
    sheet = Image.new("RGB", (WIDTH, 2 * each - _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    titled = {"generated": generated, "the synthesiser's piece": original}
    with tempfile.TemporaryDirectory() as scratch:
        for number, (title, samples) in enumerate(titled.items()):
            part = Path(scratch) / f"{number}.png"
            draw_spectrogram(part, samples, SAMPLE_RATE)
            pen.text((2, number * each + 3), title, fill=_INK)
            with Image.open(part) as picture:
                sheet.paste(picture.convert("RGB"), (0, number * each + _CAPTION))
    with replacing(path) as aside:
        sheet.quantize(160).save(aside, format="PNG", optimize=True)
