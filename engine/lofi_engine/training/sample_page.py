"""Writes the page of a suite's clips: the base beside the adapter at every step, no network."""

from __future__ import annotations

import html
from importlib.resources import files
from pathlib import Path

from lofi_engine.errors import StageError
from lofi_engine.gallery.spectrogram import HEIGHT, WIDTH
from lofi_engine.training.sample_prompts import SamplePrompt
from lofi_engine.training.sample_record import BASE, Clip, SampleRecord

PAGE_NAME = "index.html"
GENERATOR = '<meta name="generator" content="lofi-recipe samples">'
"""What tells our page from somebody else's."""


def check_page(path: Path) -> None:
    """See that a page may be written.

    Raises:
        StageError: there is one that is not ours.
    """
    if path.is_file() and GENERATOR not in path.read_text(encoding="utf-8", errors="replace"):
        raise StageError(
            f"{path}: is not a page of samples and will not be replaced", hint="move it away"
        )


def write_page(record: SampleRecord) -> str:
    """Write the page for clips that lie beside it.

    Returns:
        A whole HTML document; the same record gives the same text.
    """
    template = (files(__package__) / "sample_page.html").read_text(encoding="utf-8")
    parts = {
        "generator": GENERATOR,
        "base": html.escape(record.base),
        "facts": html.escape(
            f"{len(record.prompts)} prompts, clips of {record.duration_sec} s, seed {record.seed}, "
            f"{record.inference_steps} denoising steps"
        ),
        "guidance": html.escape(record.guidance),
        "prompts": "\n".join(_section(prompt, record) for prompt in record.prompts),
    }
    for name, text in parts.items():
        template = template.replace(f"<!--{name}-->", text)
    return template


def _section(prompt: SamplePrompt, record: SampleRecord) -> str:
    trained = {0: "not trained on", 1: "1 training track"}.get(
        prompt.tracks, f"{prompt.tracks} training tracks"
    )
    sung = (
        f"<details><summary>lyrics</summary><pre>{html.escape(prompt.lyrics)}</pre></details>"
        if prompt.lyrics
        else ""
    )
    strip = "\n".join(
        _figure(name, prompt, record.rounds[name][prompt.style]) for name in _order(record)
    )
    return (
        f'<section id="{html.escape(prompt.style)}"><h2>{html.escape(prompt.name)} '
        f"<code>{html.escape(prompt.style)}</code> <small>{html.escape(prompt.group)}, "
        f"{trained}</small></h2>"
        f"<p>{html.escape(prompt.prompt)}</p>{sung}"
        f'<div class="strip" tabindex="0">\n{strip}\n</div></section>'
    )


def _order(record: SampleRecord) -> list[str]:
    """Put the base first and the newest beside it."""
    steps = sorted((name for name in record.rounds if name != BASE), reverse=True)
    return [name for name in (BASE,) if name in record.rounds] + steps


def _figure(name: str, prompt: SamplePrompt, clip: Clip) -> str:
    label = "base" if name == BASE else f"step {int(name.rpartition('-')[2])}"
    said = html.escape(f"{prompt.style}, {label}")
    distance = "" if name == BASE else f" <b>{clip.distance_db:.1f} dB from the base</b>"
    warned = "".join(f"<p>{html.escape(warning)}</p>" for warning in clip.warnings)
    return (
        f'<figure data-round="{html.escape(name)}">'
        f"<figcaption>{label}{distance}</figcaption>"
        f'<div class="picture"><img src="{html.escape(clip.picture)}" width="{WIDTH}" '
        f'height="{HEIGHT}" loading="lazy" alt="Spectrogram of {said}"><i></i></div>'
        f'<audio controls preload="none" src="{html.escape(clip.audio)}" aria-label="{said}">'
        f"</audio>{warned}</figure>"
    )
