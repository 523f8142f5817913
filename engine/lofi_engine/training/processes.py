"""One process or several that train one adapter together, by accelerate.

`torchrun` starts them; each holds the whole base and draws its own share of the windows, and their
gradients are averaged. A launcher that silently starts one process where two were asked for would
train on half of what the recipe says, so the number is checked.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError

if TYPE_CHECKING:
    import torch

_WAIT_HOURS = 6


@dataclass(frozen=True)
class Processes:
    """The processes of a training and which of them this is.

    Args:
        count: how many there are.
        rank: this one's number, from 0.
        accelerator: accelerate's, None where there is one process alone.
    """

    count: int = 1
    rank: int = 0
    accelerator: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and speaks to the user."""
        return self.rank == 0

    @property
    def local_rank(self) -> int:
        """Which accelerator of its machine is this process's."""
        return int(os.environ.get("LOCAL_RANK", "0"))

    def mean(self, value: float) -> float:
        """Give the mean of a number over all processes; all must ask."""
        import torch

        if self.count == 1:
            return value
        one = torch.tensor([value], dtype=torch.float64, device=self.accelerator.device)
        return float(self.accelerator.reduce(one, reduction="mean"))

    def any(self, value: bool) -> bool:
        """Say whether it is true in any process; all must ask."""
        return self.mean(float(value)) > 0

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Put the mean over all processes in the place of every gradient; all must call it.

        Once a step, after accumulation: nothing is sent while gradients are summed.
        """
        if self.count == 1:
            return
        for part in parameters:
            if part.grad is not None:
                part.grad = self.accelerator.reduce(part.grad, reduction="mean")

    def gather(self, value: Any) -> list[Any]:
        """Give every process's value, by rank; all must ask."""
        if self.count == 1:
            return [value]
        from accelerate.utils import gather_object

        gathered: list[Any] = gather_object([value])
        return gathered

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            self.accelerator.wait_for_everyone()

    def leave(self) -> None:
        """Part from the others; all must, as the last thing they do together.

        A process that ends without it may be aborted in its threads that still listen, and its
        finished work then counts as failed.
        """
        if self.count > 1:
            self.wait()
            self.accelerator.end_training()


def join_processes(wanted: int) -> Processes:
    """Join the processes that torchrun started, or stand alone.

    Args:
        wanted: `training.processes` of the recipe.

    Raises:
        StageError: another number was started.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != wanted:
        raise StageError(
            f"training.processes is {wanted}, and {_processes(started)} started",
            hint=f"start it without torchrun: lofi-recipe run RECIPE starts {wanted} by itself",
        )
    if wanted == 1:
        return Processes()
    import torch
    from accelerate import Accelerator, InitProcessGroupKwargs

    # Mixed precision is the loop's own. While the first process renders samples or judges a
    # checkpoint the others wait, longer than the ten minutes after which NCCL gives up.
    patience = InitProcessGroupKwargs(timeout=timedelta(hours=_WAIT_HOURS))
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(), mixed_precision="no", kwargs_handlers=[patience]
    )
    if accelerator.num_processes != wanted:
        raise StageError(
            f"training.processes is {wanted}, and {_processes(accelerator.num_processes)} joined",
            hint="see that torchrun's processes reach one another",
        )
    return Processes(wanted, accelerator.process_index, accelerator)


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"
