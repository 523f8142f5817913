"""A bundle's manifest as typed values; the contract is `schemas/manifest.v1.schema.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

FORMAT = 1
"""The manifest format this version reads and writes."""


@dataclass(frozen=True)
class FileRecord:
    """One file of a bundle."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class TensorRecord:
    """One input or output of a graph; a free axis has a name instead of a number."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class GraphRecord:
    """One graph's interface, in the graph's own order."""

    inputs: tuple[TensorRecord, ...]
    outputs: tuple[TensorRecord, ...]


@dataclass(frozen=True)
class BaseRecord:
    """The model a bundle was made from."""

    model: str
    revision: str
    identity: str


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
    """What a bundle is and how it was made; see the schema for every field's meaning."""

    name: str
    version: str
    family: str
    base: BaseRecord
    variant: str
    recipe_sha256: str
    recipe_text: str
    git_revision: str
    files: Mapping[str, FileRecord]
    graphs: Mapping[str, GraphRecord]
    oldest_onnxruntime: str
    opset: int
    opset_reason: str
    widths: Mapping[str, Mapping[int, int]]
    coverage: float
    quality: Mapping[str, Any]
    license: str
    attributions: tuple[str, ...]
    ledger: Mapping[str, Any]
    config: PipelineConfig
    measured: Mapping[str, Any]

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files.values())

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Manifest:
        """Build from a mapping that was checked against the schema."""
        known = {item.name for item in fields(cls)}
        plain = {key: value for key, value in record.items() if key in known}
        widths = {
            component: {int(bits): count for bits, count in histogram.items()}
            for component, histogram in record["widths"].items()
        }
        return cls(
            **plain
            | {
                "base": BaseRecord(**record["base"]),
                "recipe_sha256": record["recipe"]["sha256"],
                "recipe_text": record["recipe"]["text"],
                "git_revision": record.get("git_revision", ""),
                "files": {name: FileRecord(**file) for name, file in record["files"].items()},
                "graphs": {name: _graph(graph) for name, graph in record["graphs"].items()},
                "opset": record["opset"]["version"],
                "opset_reason": record["opset"].get("reason", ""),
                "widths": widths,
                "quality": record.get("quality", {}),
                "attributions": tuple(record["attributions"]),
                "config": PipelineConfig(**record["config"]),
                "measured": record.get("measured", {}),
            }
        )


def _graph(record: Mapping[str, Any]) -> GraphRecord:
    return GraphRecord(_tensors(record["inputs"]), _tensors(record["outputs"]))


def _tensors(records: list[Mapping[str, Any]]) -> tuple[TensorRecord, ...]:
    return tuple(
        TensorRecord(record["name"], record["dtype"], tuple(record["shape"])) for record in records
    )
