"""The one table of what a variant may ask: widths, methods, and what each component must keep.

Light to import: recipes are checked against it before anything heavy is loaded. A test holds the
recipe's schema to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

AUTO = "auto"
"""The method of a variant that names none: dynamic for int8, rtn for int4."""

NOMINAL_BITS: Mapping[str, int] = {"fp16": 16, "int8": 8, "int4": 4}
"""Values of `variants.<name>.weights`."""

BlockMethod = Literal["rtn", "hqq", "k-quant", "awq", "gptq"]
"""How a block's scale and zero point are found: round to nearest, half-quadratic (4 bits only),
llama.cpp's k-quant search (4 bits only), or by what calibration prompts make of its inputs: awq
balances them, gptq lets rows make up for each other's errors."""

BLOCK_METHODS: tuple[BlockMethod, ...] = get_args(BlockMethod)

EIGHT_BIT_METHODS = ("dynamic", "weight-only")
"""How 8-bit matrices are stored. Dynamic, unless asked: on CPUs it is more than twice as fast as
8-bit `MatMulNBits`, smaller, and loads on older runtimes; it costs 0.024 against 0.012 of error."""

CALIBRATED: tuple[BlockMethod, ...] = ("awq", "gptq")
"""Those that need activations."""

METHODS_OF: Mapping[str, tuple[str, ...]] = {
    "int8": (AUTO, *EIGHT_BIT_METHODS, *BLOCK_METHODS),
    "int4": (AUTO, *BLOCK_METHODS),
}
"""Which methods make which width. A block method of an int8 variant says how the weights that its
`max_bytes` lowers to 4 bits are found; without a budget it would do nothing."""

ALL_METHODS = tuple(dict.fromkeys(name for names in METHODS_OF.values() for name in names))
"""Values of `variants.<name>.method`."""

BLOCK_SIZES = (16, 32, 64, 128, 256)
"""Values of `variants.<name>.block_size`; 16 is the least that ONNX Runtime's operators take."""

FLOOR_BITS: Mapping[str, int] = {"transformer_encoder": 8, "dcae_decoder": 16, "vocoder": 16}
"""The fewest bits of a component, whatever the recipe says: what they guard is heard at once. The
graph that reads lyrics and speakers stays at 8, those that make the waveform at 16."""

ALWAYS_FP16: Mapping[str, str] = {
    "dcae_decoder": "its errors become artefacts of the mel spectrogram",
    "vocoder": "its errors are heard directly in the waveform",
}
"""The components that `keep_fp16` must name, with the reason."""
