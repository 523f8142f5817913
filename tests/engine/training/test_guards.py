from __future__ import annotations

import pytest

from lofi_engine.errors import StageError
from lofi_engine.recipe.model import EarlyStop
from lofi_engine.training.guards import (
    RUNAWAY,
    WINDOW_STEPS,
    Divergence,
    check_effect,
    check_growth,
    is_over,
)


def test_a_steady_loss_with_single_jumps_is_no_divergence():
    watch = Divergence()
    losses = [100.0 if step % 7 == 0 else 1.0 for step in range(400)]
    assert [watch.take(loss) for loss in losses] == [""] * 400


def test_a_median_above_three_times_the_lowest_is():
    watch = Divergence([1.0] * WINDOW_STEPS)
    half = [watch.take(RUNAWAY + 0.1) for _ in range(WINDOW_STEPS // 2 + 1)]
    assert half[:-1] == [""] * (WINDOW_STEPS // 2)
    assert half[-1] == (
        f"the loss runs away: its median over {WINDOW_STEPS} steps is {RUNAWAY + 0.1:.4g} at step "
        f"{WINDOW_STEPS + WINDOW_STEPS // 2 + 1}, and was 1 at step {WINDOW_STEPS}"
    )


def test_resumed_it_judges_by_the_steps_before():
    losses = [1.0] * 60 + [3.5] * 10
    straight, resumed = Divergence(losses), Divergence(losses[:55])
    for loss in losses[55:]:
        resumed.take(loss)
    assert [straight.take(3.5) for _ in range(20)] == [resumed.take(3.5) for _ in range(20)]


def test_few_steps_are_never_judged():
    watch = Divergence()
    assert [watch.take(10.0**step) for step in range(WINDOW_STEPS - 1)] == [""] * 49


@pytest.mark.parametrize(
    ("held_out", "over"),
    [
        ([], False),
        ([1.0, 0.9, 0.8], False),
        ([1.0, 0.9, 0.95], False),
        ([1.0, 0.9, 0.95, 0.91], True),
        ([1.0, 0.9, 0.95, 0.85, 0.86], False),
        ([1.0, 0.995, 0.991], True),  # better by less than 1 %
    ],
)
def test_it_is_over_after_two_checkpoints_without_one_percent(held_out, over):
    by_step = {10 * number: loss for number, loss in enumerate(held_out)}
    assert is_over(by_step, EarlyStop(2, 0.01)) is over
    assert not is_over(by_step, None)


def test_an_adapter_whose_weights_moved_without_the_output_is_a_warning_until_the_end():
    said = []
    check_effect(0.0, 1e-9, 5, last=False, warn=said.append)
    text = "train: after 5 steps the adapter changes nothing: its weights moved (norm 1e-09), the "
    assert said == [f"{text}output did not"]
    with pytest.raises(StageError) as caught:
        check_effect(0.0, 1e-9, 5, last=True, warn=said.append)
    assert str(caught.value) == (
        f"{text}output did not - train more steps or raise training.learning_rate"
    )
    assert check_effect(1e-6, 1e-9, 5, last=True, warn=said.append) is None


def test_an_output_that_is_not_a_number_is_refused_at_any_checkpoint():
    with pytest.raises(StageError, match="after 5 steps the adapter's output is not a number"):
        check_effect(float("nan"), 1.0, 5, last=False, warn=pytest.fail)


def test_an_effect_that_does_not_grow_is_a_warning():
    said = []
    check_growth({10: 0.01, 20: 0.3, 30: 0.02}, said.append)
    check_growth({10: 0.01}, said.append)
    assert said == []
    check_growth({10: 0.01, 20: 0.3, 30: 0.01}, said.append)
    assert said == [
        "train: the adapter's effect has not grown: 0.01 of the output after 10 steps, 0.01 after "
        "30"
    ]
