"""What a base is made of and how long it is taught: `recipes/nano-base.yaml`, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lofi_engine.errors import StageError
from lofi_runtime.atomic import read_json
from lofi_runtime.shared_data import shared_folder

SCHEMA_FILE = "base.v1.schema.json"
_WINDOWS_SEC = {"dcae": (0.0, 0.1), "vocoder": (0.05, 0.2), "sound": (0.15, 0.5)}
"""The shortest window, half of the longest spectrum that hears it, and what a track must have
besides: the frames around the window, and what is no whole frame."""
_ONLY_OF = {"robust_from": ("dcae",), "adversarial_from": ("vocoder", "sound")}
"""Keys that other networks have no use for."""


@dataclass(frozen=True)
class TrackSettings:
    """Which pieces are synthesised.

    Args:
        per_style: pieces of each of the 38 styles.
        per_plain: pieces of each plain genre.
        held_out_per_style: more of them that nothing is trained on.
        held_out_per_plain: likewise.
        duration_sec: of each.
    """

    per_style: int
    per_plain: int
    held_out_per_style: int
    held_out_per_plain: int
    duration_sec: float


@dataclass(frozen=True)
class StepSettings:
    """How one network is taught.

    Args:
        steps: optimizer steps.
        batch_size: windows in each.
        window_sec: length of a window.
        learning_rate: at its highest; it warms up and falls along a cosine.
        tracks: how many of the pieces, from the first; 0 takes all.
        warmup_steps: until the learning rate is reached.
        weight_decay: of AdamW.
        ema: what the running mean of the weights keeps at each step; the mean is what is shipped.
        robust_from: from this step on the DCAE's latents are decoded with much noise on them, so
            that it forgives what a small transformer gets wrong; 0 never.
        adversarial_from: from this step on discriminators judge the sound too; 0 never.
        precision: of the arithmetic, "fp32" or "bf16"; weights stay in float32.
    """

    steps: int
    batch_size: int
    window_sec: float
    learning_rate: float
    tracks: int = 0
    warmup_steps: int = 100
    weight_decay: float = 0.0
    ema: float = 0.999
    robust_from: int = 0
    adversarial_from: int = 0
    precision: str = "fp32"


@dataclass(frozen=True)
class BaseSettings:
    """A base's recipe.

    Args:
        name: what the base is called.
        seed: of every draw.
        tracks: what it hears.
        networks: their configurations by the published layout's folder names.
        dcae: how the autoencoder is taught.
        vocoder: how the vocoder is taught.
        sound: how the DCAE's decoder and the vocoder are taught together.
        transformer: how the transformer is taught, text and lyric encoders with it.
    """

    name: str
    seed: int
    tracks: TrackSettings
    networks: Mapping[str, Mapping[str, Any]]
    dcae: StepSettings
    vocoder: StepSettings
    sound: StepSettings
    transformer: StepSettings

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a base's recipe and check it against `schemas/base.v1.schema.json`.

        Raises:
            StageError: it cannot be read, or a value is not as the schema says; names file, key
                and value.
        """
        read = _read_yaml(path)
        _check(path, read)
        kinds = {"tracks": TrackSettings, "dcae": StepSettings}
        kinds |= dict.fromkeys(("vocoder", "sound", "transformer"), StepSettings)
        parts: dict[str, Any] = {key: kind(**read[key]) for key, kind in kinds.items()}
        _check_steps(path, read)
        return cls(name=read["name"], seed=read["seed"], networks=read["networks"], **parts)


def _read_yaml(path: Path) -> Any:
    from lofi_runtime.styles.plain_yaml import read_plain_yaml

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StageError(f"{path}: is not UTF-8 text") from error
    content, faults = read_plain_yaml(text)
    if faults:
        raise StageError(f"{path}:{faults[0]}")
    return content


def _check_steps(path: Path, read: Mapping[str, Any]) -> None:
    """Refuse windows that no track holds or no spectrum fits, and keys without effect."""
    for name, (shortest_sec, around_sec) in _WINDOWS_SEC.items():
        window_sec, longest_sec = (
            read[name]["window_sec"],
            read["tracks"]["duration_sec"] - around_sec,
        )
        if not shortest_sec <= window_sec <= longest_sec:
            raise StageError(
                f"{path}: {name}.window_sec: {window_sec:g} is outside {shortest_sec:g} to "
                f"{longest_sec:g}",
                hint="a window must fit into a track: tracks.duration_sec",
            )
    for name in ("dcae", "vocoder", "sound", "transformer"):
        for key, owners in _ONLY_OF.items():
            if key in read[name] and name not in owners:
                raise StageError(
                    f"{path}: {name}.{key}: has no effect there",
                    hint=f"it belongs to {' and '.join(owners)}",
                )


def _check(path: Path, content: Any) -> None:
    from jsonschema import Draft202012Validator

    schema = read_json(shared_folder("schemas") / SCHEMA_FILE)
    faults = sorted(
        Draft202012Validator(schema).iter_errors(content), key=lambda fault: list(fault.path)
    )
    if faults:
        where = ".".join(str(part) for part in faults[0].absolute_path)
        raise StageError(
            f"{path}: {where + ': ' if where else ''}{faults[0].message}",
            hint="schemas/base.v1.schema.json lists the keys; recipes/nano-base.yaml is an example",
        )
