"""The optimizers a recipe can name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.libraries import quiet_bitsandbytes

if TYPE_CHECKING:
    import torch

ADAM_BETAS = (0.8, 0.9)
WEIGHT_DECAY = 1e-2
"""As the reference trains its adapters."""


def make_optimizer(
    name: str, parameters: Iterable[torch.nn.Parameter], learning_rate: float
) -> torch.optim.Optimizer:
    """Make an optimizer over an adapter's weights.

    Args:
        name: "adamw", or "adamw-8bit", whose moments are held in 8 bits by blocks of 256
            (Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization"); tensors of
            less than 4096 weights keep float32 moments.
        parameters: those that are trained.
        learning_rate: of the first step; the loop sets each step's own.

    Raises:
        StageError: "adamw-8bit" without the extra `lowvram`.
    """
    import torch

    trained = [part for part in parameters if part.requires_grad]
    settings: dict[str, Any] = {"lr": learning_rate, "betas": ADAM_BETAS}
    settings["weight_decay"] = WEIGHT_DECAY
    if name == "adamw":
        return torch.optim.AdamW(trained, **settings)
    quiet_bitsandbytes()
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise StageError(
            f"training.optimizer: {name} needs bitsandbytes",
            hint="pip install 'lofi-recipe[lowvram]', or take adamw",
        ) from error
    made: torch.optim.Optimizer = AdamW8bit(trained, **settings)
    return made


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Give an optimizer's moments and counters, by "parameter index/name of the moment".

    Whole numbers become int64 scalars; `restore_optimizer` makes them numbers again.
    """
    import torch

    return {
        f"{index:05d}/{name}": value if isinstance(value, torch.Tensor) else torch.tensor(value)
        for index, part in enumerate(_parameters(optimizer))
        for name, value in optimizer.state[part].items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Put back what `optimizer_tensors` gave.

    Raises:
        StageError: it is of another optimizer, or of an adapter with other weights.
    """
    import torch

    parameters = _parameters(optimizer)
    moments_of: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        index, moment = name.split("/")
        whole = tensor.dtype == torch.int64 and tensor.ndim == 0
        moments_of.setdefault(int(index), {})[moment] = int(tensor) if whole else tensor
    for number, moments in moments_of.items():
        part = parameters[number] if number < len(parameters) else None
        _check(optimizer, moments, part)
        if part is not None:
            optimizer.state[part] = {name: _beside(part, value) for name, value in moments.items()}


def _beside(part: torch.nn.Parameter, value: Any) -> Any:
    """Put a moment beside its weight; a counter stays where it was made."""
    import torch

    return value.to(part.device) if isinstance(value, torch.Tensor) and value.ndim else value


def _check(
    optimizer: torch.optim.Optimizer, moments: Mapping[str, Any], part: torch.nn.Parameter | None
) -> None:
    import torch

    is_adamw = isinstance(optimizer, torch.optim.AdamW)
    fits = part is not None and ("exp_avg" in moments) is is_adamw
    if fits and is_adamw and part is not None:
        fits = moments["exp_avg"].shape == part.shape
    if not fits:
        raise StageError(
            "training: the checkpoint's optimizer is not the recipe's",
            hint="take the training.optimizer and lora of the run that wrote it, or start over "
            "with --force",
        )


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.nn.Parameter]:
    return [part for group in optimizer.param_groups for part in group["params"]]
