"""Encodes every track once: latents, lyric ids, and the states of every text it is trained with.

After this the DCAE and the text encoder are never needed for training again. Resumable per track:
finished shards are kept when the run is killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.data.descriptions import Description, read_descriptions
from lofi_engine.errors import StageError
from lofi_engine.models.loading import base_of, base_sources, load_base
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.threads import use_threads
from lofi_engine.training.encoded import (
    EncodedTrack,
    Features,
    other_texts_of,
    read_shard,
    read_warnings,
    write_index,
    write_shard,
)
from lofi_engine.training.texts import other_texts
from lofi_runtime.atomic import link_or_copy, read_json

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Base

VERSION = 3


@dataclass(frozen=True)
class Settings:
    """What shapes the encoded set besides the tracks."""

    base: model.Base


def settings(recipe: model.Recipe) -> Settings:
    """Take what encoding needs from the recipe."""
    return Settings(base_of(recipe))


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The base's own files shape the latents."""
    return base_sources(recipe)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Encode every track of the split into one shard each and write the index.

    What of a track's prompt or lyrics the model cannot take is a warning, and in the facts under
    the track's name.

    Raises:
        StageError: the base is not there, or a track of the split has no audio or cannot be
            encoded; names the track.
    """
    use_threads(context.threads)
    split = read_json(context.inputs["split"] / "split.json")
    described = {one.track: one for one in read_descriptions(context.inputs["describe"])}
    wanted = [(name, part) for part in ("train", "validation") for name in split[part]]
    base: Base | None = None
    index = []
    lost: dict[str, list[str]] = {}
    for number, (name, part) in enumerate(sorted(wanted)):
        shard = Path("shards") / f"{name}.safetensors"
        kept = context.progress / shard
        if not kept.is_file():
            base = base or load_base(settings.base, context.home)
            audio = _audio_of(context.inputs["curate"] / "tracks", name)
            try:
                features, warnings = _encode(base, audio, described[name])
            except StageError as error:
                raise StageError(f"{audio.name}: {error.message}", hint=error.hint) from error
            # Validation reads the prompt as it is written, nothing else.
            others = other_texts(described[name], context.seed) if part == "train" else {}
            write_shard(kept, features, warnings, _encode_texts(base, others))
        features, warnings = read_shard(kept), read_warnings(kept)
        if warnings:
            lost[name] = list(warnings)
        for warning in warnings:
            context.warn(f"{name}: {warning}")
        index.append(
            EncodedTrack(
                track=name,
                shard=shard.as_posix(),
                frames=features.latents.shape[-1],
                tokens=len(features.text_states),
                split=part,
                style_ids=described[name].style_ids,
                other_texts=other_texts_of(kept),
            )
        )
        context.emit(number + 1, len(wanted), "tracks", name)
    _collect(context, index)
    write_index(context.work, index)
    return Outcome(
        facts={
            "tracks": len(index),
            "frames": sum(track.frames for track in index),
            "texts": sum(1 + len(track.other_texts) for track in index),
            "warnings": lost,
        },
    )


def _encode(base: Base, audio: Path, described: Description) -> tuple[Features, tuple[str, ...]]:
    """Encode one track; with what of its text was lost."""
    import torch

    from lofi_engine.audio.decode import decode

    decoded = decode(audio)
    with torch.inference_mode():
        latents = base.encode_audio(decoded.samples, decoded.sample_rate)
        states, mask = base.encode_text([described.prompt])
    if not bool(torch.isfinite(latents).all()):
        raise StageError("its latents are not finite", hint="check the base")
    features = Features(
        latents=latents.float(),
        text_states=states[0][mask[0].bool()].float(),
        lyric_ids=torch.tensor(base.lyric_ids(described.lyrics), dtype=torch.int64),
    )
    return features, base.text_warnings(described.prompt, described.lyrics)


def _encode_texts(base: Base, texts: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Give the states of texts, (tokens, width), by name."""
    import torch

    if not texts:
        return {}
    with torch.inference_mode():
        states, mask = base.encode_text(list(texts.values()))
    return {
        name: one[kept].float() for name, one, kept in zip(texts, states, mask.bool(), strict=True)
    }


def _audio_of(folder: Path, name: str) -> Path:
    for path in sorted(folder.glob(f"{name}.*")):
        if path.suffix in {".mp3", ".flac", ".wav"}:
            return path
    raise StageError(f"{name}: no audio in {folder.name}", hint="run again with --from curate")


def _collect(context: StageContext, index: list[EncodedTrack]) -> None:
    # A second name for the same bytes: whatever fails from here on, the progress stays whole.
    for track in index:
        target = context.work / track.shard
        target.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(context.progress / track.shard, target)
