"""A track: all that shapes its sound, which is its id, and what is known of a finished one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lofi_runtime.audio_format import AudioFormat, audio_format

TRACK_ID_DIGITS = 16


@dataclass(frozen=True)
class TrackSpec:
    """Everything that shapes a track's sound, and nothing else.

    Args:
        prompt: 1 to 1000 bytes.
        duration_sec: whole seconds.
        seed: 0 to 2**53 - 1.
        lyrics: "" for an instrumental.
        style: a style's id or "".
        style_tags: what the style adds to the prompt; "" where the backend reads the style itself.
        backend: "procedural" or "ace_step".
        model_version: of what generates, for people.
        precision: the variant used; "" where the backend has none.
        inference_steps: None, like the two below, where the backend does not denoise.
        scheduler: "euler", "heun" or "pingpong".
        guidance_scale: 1 to 30.
        lora: the model by the name requests use; "" where the backend has one only.
        model_identity: of the bundle's content: one name and release may have had several.
        edit: what was made of which other track, see `edits.PlannedEdit`; None from noise alone.
        pipeline_version: of the code between the model's graphs (`pipeline.VERSION`); None where
            the backend does not use it.
    """

    prompt: str
    duration_sec: int
    seed: int
    lyrics: str
    style: str
    backend: str
    model_version: str
    style_tags: str = ""
    precision: str = ""
    inference_steps: int | None = None
    scheduler: str | None = None
    guidance_scale: float | None = None
    lora: str = ""
    edit: Mapping[str, Any] | None = None
    model_identity: str = ""
    pipeline_version: int | None = None

    @property
    def track_id(self) -> str:
        """16 lowercase hex digits: sha256 of the spec as JSON with sorted keys, cut."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:TRACK_ID_DIGITS]

    def to_request(self) -> dict[str, Any]:
        """Return what a backend's `Request` takes; what is None keeps the backend's default."""
        request = {key: value for key, value in self._asked().items() if key != "backend"}
        if self.style_tags:
            request["prompt"] = f"{self.prompt}, {self.style_tags}"
        if self.edit:
            request["edit"] = dict(self.edit)
        return request

    def to_params(self) -> dict[str, Any]:
        """Return the parameters of a `generate` that makes this track again."""
        chosen: dict[str, Any] = {"precision": self.precision, "lora": self.lora}
        if self.edit:
            told = ("source_seed", "source_sec")  # what the source itself says
            chosen["edit"] = {key: value for key, value in self.edit.items() if key not in told}
        return self._asked() | {name: value for name, value in chosen.items() if value}

    def _asked(self) -> dict[str, Any]:
        made_here = {
            "model_version", "model_identity", "pipeline_version", "style_tags", "precision",
            "lora", "edit",
        }  # fmt: skip
        return {
            key: value
            for key, value in asdict(self).items()
            if key not in made_here and value is not None
        }


@dataclass(frozen=True)
class Track:
    """A finished track in the store.

    Args:
        path: the audio file, absolute.
        sidecar: the whole record beside it.
    """

    path: Path
    sidecar: dict[str, Any]

    @property
    def audio_format(self) -> AudioFormat:
        """The form of the file; those made before it could be chosen are WAV of 16 bits."""
        name = self.sidecar.get("audio_format", "wav")
        return audio_format(name, self.sidecar.get("audio_bits"))

    def to_notification(self) -> dict[str, Any]:
        """Return the parameters of `generation_complete`."""
        spec = self.sidecar["spec"]
        return {
            "track_id": self.sidecar["track_id"],
            "path": str(self.path),
            "duration_sec": self.sidecar["duration_sec"],
            "sample_rate": self.sidecar["sample_rate"],
            "generation_time_sec": self.sidecar["generation_time_sec"],
            "backend": spec["backend"],
            "model_version": spec["model_version"],
            "seed": spec["seed"],
            "prompt": spec["prompt"],
            "warnings": self.sidecar["warnings"],
        }
