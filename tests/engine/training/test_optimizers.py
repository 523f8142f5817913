from __future__ import annotations

import sys

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.training.optimizers import make_optimizer, optimizer_tensors, restore_optimizer
from tests.support.programs import require

NAMES = ("adamw", "adamw-8bit")


def parameters(seed=0):
    draws = torch.Generator().manual_seed(seed)
    large = torch.nn.Parameter(torch.randn(128, 64, generator=draws))
    small = torch.nn.Parameter(torch.randn(8, 8, generator=draws))
    frozen = torch.nn.Parameter(torch.ones(3), requires_grad=False)
    return [large, small, frozen]


def step(optimizer, parts, number):
    draws = torch.Generator().manual_seed(number)
    for part in parts[:2]:
        part.grad = torch.randn(part.shape, generator=draws)
    optimizer.step()


def made(name, parts):
    if name == "adamw-8bit":
        require("lowvram")
    return make_optimizer(name, parts, 1e-2)


def test_adamw_is_the_references():
    (group,) = made("adamw", parameters()).param_groups
    assert (group["betas"], group["weight_decay"], group["lr"]) == ((0.8, 0.9), 1e-2, 1e-2)
    assert len(group["params"]) == 2  # nothing frozen


def test_moments_in_8_bits_take_a_quarter_and_end_nearly_where_adamw_does():
    parts = {name: parameters() for name in NAMES}
    sizes = {}
    for name in NAMES:
        optimizer = made(name, parts[name])
        for number in range(20):
            step(optimizer, parts[name], number)
        large = [
            tensor for key, tensor in optimizer_tensors(optimizer).items() if key[:6] == "00000/"
        ]
        sizes[name] = sum(one.numel() * one.element_size() for one in large)
    start, found, exact = (
        part[0].detach() for part in (parameters(), parts["adamw-8bit"], parts["adamw"])
    )
    moved = (exact - start).norm()
    assert float((found - exact).norm() / moved) < 0.05
    assert sizes["adamw-8bit"] < 0.3 * sizes["adamw"]


@pytest.mark.parametrize("name", NAMES)
def test_stopped_and_restored_it_goes_on_with_the_same_bits(name):
    straight, stopped = parameters(), parameters()
    whole, half = made(name, straight), made(name, stopped)
    for number in range(3):
        step(whole, straight, number)
        step(half, stopped, number)
    kept = {key: value.clone() for key, value in optimizer_tensors(half).items()}
    again = made(name, stopped)
    restore_optimizer(again, kept)
    for number in range(3, 6):
        step(whole, straight, number)
        step(again, stopped, number)
    assert all(torch.equal(*pair) for pair in zip(straight, stopped, strict=True))


def test_moments_of_another_optimizer_or_adapter_are_refused():
    require("lowvram")
    of = {}
    for name in NAMES:
        parts = parameters()
        optimizer = made(name, parts)
        step(optimizer, parts, 0)
        of[name] = optimizer_tensors(optimizer)
    for given, wanted in (("adamw", "adamw-8bit"), ("adamw-8bit", "adamw")):
        with pytest.raises(StageError, match="the checkpoint's optimizer is not the recipe's"):
            restore_optimizer(made(wanted, parameters()), of[given])
    other = [torch.nn.Parameter(torch.ones(4, 64)), *parameters()[1:]]
    with pytest.raises(StageError, match="the checkpoint's optimizer is not the recipe's"):
        restore_optimizer(made("adamw", other), of["adamw"])


def test_without_the_extra_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(StageError) as refused:
        make_optimizer("adamw-8bit", parameters(), 1e-3)
    assert str(refused.value) == (
        "training.optimizer: adamw-8bit needs bitsandbytes - pip install 'lofi-recipe[lowvram]', "
        "or take adamw"
    )
