"""The clips a checkpoint is heard by: prompts of held-out tracks at fixed seeds, and what is heard.

Every checkpoint and the base are asked for the same clips. Of a clip only what the terms need is
kept, its windows' vectors and its prompt score: that is small, and a stopped run goes on from it.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.data.descriptions import Description
from lofi_engine.errors import MetricError
from lofi_engine.measuring.clip_sets import RenderedClips
from lofi_engine.metrics.clap import ClapScore
from lofi_engine.metrics.clips import ClipFacts
from lofi_engine.metrics.embedded import EmbeddedSet, embed_set
from lofi_engine.metrics.embeddings.sound import SoundEmbedding

if TYPE_CHECKING:
    from lofi_engine.models.family import Base

OnClip = Callable[[int, int], None]
"""Called with the clips done, of how many."""


@dataclass(frozen=True)
class AskedClip:
    """One clip that is asked for.

    Args:
        name: unique.
        facts: prompt, style, lyrics and seed.
    """

    name: str
    facts: ClipFacts


@dataclass(frozen=True)
class Heard:
    """What is kept of a checkpoint's clips.

    Args:
        vectors: of each clip's windows, by `SoundEmbedding`; none where `unheard` says why.
        prompt_scores: each clip's CLAP score; none where no model listens.
        unheard: why its clips give no figure, such as one that is silent; "" where they do.
    """

    vectors: Mapping[str, Sequence[Sequence[float]]]
    prompt_scores: Mapping[str, float]
    unheard: str = ""

    def embedded(self, label: str) -> EmbeddedSet:
        """Give the clips as the Fréchet distance takes them."""
        import numpy as np

        embedding = SoundEmbedding()
        return EmbeddedSet(
            label=label,
            names=tuple(sorted(self.vectors)),
            vectors={name: np.array(rows) for name, rows in self.vectors.items()},
            content_hash="",
            embedding_name=embedding.name,
            window_sec=embedding.window_sec,
            hop_sec=embedding.hop_sec,
        )

    def as_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return dict(vars(self))


def ask_for(described: Iterable[Description], count: int) -> tuple[AskedClip, ...]:
    """Choose whose prompts are asked for: one track of each style, then the next of each.

    Args:
        described: the tracks that checkpoints are judged on; at least one.
        count: of clips. Where there are fewer tracks, they come again with other seeds.
    """
    by_style: dict[str, list[Description]] = defaultdict(list)
    for one in sorted(described, key=lambda one: one.track):
        by_style[_style(one)].append(one)
    turns = sorted(
        (turn, style) for style, tracks in by_style.items() for turn in range(len(tracks))
    )
    order = [by_style[style][turn] for turn, style in turns]
    chosen = [order[number % len(order)] for number in range(count)]
    return tuple(
        AskedClip(
            f"{number + 1:04d}-{one.track}",
            ClipFacts(prompt=one.prompt, style=_style(one), lyrics=one.lyrics, seed=number),
        )
        for number, one in enumerate(chosen)
    )


def render_clips(
    base: Base,
    asked: Sequence[AskedClip],
    clips: RenderedClips,
    *,
    duration_sec: int,
    steps: int,
    on_clip: OnClip,
) -> None:
    """Render all clips with the transformer as it is now.

    Args:
        base: its transformer may carry an adapter.
        asked: what to render.
        clips: where to.
        duration_sec: of each clip.
        steps: of denoising.
        on_clip: called before each clip.

    Raises:
        BackendError: the model gave values that are not numbers.
        StageError: there are lyrics, but the base has no lyric vocabulary.
    """
    from lofi_engine.training.samples import render_prompt

    for number, one in enumerate(asked):
        on_clip(number, len(asked))
        audio = render_prompt(
            base,
            one.facts.prompt,
            lyrics=one.facts.lyrics,
            seed=one.facts.seed or 0,
            duration_sec=duration_sec,
            steps=steps,
        )
        clips.add(one.name, audio.samples, one.facts)


def hear(clips: RenderedClips, clap: ClapScore | None) -> Heard:
    """Listen to clips; what cannot be measured, such as silence, is told and no error."""
    try:
        embedded = embed_set(clips, SoundEmbedding(), _ignore)
        scores: Mapping[str, float] = {}
        if clap is not None:
            (figure,) = clap.measure(clips, None, _ignore)
            scores = figure.each
    except MetricError as error:
        return Heard({}, {}, error.message)
    return Heard({name: rows.tolist() for name, rows in embedded.vectors.items()}, scores)


def forget(folder: Path) -> None:
    """Remove rendered clips: a minute of sound is 23 MB."""
    shutil.rmtree(folder, ignore_errors=True)


def _style(described: Description) -> str:
    return described.style_ids[0] if described.style_ids else ""


def _ignore(_done: int, _total: int, _name: str) -> None:
    """Draw no progress."""
