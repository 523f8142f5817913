"""A bundle's manifest as typed values; the contract is `schemas/manifest.v1.schema.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from lofi_runtime.pipeline.costs import evaluation_rows

FORMAT = 1
GUIDED = 15.0
"""A guidance scale; any that guides asks for as many rows."""
"""The manifest format this version reads and writes."""
IDENTITY_DIGITS = 16


@dataclass(frozen=True)
class FileRecord:
    """One file of a bundle."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class InputRecord:
    """One input of a graph."""

    name: str
    dtype: str

    def __str__(self) -> str:
        """Give name and type as errors tell them."""
        return f"{self.name!r} ({self.dtype})"


@dataclass(frozen=True)
class GraphRecord:
    """What a graph takes.

    Args:
        inputs: those a caller must give, in the graph's own order.
        optional_inputs: those with a default, given by name.
    """

    inputs: tuple[InputRecord, ...]
    optional_inputs: tuple[InputRecord, ...] = ()


@dataclass(frozen=True)
class Speed:
    """How fast a render was, on some machine.

    Args:
        render_time_ratio: seconds for a second of sound.
        after_time_ratio: those of them after the denoising; 0 where nobody measured it.
        steps: the render's denoising steps, by Euler and guided.
    """

    render_time_ratio: float
    after_time_ratio: float = 0.0
    steps: int = 0

    @property
    def after_rows(self) -> float | None:
        """What follows the denoising, in rows of the network; None where nobody measured it.

        It holds for any machine, duration and number of steps as far as all of them speed up alike.
        """
        denoise_time_ratio = self.render_time_ratio - self.after_time_ratio
        if not (self.after_time_ratio and self.steps) or denoise_time_ratio <= 0:
            return None
        rows = sum(evaluation_rows(self.steps, "euler", GUIDED))
        return self.after_time_ratio / denoise_time_ratio * rows


@dataclass(frozen=True)
class PipelineConfig:
    """The figures the pipeline needs; the defaults are ACE-Step v1's.

    Args:
        latent_channels: channels of the latents.
        latent_height: height of the latents.
        text_width: width of the text encoder's hidden states.
        speaker_width: width of the speaker embedding.
        context_width: width of what the decoder attends to.
        mel_channels: mel bands.
        mel_frames_per_latent: mel frames for one latent frame.
        hop: samples for one mel frame.
        sample_rate: of the vocoder's waveform, in Hz.
        max_text_tokens: a prompt is cut there.
        max_lyric_tokens: lyrics are cut there.
        min_duration_sec: shortest track.
        max_duration_sec: longest track.
        shift: timestep shift of the schedule.
        model: the family's own configuration.
    """

    latent_channels: int = 8
    latent_height: int = 16
    text_width: int = 768
    speaker_width: int = 512
    context_width: int = 2560
    mel_channels: int = 128
    mel_frames_per_latent: int = 8
    hop: int = 512
    sample_rate: int = 44_100
    max_text_tokens: int = 256
    max_lyric_tokens: int = 4096
    min_duration_sec: int = 5
    max_duration_sec: int = 240
    shift: float = 3.0
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def samples_per_latent(self) -> int:
        """Samples at `sample_rate` for one latent frame."""
        return self.hop * self.mel_frames_per_latent

    def frames(self, duration_sec: int) -> int:
        """Give the latent frames that hold `duration_sec`, rounded up."""
        return -(-duration_sec * self.sample_rate // self.samples_per_latent)


@dataclass(frozen=True)
class Manifest:
    """What a bundle is, as far as it is read here; the schema has every field and its meaning.

    Args:
        name: the bundle's folder name.
        version: the model's release.
        variant: the precision.
        files: every file of the bundle but the manifest, by name.
        graphs: what every graph takes, by file name.
        oldest_onnxruntime: the oldest ONNX Runtime that loads every graph.
        widths: for every component, weights by how many bits each is stored in.
        license: SPDX identifier.
        config: the figures the pipeline needs.
        measured: how fast it rendered on the publisher's machine, by execution provider.
    """

    name: str
    version: str
    variant: str
    files: Mapping[str, FileRecord]
    graphs: Mapping[str, GraphRecord]
    oldest_onnxruntime: str
    widths: Mapping[str, Mapping[int, int]]
    license: str
    config: PipelineConfig
    measured: Mapping[str, Speed] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files.values())

    @property
    def identity(self) -> str:
        """16 hex digits for what the bundle plays: its files' hashes and its pipeline's figures.

        Another name or release of the same content has the same one; the same name and release
        with other weights has not.
        """
        hashes = {name: file.sha256 for name, file in self.files.items()}
        return short_hash({"files": hashes, "config": asdict(self.config)})

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Manifest:
        """Build from a mapping that was checked against the schema."""
        return cls(
            name=record["name"],
            version=record["version"],
            variant=record["variant"],
            files={name: FileRecord(**file) for name, file in record["files"].items()},
            graphs={name: _graph(graph) for name, graph in record["graphs"].items()},
            oldest_onnxruntime=record["oldest_onnxruntime"],
            widths={
                component: {int(bits): count for bits, count in histogram.items()}
                for component, histogram in record["widths"].items()
            },
            license=record["license"],
            config=PipelineConfig(**record["config"]),
            measured=_speeds(record.get("measured", {})),
        )


def short_hash(value: Any) -> str:
    """Give the first 16 hex digits of the sha256 of `value` as JSON with sorted keys."""
    text = json.dumps(value, sort_keys=True)
    return sha256(text.encode()).hexdigest()[:IDENTITY_DIGITS]


def _speeds(measured: Mapping[str, Any]) -> dict[str, Speed]:
    """Pick the figures out of a record that may hold anything else."""
    found = {}
    for provider, figures in measured.items():
        if not isinstance(figures, Mapping):
            continue
        numbers = {
            name: float(value)
            for name in ("render_time_ratio", "after_time_ratio", "steps")
            if isinstance(value := figures.get(name), int | float) and value > 0
        }
        if "render_time_ratio" in numbers:
            found[provider] = Speed(
                numbers["render_time_ratio"],
                numbers.get("after_time_ratio", 0.0),
                int(numbers.get("steps", 0)),
            )
    return found


def _graph(record: Mapping[str, Any]) -> GraphRecord:
    # Bundles from before graphs had optional inputs do not name them.
    return GraphRecord(_inputs(record["inputs"]), _inputs(record.get("optional_inputs", ())))


def _inputs(records: Iterable[Mapping[str, Any]]) -> tuple[InputRecord, ...]:
    return tuple(InputRecord(record["name"], record["dtype"]) for record in records)
