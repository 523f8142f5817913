"""Which device networks run on. Importing this is light."""

from __future__ import annotations

from lofi_engine.errors import StageError

CPU, CUDA = "cpu", "cuda"


def choose_device(asked: str = "") -> str:
    """Give the device that was asked for, or an accelerator where there is one.

    Args:
        asked: "cpu", "cuda", or "" for whatever is there.

    Raises:
        StageError: there is no such device, or not here.
    """
    import torch

    if asked not in ("", CPU, CUDA):
        raise StageError(f"device: '{asked}' is unknown", hint='"cpu" and "cuda" are possible')
    is_there = torch.cuda.is_available()
    if asked == CUDA and not is_there:
        raise StageError("device: there is no accelerator here", hint="leave --device out")
    return asked or (CUDA if is_there else CPU)
