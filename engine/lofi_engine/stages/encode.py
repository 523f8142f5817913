"""Encodes every track once: latents, lyric ids, the states of every text it is trained with.

And, if asked, what audio models hear in it. After this neither the DCAE, nor the text encoder, nor
those models are needed for training again. One of them is in memory at a time. Resumable per track
and model: what is finished is kept when the run is killed. The progress is of one key, which
precision and models are part of, so shards of other settings never mix in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.data.descriptions import Description, read_descriptions
from lofi_engine.errors import StageError
from lofi_engine.measuring.locations import folders_of, pinned
from lofi_engine.models.loading import base_of, base_sources, load_base
from lofi_engine.models.weight_files import open_weights
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.tensors import save_tensors
from lofi_engine.threads import use_threads
from lofi_engine.training.encoded import EncodedTrack, write_index
from lofi_engine.training.features import Features
from lofi_engine.training.shards import (
    ShardHeader,
    in_precision,
    read_header,
    read_tensor,
    write_shard,
)
from lofi_engine.training.ssl_features import KINDS, SslModel, load_ssl_model
from lofi_engine.training.texts import other_texts
from lofi_runtime.atomic import link_or_copy, read_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from lofi_engine.models.family import Base

VERSION = 4


@dataclass(frozen=True)
class Settings:
    """What shapes the encoded set besides the tracks.

    Args:
        base: what encodes.
        latents_precision: of everything encoded, on disk.
        ssl: by audio model whose features are wanted, where it lies; empty for none.
    """

    base: model.Base
    latents_precision: str
    ssl: Mapping[str, str]


def settings(recipe: model.Recipe) -> Settings:
    """Take what encoding needs from the recipe."""
    ssl = {name: pinned(location) for name, location in _ssl_locations(recipe).items()}
    return Settings(base_of(recipe), recipe.training.latents_precision, ssl)


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The base's own files shape the latents, the audio models' own the features."""
    return (*base_sources(recipe), *folders_of(_ssl_locations(recipe).values(), recipe.home))


def _ssl_locations(recipe: model.Recipe) -> dict[str, str]:
    ssl = recipe.training.ssl
    return {name: getattr(ssl, name) for name in KINDS} if ssl else {}


@dataclass(frozen=True)
class _Track:
    """A track of the split, its audio, and where the run keeps what it has of it."""

    name: str
    part: str
    described: Description
    audio: Path
    progress: Path

    @property
    def shard(self) -> str:
        """Its shard, relative to the encoded set."""
        return f"shards/{self.name}.safetensors"

    @property
    def kept(self) -> Path:
        """Its finished shard."""
        return self.progress / self.shard

    def heard(self, ssl_name: str) -> Path:
        """What an audio model heard in it, until its shard has that."""
        return self.progress / "ssl" / ssl_name / f"{self.name}.safetensors"


class _Counter:
    """Reports one track after another, in all passes over them."""

    def __init__(self, context: StageContext, total: int, unit: str) -> None:
        self._context, self._total, self._unit = context, total, unit
        self._done = 0

    def count(self, message: str) -> None:
        self._done += 1
        self._context.emit(self._done, self._total, self._unit, message)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Encode every track of the split into one shard each and write the index.

    What of a track's prompt or lyrics the model cannot take is a warning, and in the facts under
    the track's name. What an earlier run left damaged is made again.

    Raises:
        StageError: the base or an audio model is not there, or a track of the split has no audio
            or cannot be encoded; names the track.
    """
    use_threads(context.threads)
    tracks = _tracks(context)
    unit = "tracks and models" if settings.ssl else "tracks"
    training = [track for track in tracks if track.part == "train"]
    counter = _Counter(context, len(tracks) + len(training) * len(settings.ssl), unit)
    for name in settings.ssl:
        _hear(context, settings, name, training, counter)
    headers = _encode(context, settings, tracks, counter)
    index = [_row(track, headers[track.name]) for track in tracks]
    for row in index:
        _link(context, row.shard)
    write_index(context.work, index, base=headers[tracks[0].name].base if tracks else "")
    return Outcome(
        facts={
            "tracks": len(index),
            "frames": sum(row.frames for row in index),
            "texts": sum(1 + len(row.other_texts) for row in index),
            "ssl_frames": {
                name: sum(header.ssl_frames.get(name, 0) for header in headers.values())
                for name in settings.ssl
            },
            "warnings": {
                name: list(header.warnings) for name, header in headers.items() if header.warnings
            },
        },
    )


def _tracks(context: StageContext) -> list[_Track]:
    split = read_json(context.inputs["split"] / "split.json")
    described = {one.track: one for one in read_descriptions(context.inputs["describe"])}
    audio = context.inputs["curate"] / "tracks"
    wanted = sorted((name, part) for part in ("train", "validation") for name in split[part])
    return [
        _Track(name, part, described[name], _audio_of(audio, name), context.progress)
        for name, part in wanted
    ]


def _audio_of(folder: Path, name: str) -> Path:
    for path in sorted(folder.glob(f"{name}.*")):
        if path.suffix in {".mp3", ".flac", ".wav"}:
            return path
    raise StageError(f"{name}: no audio in {folder.name}", hint="run again with --from curate")


def _hear(
    context: StageContext,
    settings: Settings,
    name: str,
    tracks: Sequence[_Track],
    counter: _Counter,
) -> None:
    """Let one audio model hear every training track that has no shard yet."""
    ssl_model: SslModel | None = None
    for track in tracks:
        heard = track.heard(name)
        if not _is_kept(context, track.kept) and not _is_kept(context, heard):
            if ssl_model is None:
                ssl_model = load_ssl_model(name, settings.ssl[name], context.home)
            with _naming(track.audio):
                features = ssl_model.features(*_decoded(track.audio))
                tensors = in_precision({name: features}, settings.latents_precision)
            heard.parent.mkdir(parents=True, exist_ok=True)
            save_tensors(heard, tensors)
        counter.count(f"{track.name} ({name})")


def _encode(
    context: StageContext, settings: Settings, tracks: Sequence[_Track], counter: _Counter
) -> dict[str, ShardHeader]:
    """Write the shard of every track that has none yet; give what each holds."""
    base: Base | None = None
    headers = {}
    for track in tracks:
        if not _is_kept(context, track.kept):
            if base is None:
                base = load_base(settings.base, context.home)
                # Most of the base's memory, and nothing is asked of it here.
                base.transformer.to("meta")
            with _naming(track.audio):
                _write(base, track, context.seed, settings)
        header = headers[track.name] = read_header(track.kept)
        for warning in header.warnings:
            context.warn(f"{track.name}: {warning}")
        counter.count(track.name)
    return headers


def _write(base: Base, track: _Track, seed: int, settings: Settings) -> None:
    """Encode one track into its shard, with what the audio models heard in it."""
    features, warnings = _features(base, track)
    # Validation reads latents and the prompt as it is written, nothing else.
    heard, others = {}, {}
    if track.part == "train":
        heard = {name: track.heard(name) for name in settings.ssl}
        others = other_texts(track.described, seed)
    write_shard(
        track.kept,
        replace(features, ssl={name: read_tensor(path, name) for name, path in heard.items()}),
        warnings,
        _encode_texts(base, others),
        precision=settings.latents_precision,
        base=base.identity,
    )
    for path in heard.values():
        path.unlink()


def _features(base: Base, track: _Track) -> tuple[Features, tuple[str, ...]]:
    """Encode one track; with what of its text was lost."""
    import torch

    described = track.described
    with torch.inference_mode():
        latents = base.encode_audio(*_decoded(track.audio))
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


def _decoded(audio: Path) -> tuple[npt.NDArray[np.float32], int]:
    from lofi_engine.audio.decode import decode

    decoded = decode(audio)
    return decoded.samples, decoded.sample_rate


@contextlib.contextmanager
def _naming(audio: Path) -> Iterator[None]:
    """Let an error say which track it is about."""
    try:
        yield
    except StageError as error:
        raise StageError(f"{audio.name}: {error.message}", hint=error.hint) from error


def _is_kept(context: StageContext, path: Path) -> bool:
    """Say whether an earlier run left a file whole; a damaged one is removed with a warning."""
    if not path.is_file():
        return False
    try:
        with open_weights(path):
            return True
    except StageError as error:
        context.warn(f"{path.name}: left damaged, made again ({error.message})")
        path.unlink()
        return False


def _row(track: _Track, header: ShardHeader) -> EncodedTrack:
    return EncodedTrack(
        track=track.name,
        shard=track.shard,
        frames=header.frames,
        tokens=header.tokens,
        split=track.part,
        style_ids=track.described.style_ids,
        other_texts=header.other_texts,
    )


def _link(context: StageContext, shard: str) -> None:
    # A second name for the same bytes: whatever fails from here on, the progress stays whole.
    target = context.work / shard
    target.parent.mkdir(parents=True, exist_ok=True)
    link_or_copy(context.progress / shard, target)
