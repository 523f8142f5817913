"""How many threads torch may use, set by every stage that computes with it."""

from __future__ import annotations


def use_threads(count: int) -> None:
    """Let torch use `count` threads; 0 leaves its own choice.

    Another count adds in another order: results equal bit for bit only at the same one. That is why
    a run's record states it, and why it is no part of a stage's key: the same training on another
    machine is the same training.
    """
    if count:
        import torch

        torch.set_num_threads(count)
