"""What the tensors of a LoRA file are called, here and elsewhere.

PEFT writes `base_model.model.MODULE.lora_A.weight`; diffusers `MODULE.lora_A.weight`, with a prefix
where a pipeline holds several networks; older diffusers `MODULE.lora.down.weight`; kohya's scripts
and ComfyUI's own `MODULE.lora_down.weight` with `MODULE.alpha`, where MODULE may have underscores
for dots.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PEFT_PREFIX = "base_model.model."
PREFIXES = (PEFT_PREFIX, "diffusion_model.", "transformer.", "model.")
"""What others write before a module's own name, the first that fits."""
UNDERSCORED = ("lora_unet_", "lora_transformer_", "lycoris_")

DOWN, UP = "lora_A.weight", "lora_B.weight"
UP_BIAS = "lora_B.bias"
TABLE_DOWN, TABLE_UP = "lora_embedding_A", "lora_embedding_B"
MAGNITUDE = "lora_magnitude_vector"
ALPHA = "alpha"
UPS = (UP, UP_BIAS, TABLE_UP)
"""What the adapter's scale multiplies."""

_ENDINGS = {
    DOWN: DOWN,
    UP: UP,
    UP_BIAS: UP_BIAS,
    TABLE_DOWN: TABLE_DOWN,
    TABLE_UP: TABLE_UP,
    MAGNITUDE: MAGNITUDE,
    f"{MAGNITUDE}.weight": MAGNITUDE,
    "lora_A.default.weight": DOWN,
    "lora_B.default.weight": UP,
    "lora_down.weight": DOWN,
    "lora_up.weight": UP,
    "lora.down.weight": DOWN,
    "lora.up.weight": UP,
    ALPHA: ALPHA,
    "dora_scale": MAGNITUDE,
}
_OTHER_KINDS = {
    "lokr_": "LoKr",
    "hada_": "LoHa",
    "oft_": "OFT",
    "ia3_": "IA3",
    ".diff": "whole weights",
}
_LONGEST_FIRST = sorted(map(re.escape, _ENDINGS), key=len, reverse=True)
_NAME = re.compile(rf"(?P<module>.+?)\.(?P<end>{'|'.join(_LONGEST_FIRST)})")


@dataclass(frozen=True)
class Parsed:
    """The tensors of a file, by what they are to a LoRA.

    Args:
        prefix: what stands before every module's name.
        parts: by module, the tensors' names by what they are (`DOWN`, `UP`, ...).
        others: names that are no LoRA's.
    """

    prefix: str
    parts: Mapping[str, Mapping[str, str]]
    others: tuple[str, ...] = field(default=())

    @property
    def is_underscored(self) -> bool:
        """Whether modules are named with underscores for dots, which no one can undo for sure."""
        return self.prefix in UNDERSCORED


def parse_names(names: Iterable[str]) -> Parsed:
    """Sort tensors' names by module and part."""
    found: dict[str, dict[str, str]] = {}
    others = []
    for name in sorted(names):
        match = _NAME.fullmatch(name)
        if match:
            found.setdefault(match["module"], {})[_ENDINGS[match["end"]]] = name
        else:
            others.append(name)
    prefix = _prefix(found)
    parts = {module.removeprefix(prefix): part for module, part in found.items()}
    return Parsed(prefix, parts, tuple(others))


def other_kind(names: Iterable[str]) -> str | None:
    """Say of what other kind of adapter these tensors are; None where that is not known."""
    names = list(names)
    return next(
        (kind for sign, kind in _OTHER_KINDS.items() if any(sign in name for name in names)), None
    )


def is_up(name: str) -> bool:
    """Say whether a tensor, named as PEFT does, is one that the scale multiplies."""
    return name.endswith(tuple(f".{end}" for end in UPS))


def _prefix(modules: Iterable[str]) -> str:
    modules = list(modules)
    for prefix in (*PREFIXES, *UNDERSCORED):
        if modules and all(module.startswith(prefix) for module in modules):
            return prefix
    return ""
