"""Where a network is judged, and in which precision: in full where there is room for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

GB = 1_000_000_000
SPARE_BYTES = 3 * GB
"""What activations take, and the networks that read prompts and decode while clips are rendered."""
FULL, HALF = "fp32", "bf16"


def place_of(weights_bytes: int, free_bytes: int | None) -> tuple[str, str]:
    """Choose a device and a precision.

    Args:
        weights_bytes: of the network in float32.
        free_bytes: of the accelerator's memory; None where there is no accelerator.

    Returns:
        "cuda" or "cpu", and "fp32" or "bf16"; a CPU is several times slower in bf16.
    """
    if free_bytes is None:
        return "cpu", FULL
    for precision, needed in ((FULL, weights_bytes), (HALF, weights_bytes // 2)):
        if needed + SPARE_BYTES <= free_bytes:
            return "cuda", precision
    return "cpu", FULL


def settle(transformer: torch.nn.Module, warn: Callable[[str], None]) -> str:
    """Move a network, still in float32, to where it is judged, and give its precision.

    Args:
        transformer: in place.
        warn: told where the accelerator has no room for float32.
    """
    import torch

    wanted = sum(part.numel() * 4 for part in transformer.parameters())
    free = torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None
    device, precision = place_of(wanted, free)
    if free is not None and (device, precision) != ("cuda", FULL):
        needed = (wanted + SPARE_BYTES) / GB
        where = "in bf16" if device == "cuda" else "on the CPU, which takes far longer"
        warn(
            f"judged {where}: float32 needs {needed:.1f} GB of the accelerator's memory, "
            f"{free / GB:.1f} GB are free"
        )
    transformer.to(torch.device(device), torch.bfloat16 if precision == HALF else torch.float32)
    return precision
