from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lofi_engine.quantization import budget
from lofi_engine.quantization.budget import BudgetError, Item, Option, allocate


def item(name, *pairs):
    return Item(name, tuple(Option(*pair) for pair in pairs))


def best_of_all(items, max_bytes):
    """The least error of all choices that fit, tried one by one."""
    errors = [
        sum(option.error for option in chosen)
        for chosen in itertools.product(*(one.options for one in items))
        if sum(option.size_bytes for option in chosen) <= max_bytes
    ]
    return min(errors)


def check(items, max_bytes, allocation):
    chosen = [one.options[allocation.chosen[one.name]] for one in items]
    assert allocation.size_bytes == sum(option.size_bytes for option in chosen) <= max_bytes
    assert allocation.error == pytest.approx(sum(option.error for option in chosen))
    assert allocation.bound <= allocation.error + 1e-9


OPTIONS = st.builds(Option, st.integers(0, 40), st.floats(0, 10))
ITEMS = st.lists(st.lists(OPTIONS, min_size=1, max_size=3), min_size=1, max_size=5).map(
    lambda lists: [Item(str(number), tuple(one)) for number, one in enumerate(lists)]
)


@given(ITEMS, st.integers(0, 60))
def test_small_bytes_are_fitted_exactly(items, spare):
    max_bytes = sum(one.smallest for one in items) + spare
    allocation = allocate(items, max_bytes)
    check(items, max_bytes, allocation)
    assert allocation.error == pytest.approx(best_of_all(items, max_bytes), abs=1e-9)


@given(ITEMS, st.integers(0, 60))
def test_rounded_bytes_still_fit_and_are_not_under_the_bound(items, spare):
    units, budget.UNITS = budget.UNITS, 7
    try:
        max_bytes = sum(one.smallest for one in items) + spare
        check(items, max_bytes, allocate(items, max_bytes))
    finally:
        budget.UNITS = units


def test_three_hundred_large_weights_are_within_a_thousandth_of_the_bound():
    items = [
        item(str(number), (10**6 * (1 + number % 7), 1.0 + (number * 37 % 11)), (10**7, 0.01))
        for number in range(300)
    ]
    allocation = allocate(items, 2 * 10**9)
    check(items, 2 * 10**9, allocation)
    assert allocation.error <= 1.001 * allocation.bound


def test_a_budget_out_of_reach_says_the_smallest_size():
    items = [item("a", (10, 0.5), (20, 0.1)), item("b", (30, 0.2))]
    with pytest.raises(BudgetError, match="at least 40 bytes are needed") as refused:
        allocate(items, 39)
    assert refused.value.smallest_bytes == 40
    assert allocate(items, 40).chosen == {"a": 0, "b": 0}


def test_a_wide_option_that_gains_nothing_is_not_taken():
    assert allocate([item("a", (20, 0.1), (10, 0.1))], 100).chosen == {"a": 1}


def test_nothing_to_store_needs_nothing():
    assert allocate([], 0).error == 0
