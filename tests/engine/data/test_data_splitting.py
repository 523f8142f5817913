from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lofi_engine.data.splitting import Item, split_tracks


def items(**counts: int) -> list[Item]:
    return [
        Item(f"{style}-{n}", style.upper(), f"{style}{n}")
        for style, count in counts.items()
        for n in range(count)
    ]


def test_large_styles_are_divided_each_by_itself():
    split = split_tracks(items(a=20, b=30, c=50), 0.1, seed=1)
    assert split.by == "style"
    held = [name.split("-")[0] for name in split.validation]
    assert {style: held.count(style) for style in "abc"} == {"a": 2, "b": 3, "c": 5}
    assert split.pooled == ()


def test_small_styles_are_divided_together():
    split = split_tracks(items(a=20, b=2, c=2, d=2, e=4), 0.1, seed=1)
    held = [name.split("-")[0] for name in split.validation]
    assert held.count("a") == 2
    assert len(held) == 3
    assert split.pooled == ("B", "C", "D", "E")


def test_without_a_large_style_it_is_overall():
    split = split_tracks(items(a=3, b=3, c=4), 0.2, seed=1)
    assert (split.by, len(split.validation)) == ("style", 3)
    split = split_tracks(items(a=2, b=2, c=2), 0.2, seed=1)
    assert (split.by, len(split.validation)) == ("overall", 1)


def test_two_tracks_give_one_to_each_side_and_one_track_none():
    two = split_tracks(items(a=2), 0.1, seed=1)
    assert (len(two.train), len(two.validation)) == (1, 1)
    one = split_tracks(items(a=1), 0.5, seed=1)
    assert (one.train, one.validation, one.by) == (("a-0",), (), "overall")
    assert split_tracks(items(a=20), 0.0, seed=1).validation == ()


def test_the_same_sound_is_never_on_both_sides():
    twins = [Item(f"t{n}", "A", f"sound{n // 2}") for n in range(20)]
    for seed in range(20):
        split = split_tracks(twins, 0.2, seed)
        sounds = {item.track: item.content for item in twins}
        assert not {sounds[t] for t in split.train} & {sounds[t] for t in split.validation}
        assert len(split.validation) == 4


def test_tracks_that_are_all_one_sound_are_all_for_training():
    split = split_tracks([Item("a", "A", "x"), Item("b", "A", "x")], 0.5, seed=1)
    assert split.validation == ()


def test_the_seed_decides_and_a_new_track_moves_few():
    tracks = items(a=40)
    assert split_tracks(tracks, 0.2, 1) == split_tracks(list(reversed(tracks)), 0.2, 1)
    assert split_tracks(tracks, 0.2, 1) != split_tracks(tracks, 0.2, 2)
    before = set(split_tracks(tracks, 0.2, 1).validation)
    after = set(split_tracks([*tracks, Item("new", "A", "new")], 0.2, 1).validation)
    assert len(before & after) >= 7


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["", "A", "B", "C"]), st.integers(0, 12)), max_size=40),
    st.floats(0, 0.5),
    st.integers(0, 2**62),
)
def test_nothing_is_lost_or_doubled(pairs, share, seed):
    tracks = [Item(f"t{n}", style, f"s{sound}") for n, (style, sound) in enumerate(pairs)]
    split = split_tracks(tracks, share, seed)
    assert sorted([*split.train, *split.validation]) == sorted(item.track for item in tracks)
    if tracks:
        assert split.train
    if share > 0 and len({item.content for item in tracks}) >= 2:
        assert split.validation


def test_shares_are_kept_to_within_a_track():
    for share in (0.05, 0.1, 0.25, 0.5):
        split = split_tracks(items(a=40, b=60), share, seed=3)
        assert len(split.validation) == pytest.approx(100 * share, abs=1)
