"""How the frozen base lies in memory while an adapter is trained on it.

The 8 and 4 bits are bitsandbytes': LLM.int8 (Dettmers et al. 2022) and NF4 with doubly quantized
scales (QLoRA, Dettmers et al. 2023). It knows linear layers alone, and nearly half of ACE-Step's
weights sit in 1x1 convolutions, which are linear layers over channels: they are held as such.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.libraries import quiet_bitsandbytes

if TYPE_CHECKING:
    import torch
    from torch import nn

PRECISIONS = ("fp32", "bf16", "8bit", "4bit")
INSIDE = ("transformer_blocks.", "lyric_encoder.", "projectors.")
"""What is held in few bits: everything large. Embedders and the last layer, a fiftieth of the
weights, set the scale of all that follows and stay as they are."""


def hold_base(transformer: nn.Module, precision: str) -> nn.Module:
    """Put a frozen transformer's weights into the precision they are held in; in place.

    Before any adapter is put on it. What it takes and gives stays float32.

    Args:
        transformer: loaded, in float32 or bfloat16.
        precision: "fp32" leaves it as it is; "bf16" casts every weight; "8bit" and "4bit" hold
            the linear layers and 1x1 convolutions of its blocks and lyric encoder so.

    Returns:
        `transformer`.

    Raises:
        StageError: "8bit" or "4bit" without the extra `lowvram`, or a weight that is not finite.
    """
    import torch

    if precision == "fp32":
        return transformer
    if precision == "bf16":
        return transformer.to(torch.bfloat16)
    _require_bitsandbytes(precision)
    for name, module in list(transformer.named_modules()):
        if name.startswith(INSIDE) and _is_linear(module):
            parent, _, last = name.rpartition(".")
            setattr(transformer.get_submodule(parent), last, _held(module, precision, name))
    # PEFT asks the model, not the layer, which of its adapters to put on.
    flag = "is_loaded_in_8bit" if precision == "8bit" else "is_loaded_in_4bit"
    setattr(transformer, flag, True)
    return transformer


def held_bytes(module: nn.Module) -> int:
    """Count the bytes of a module's weights and buffers as they lie in memory, scales included."""
    total = 0
    for part in (*module.parameters(), *module.buffers()):
        total += part.numel() * part.element_size()
        state = getattr(part, "quant_state", None)
        if state is not None:
            inner = (state.absmax, getattr(state.state2, "absmax", None))
            total += sum(one.numel() * one.element_size() for one in inner if one is not None)
        scales = getattr(part, "SCB", None)
        if scales is not None:
            total += scales.numel() * scales.element_size()
    return total


def _is_linear(module: nn.Module) -> bool:
    from torch.nn import Conv1d, Linear

    if isinstance(module, Conv1d):
        return module.kernel_size == (1,) and module.groups == 1 and module.stride == (1,)
    return type(module) is Linear


def _held(module: nn.Module, precision: str, name: str) -> nn.Module:
    import torch
    from torch.nn import Conv1d

    weight = module.get_parameter("weight").detach().float()
    if not bool(torch.isfinite(weight).all()):
        raise StageError(f"training: {name} of the base holds values that are not finite")
    bias = None if module.bias is None else module.get_parameter("bias").detach().float()
    if isinstance(module, Conv1d):
        return _pointwise(_linear(weight[..., 0], bias, precision))
    return _linear(weight, bias, precision)


def _linear(weight: torch.Tensor, bias: torch.Tensor | None, precision: str) -> nn.Module:
    import bitsandbytes as bnb
    import torch

    width, given = weight.shape[1], weight.shape[0]
    weight = weight.contiguous()
    if precision == "8bit":
        linear = _linear_8bit()(
            width, given, bias=bias is not None, has_fp16_weights=False, device="meta"
        )
        linear.weight = bnb.nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    else:
        linear = bnb.nn.Linear4bit(
            width,
            given,
            bias=bias is not None,
            quant_type="nf4",
            compress_statistics=True,
            device="meta",
        )
        linear.weight = bnb.nn.Params4bit(
            weight, requires_grad=False, quant_type="nf4", compress_statistics=True
        )
        # Some processors would repack the weights for ever, in bfloat16, the first time nothing is
        # trained (a sample, a held-out loss): what comes after would depend on it.
        linear.support_avx512bf16_for_cpu = False
    if bias is not None:
        linear.bias = torch.nn.Parameter(bias, requires_grad=False)
    held: nn.Module = linear.to(weight.device)  # this is what quantizes
    return held


def _linear_8bit() -> Any:
    import bitsandbytes as bnb

    class Linear8bit(bnb.nn.Linear8bitLt):  # type: ignore[misc]
        """The library's, which on a processor loses its scales when DoRA reads its weight.

        PEFT moves the weight to its own device to dequantize it; the moved one has no scales any
        more, and the library would then take them for new ones.
        """

        def init_8bit_state(self) -> None:
            """Keep the scales that are there."""
            if self.weight.SCB is None and self.state.SCB is not None:
                self.state.CB, self.weight.CB = self.weight.CB, None
                return
            super().init_8bit_state()

    return Linear8bit


def _pointwise(linear: nn.Module) -> nn.Module:
    from torch import nn as layers

    class Pointwise(layers.Module):
        """A 1x1 convolution as the linear layer over channels that it is."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = linear

        def forward(self, states: torch.Tensor) -> torch.Tensor:
            """Map (batch, channels, frames)."""
            mapped: torch.Tensor = self.linear(states.transpose(1, 2))
            return mapped.transpose(1, 2)

    return Pointwise()


def _require_bitsandbytes(precision: str) -> None:
    quiet_bitsandbytes()
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise StageError(
            f"training.base_precision: {precision} needs bitsandbytes",
            hint="pip install 'lofi-recipe[lowvram]'",
        ) from error
