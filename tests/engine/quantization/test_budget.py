from __future__ import annotations

from lofi_engine.quantization.budget import Choice, choose_narrow, choose_wide


def test_the_cheapest_error_per_byte_is_lowered_first():
    choices = [
        Choice("attention", bytes_saved=100, error_added=0.010, elements=200),
        Choice("feed_forward", bytes_saved=400, error_added=0.012, elements=800),
        Choice("embedding", bytes_saved=200, error_added=0.001, elements=400),
    ]
    assert choose_narrow(choices, 150) == {"embedding"}
    assert choose_narrow(choices, 201) == {"feed_forward"}
    assert choose_narrow(choices, 500) == {"embedding", "feed_forward"}
    assert choose_narrow(choices, 601) == {"attention", "embedding", "feed_forward"}


def test_nothing_to_save_lowers_nothing():
    assert choose_narrow([Choice("a", 100, 0.1, 1)], 0) == frozenset()


def test_what_turns_out_not_to_be_needed_is_taken_back_worst_first():
    choices = [
        Choice("small", bytes_saved=10, error_added=0.001, elements=1),
        Choice("middle", bytes_saved=20, error_added=0.003, elements=1),
        Choice("large", bytes_saved=100, error_added=0.1, elements=1),
    ]
    assert choose_narrow(choices, 100) == {"large"}


def test_a_budget_out_of_reach_lowers_all_that_saves_anything():
    choices = [Choice("a", 10, 0.1, 1), Choice("b", 20, 0.1, 1), Choice("grows", -5, 0.0, 1)]
    assert choose_narrow(choices, 1000) == {"a", "b"}


def test_equal_choices_are_taken_by_name_so_that_runs_agree():
    choices = [Choice(name, 10, 0.1, 1) for name in ("c", "a", "b")]
    assert choose_narrow(choices, 10) == choose_narrow(choices[::-1], 10) == {"a"}


def test_spare_bytes_lift_the_most_error_per_byte_first():
    choices = [
        Choice("feed_forward", bytes_saved=400, error_added=0.012, elements=800),
        Choice("attention", bytes_saved=100, error_added=0.010, elements=200),
        Choice("embedding", bytes_saved=200, error_added=0.001, elements=400),
    ]
    assert choose_wide(choices, 99, elements_to_spend=10_000) == frozenset()
    assert choose_wide(choices, 320, elements_to_spend=10_000) == {"attention", "embedding"}
    assert choose_wide(choices, 700, elements_to_spend=10_000) == {
        "attention",
        "embedding",
        "feed_forward",
    }


def test_lifting_stops_where_the_variants_name_would_no_longer_be_true():
    choices = [Choice("one", 100, 0.010, 200), Choice("two", 100, 0.009, 200)]
    assert choose_wide(choices, 1000, elements_to_spend=300) == {"one"}
