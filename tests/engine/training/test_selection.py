import numpy as np
import pytest

from lofi_engine.errors import StageError
from lofi_engine.training.selection import Standing, Term, choose
from lofi_engine.training.selection_terms import loss_term, prompt_term, ratings_term

SIGMAS = (0.1, 0.3, 0.5, 0.7, 0.9)


def losses(name_to_tracks, weight=1.0):
    """A loss term of one value a track, the same at every noise level."""
    errors = {name: [[value] * 5 for value in rows] for name, rows in name_to_tracks.items()}
    count = len(next(iter(errors.values())))
    return loss_term(errors, ["CORE-01"] * count, SIGMAS, weight)


def tracks(level, count=40, seed=0):
    """Errors of tracks that are hard or easy for everybody, around a level."""
    hardness = np.random.default_rng(9).uniform(0.2, 2.0, count)
    own = np.random.default_rng(seed).normal(1.0, 0.01, count)
    return list(level * hardness * own)


def test_the_score_is_the_weighted_mean_of_the_gains():
    loss = losses({"base": [2.0, 2.0], "a": [1.0, 1.0], "b": [1.8, 1.8]}, weight=1)
    prompt = prompt_term(
        {"base": {"x": 0.2, "y": 0.2}, "a": {"x": 0.2, "y": 0.2}, "b": {"x": 0.6, "y": 0.6}},
        "clap", weight=3,
    )  # fmt: skip
    assert loss.standings["a"].gain == 0.5
    assert prompt.standings["b"].gain == pytest.approx(0.5)  # half of the way from 0.2 to 1
    found = choose(("a", "b"), (loss, prompt), {})
    scores = {one.name: one.score for one in found.ranked}
    assert scores["a"] == pytest.approx((1 * 0.5 + 3 * 0.0) / 4)
    assert scores["b"] == pytest.approx((1 * 0.1 + 3 * 0.5) / 4)
    assert (found.chosen.name, found.lead.over) == ("b", "a")
    assert found.lead.value == pytest.approx(scores["b"] - scores["a"])


def test_an_interval_says_everything_that_was_drawn():
    loss = losses({"base": [2.0, 2.2], "a": [1.0, 1.2]})
    prompt = prompt_term({"base": {"x": 0.2, "y": 0.3}, "a": {"x": 0.4, "y": 0.3}}, "clap", 1.0)
    assert loss.interval("a").drawn == "tracks"
    assert choose(("a",), (loss, prompt), {}).chosen.interval.drawn == "tracks and clips"


def test_a_term_of_weight_0_changes_nothing():
    loss = losses({"base": [2.0, 2.0], "a": [1.0, 1.2], "b": [1.5, 1.7]})
    told = losses({"base": [2.0, 2.0], "a": [9.0, 9.0], "b": [0.1, 0.1]}, weight=0)
    assert choose(("a", "b"), (loss, told), {}) == choose(("a", "b"), (loss,), {})


def test_weights_count_in_proportion():
    def chosen(weight):
        loss = losses({"base": [2.0, 2.0], "a": [1.0, 1.2], "b": [1.5, 1.7]}, weight)
        return choose(("a", "b"), (loss,), {}).chosen

    assert chosen(1) == chosen(250)


def test_what_is_hard_for_all_cancels_out_of_the_lead():
    loss = losses({"base": tracks(1.0), "a": tracks(0.9, seed=1), "b": tracks(0.8, seed=2)})
    found = choose(("a", "b"), (loss,), {})
    assert found.chosen.name == "b"
    assert found.lead.is_beyond_chance
    assert found.chosen.is_beyond_chance
    assert found.lead.interval.drawn == "tracks"
    # The tracks' own errors spread tenfold, the lead's interval is a hundredth.
    assert 0.09 < found.lead.interval.low < found.lead.value < found.lead.interval.high < 0.11


def test_a_lead_within_the_noise_may_be_chance():
    loss = losses({"base": tracks(1.0), "a": tracks(0.9, seed=1), "b": tracks(0.8999, seed=2)})
    found = choose(("a", "b"), (loss,), {})
    assert found.lead.interval.low < 0 < found.lead.interval.high
    assert not found.lead.is_beyond_chance
    assert found.chosen.is_beyond_chance


def test_of_equal_checkpoints_the_earlier_is_chosen():
    loss = losses({"base": [2.0, 2.5], "b": [1.0, 1.2], "a": [1.0, 1.2]})
    found = choose(("b", "a"), (loss,), {})
    assert [one.name for one in found.ranked] == ["b", "a"]
    assert (found.lead.value, found.lead.is_beyond_chance) == (0.0, False)


def test_one_track_alone_has_no_interval():
    found = choose(("a", "b"), (losses({"base": [2.0], "a": [1.0], "b": [1.5]}),), {})
    assert (found.chosen.name, found.chosen.interval, found.lead.interval) == ("a", None, None)
    assert not found.lead.is_beyond_chance


def test_clips_that_all_got_one_mark_tell_nothing_of_chance():
    term = ratings_term({"a": {"x": 5, "y": 5}, "b": {"x": 4, "y": 4}}, 4, 1.0)
    found = choose(("a", "b"), (term,), {})
    assert (found.chosen.name, found.lead.value, found.lead.interval) == ("a", 0.25, None)
    assert term.interval("a") is None


def test_an_unrated_base_counts_as_neither_good_nor_bad():
    term = ratings_term({"a": {"x": 5, "y": 3}}, 2, 1.0)
    assert (term.base, term.standings["a"].gain) == (3.0, 0.25)
    rated = ratings_term({"a": {"x": 5, "y": 3}, "base": {"x": 5, "y": 5}}, 4, 1.0)
    assert (rated.base, rated.standings["a"].gain) == (5.0, -0.25)


def test_the_term_of_the_fewest_makes_the_interval_wide():
    def width(count):
        loss = losses({"base": tracks(1.0, count), "a": tracks(0.9, count, seed=1)})
        interval = choose(("a",), (loss,), {}).chosen.interval
        return interval.high - interval.low

    assert width(3) > 2 * width(40)


def test_none_that_can_be_chosen_is_refused_with_the_reasons():
    loss = losses({"base": [2.0, 2.0], "a": [1.0, 1.0], "b": [1.5, 1.5]})
    with pytest.raises(StageError) as caught:
        choose(("a", "b"), (loss,), {"a": "silent", "b": "nobody rated it"})
    assert str(caught.value) == (
        "select: no checkpoint can be chosen: a: silent; b: nobody rated it - "
        "change select.weights, or train again"
    )


def test_a_score_that_is_no_number_names_the_checkpoint():
    term = Term("fad", 1.0, "lower", "", 1.0, {"a": Standing(float("nan"), float("nan"))}, 2, "x")
    with pytest.raises(
        StageError, match=r"^select: the score of a is nan \(fad nan\) - train agai"
    ):
        choose(("a",), (term,), {})


def test_losses_are_told_by_style_and_level():
    errors = {"base": [[1, 2, 3, 4, 5], [3, 4, 5, 6, 7]], "a": [[0, 1, 2, 3, 4], [1, 1, 1, 1, 1]]}
    term = loss_term(errors, ["CORE-01", ""], SIGMAS, 1.0)
    assert term.standings["a"].parts == {
        "by_style": {"": 1.0, "CORE-01": 2.0},
        "by_sigma": {"0.100": 0.5, "0.300": 1.0, "0.500": 1.5, "0.700": 2.0, "0.900": 2.5},
    }
    assert term.details["base_by_style"] == {"": 5.0, "CORE-01": 3.0}


def test_a_base_without_any_error_is_refused():
    with pytest.raises(
        StageError, match=r"^select: the base's held_out_loss is 0, and nothing is "
    ):
        losses({"base": [0.0, 0.0], "a": [1.0, 1.0]})
