"""What each evaluation of a run costs, known before it begins and without NumPy.

A guided evaluation asks the network for two rows, another for one: what a server needs to tell how
long a track takes, long before half of it is done.
"""

from __future__ import annotations

GUIDANCE_INTERVAL = 0.5
"""The reference's default share of a run, in its middle, that is guided."""


def guided_range(inference_steps: int, guidance_interval: float = GUIDANCE_INTERVAL) -> range:
    """Give the evaluations, counted from 0, that are guided, as the reference counts them."""
    start = int(inference_steps * ((1.0 - guidance_interval) / 2.0))
    end = int(inference_steps * (guidance_interval / 2.0 + 0.5))
    return range(start, end)


def evaluation_rows(inference_steps: int, scheduler: str, guidance_scale: float) -> list[int]:
    """Give the rows the network computes in each evaluation of a run.

    Args:
        inference_steps: as asked for.
        scheduler: "euler", "heun" (which evaluates twice a step, but for the last) or "pingpong".
        guidance_scale: nothing is guided at 1 or 0.
    """
    evaluations = 2 * inference_steps - 1 if scheduler == "heun" else inference_steps
    guided = range(0) if guidance_scale in (0.0, 1.0) else guided_range(inference_steps)
    return [2 if index in guided else 1 for index in range(evaluations)]
