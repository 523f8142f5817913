from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.recipe.model import ConditionDropout, Sampling
from lofi_engine.training.batches import Sampler, style_shares, text_shares
from lofi_engine.training.encoded import EncodedTrack
from lofi_engine.training.features import Features
from lofi_engine.training.shards import write_shard

NEVER = ConditionDropout(0.0, 0.0, 0.0)
BY_TRACK = Sampling("track", shuffle_tags=True, recaption_share=0.3)
BY_STYLE = replace(BY_TRACK, by="style")


def write_track(folder, name, frames=12, styles=("A-01",), others=()):
    """A track whose latents count its frames and whose text tells which track it is.

    The states of the other texts are that number and 100 for each place in the list.
    """
    number = float(name.split("-")[1])
    counted = torch.arange(frames, dtype=torch.float32).expand(8, 16, frames)
    shard = f"{name}.safetensors"
    write_shard(
        folder / shard,
        Features(counted.clone(), torch.full((2, 4), number), torch.tensor([5, 6, 7])),
        other_states={
            text: torch.full((3, 4), number + 100 * (1 + place))
            for place, text in enumerate(others)
        },
    )
    return EncodedTrack(name, shard, frames, 2, "train", tuple(styles), tuple(others))


def sampler(folder, tracks, **changes):
    options = {
        "sampling": BY_TRACK,
        "window_frames": 4,
        "speaker_width": 3,
        "dropout": NEVER,
        "generator": torch.Generator().manual_seed(1),
        **changes,
    }
    return Sampler(folder, tracks, **options)


def drawn(made, count):
    """Count the tracks in so many windows."""
    return Counter(number % 100 for number in texts_drawn(made, count).elements())


def texts_drawn(made, count):
    """Count what the texts of so many windows say."""
    return Counter(int(one) for one in made.draw(count).conditioning.text_states[:, 0, 0])


TEXTS = ("caption/analysis", "caption/simplified", "shuffle/0", "shuffle/1", "shuffle/2")


@pytest.fixture
def uneven(tmp_path):
    """Nine tracks of one style, the first with captions, one of another, one of none."""
    tracks = [write_track(tmp_path, "t-1", others=TEXTS)]
    tracks += [write_track(tmp_path, f"t-{number}") for number in range(2, 10)]
    tracks.append(write_track(tmp_path, "t-10", styles=("B-01", "A-01")))
    tracks.append(write_track(tmp_path, "t-11", styles=()))
    return tmp_path, tracks


def test_a_shard_cut_short_is_named_before_anything_is_drawn(uneven):
    folder, tracks = uneven
    shard = folder / tracks[4].shard
    shard.write_bytes(shard.read_bytes()[:-4])
    with pytest.raises(StageError, match=r"t-5\.safetensors: it is cut short.*--from encode"):
        sampler(folder, tracks)
    with pytest.raises(StageError, match=r"t-1\.safetensors: the shard holds 12 latent frames"):
        sampler(folder, [replace(tracks[0], frames=13)])


def test_by_style_every_style_is_drawn_equally_often(uneven):
    counts = drawn(sampler(*uneven, sampling=BY_STYLE), 3000)
    assert counts[10] / 3000 == pytest.approx(1 / 3, abs=0.03)
    assert counts[11] / 3000 == pytest.approx(1 / 3, abs=0.03)
    for number in range(1, 10):
        assert counts[number] / 3000 == pytest.approx(1 / 27, abs=0.015)


def test_by_track_every_track_is_drawn_equally_often(uneven):
    counts = drawn(sampler(*uneven), 3300)
    assert set(counts) == set(range(1, 12))
    for count in counts.values():
        assert count / 3300 == pytest.approx(1 / 11, abs=0.025)


def test_windows_lie_inside_the_track_and_reach_both_its_ends(tmp_path):
    track = write_track(tmp_path, "t-1", frames=9)
    windows = sampler(tmp_path, [track]).draw(300).latents
    assert windows.shape == (300, 8, 16, 4)
    starts = windows[:, 0, 0, 0]
    assert Counter(starts.tolist()).keys() == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}
    assert torch.equal(windows[:, 3, 7], starts[:, None] + torch.arange(4.0))


def test_a_track_shorter_than_the_window_shortens_its_batch(tmp_path):
    tracks = [write_track(tmp_path, "t-1", frames=3), write_track(tmp_path, "t-2", frames=9)]
    made = sampler(tmp_path, tracks)
    lengths = set()
    for _ in range(20):
        batch = made.draw(2)
        alone = {int(one) for one in batch.conditioning.text_states[:, 0, 0]} == {2}
        assert batch.latents.shape[-1] == (4 if alone else 3)
        lengths.add(batch.latents.shape[-1])
    assert lengths == {3, 4}


def test_a_track_as_long_as_the_window_is_taken_whole(tmp_path):
    track = write_track(tmp_path, "t-1", frames=4)
    assert torch.equal(sampler(tmp_path, [track]).draw(3).latents[2, 0, 0], torch.arange(4.0))


def test_each_condition_is_dropped_as_often_as_asked_and_on_its_own(tmp_path):
    track = write_track(tmp_path, "t-1")
    dropout = ConditionDropout(text=0.15, lyric=0.4, speaker=0.5)
    told = sampler(tmp_path, [track], dropout=dropout).draw(4000).conditioning
    no_text = (told.text_states == 0).flatten(1).all(1)
    no_lyric = (told.lyric_ids == 0).all(1)
    assert float(no_text.float().mean()) == pytest.approx(0.15, abs=0.02)
    assert float(no_lyric.float().mean()) == pytest.approx(0.4, abs=0.025)
    both = float((no_text & no_lyric).float().mean())
    assert both == pytest.approx(0.15 * 0.4, abs=0.015)
    # Dropped lyrics are masked, dropped text stays attended to as zeros, as the base was trained.
    assert torch.equal(told.lyric_mask.bool().any(1), ~no_lyric)
    assert bool(told.text_mask.bool().all())


def test_a_condition_is_dropped_whole_or_not_at_all(tmp_path):
    track = write_track(tmp_path, "t-1")
    dropout = ConditionDropout(text=0.5, lyric=0.5, speaker=0.5)
    told = sampler(tmp_path, [track], dropout=dropout).draw(64).conditioning
    assert {tuple(row) for row in told.lyric_ids.tolist()} == {(5, 6, 7), (0, 0, 0)}
    assert {tuple(row.flatten().tolist()) for row in told.text_states} == {(1.0,) * 8, (0.0,) * 8}


@pytest.mark.parametrize(("share", "kept"), [(0.0, True), (1.0, False)])
def test_never_and_always_are_exact(tmp_path, share, kept):
    track = write_track(tmp_path, "t-1")
    told = sampler(tmp_path, [track], dropout=ConditionDropout(share, share, share)).draw(50)
    assert bool((told.conditioning.text_states != 0).all()) is kept
    assert bool((told.conditioning.lyric_ids != 0).all()) is kept


def test_the_generator_s_state_is_the_whole_position(uneven):
    folder, tracks = uneven
    dropout = ConditionDropout(0.3, 0.3, 0.3)
    generator = torch.Generator().manual_seed(9)
    made = sampler(folder, tracks, sampling=BY_STYLE, dropout=dropout, generator=generator)
    made.draw(3)
    state = generator.get_state()
    batch = made.draw(3)
    other = torch.Generator()
    other.set_state(state)
    same = sampler(folder, tracks, sampling=BY_STYLE, dropout=dropout, generator=other).draw(3)
    assert torch.equal(same.latents, batch.latents)
    for name, part in vars(same.conditioning).items():
        assert torch.equal(part, getattr(batch.conditioning, name))


def test_a_track_of_two_styles_counts_for_its_first(tmp_path):
    tracks = [write_track(tmp_path, "t-1", styles=("A-01", "B-01")), write_track(tmp_path, "t-2")]
    tracks.append(replace(tracks[1], track="t-3"))
    counts = drawn(sampler(tmp_path, tracks, sampling=BY_STYLE), 900)
    assert counts[1] / 900 == pytest.approx(1 / 3, abs=0.06)


def test_a_rare_style_repeats_by_being_drawn_not_by_copies(uneven):
    _folder, tracks = uneven
    assert len({track.shard for track in tracks}) == len(tracks) == 11
    assert style_shares(tracks, "style") == {"": 0.333333, "A-01": 0.333333, "B-01": 0.333333}
    assert style_shares(tracks, "track") == {"": 0.090909, "A-01": 0.818182, "B-01": 0.090909}


def shares_of(folder, track, sampling, count=2000):
    counts = texts_drawn(sampler(folder, [track], sampling=sampling), count)
    return {number // 100: times / count for number, times in counts.items()}


def test_captions_have_their_share_and_the_rest_is_the_tags_in_any_order(tmp_path):
    track = write_track(tmp_path, "t-1", others=TEXTS)
    found = shares_of(tmp_path, track, BY_TRACK)
    # 0 is the prompt as written; then in the order of TEXTS.
    expected = {0: 0.7 / 4, 1: 0.15, 2: 0.15, 3: 0.7 / 4, 4: 0.7 / 4, 5: 0.7 / 4}
    assert found == pytest.approx(expected, abs=0.03)
    assert text_shares([track], BY_TRACK) == {"prompt": 0.175, "shuffle": 0.525, "caption": 0.3}


@pytest.mark.parametrize(
    ("sampling", "others", "expected"),
    [
        (replace(BY_TRACK, shuffle_tags=False), TEXTS, {0: 0.7, 1: 0.15, 2: 0.15}),
        (replace(BY_TRACK, recaption_share=0.0), TEXTS, {0: 0.25, 3: 0.25, 4: 0.25, 5: 0.25}),
        (replace(BY_TRACK, recaption_share=1.0), TEXTS, {1: 0.5, 2: 0.5}),
        (replace(BY_TRACK, recaption_share=1.0), TEXTS[2:3], {0: 0.5, 1: 0.5}),
        (Sampling("track", shuffle_tags=False, recaption_share=0.0), TEXTS, {0: 1.0}),
        (BY_TRACK, (), {0: 1.0}),
    ],
    ids=["written order", "no captions", "captions alone", "without any", "as written", "one text"],
)
def test_what_a_recipe_turns_off_is_never_drawn(tmp_path, sampling, others, expected):
    track = write_track(tmp_path, "t-1", others=others)
    found = shares_of(tmp_path, track, sampling, 600)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, abs=0.07)
    assert sum(text_shares([track], sampling).values()) == pytest.approx(1.0)


def test_shares_count_tracks_as_often_as_they_are_drawn(uneven):
    _folder, tracks = uneven
    # One of the nine of its style, one style of three.
    assert text_shares(tracks, BY_STYLE)["caption"] == pytest.approx(0.3 / 27, abs=1e-6)
    assert text_shares(tracks, BY_TRACK)["caption"] == pytest.approx(0.3 / 11, abs=1e-6)


def test_the_windows_of_a_seed_are_the_same_with_captions_and_without(tmp_path):
    plain = [write_track(tmp_path / "a", f"t-{n}", frames=9 + n) for n in (1, 2)]
    told = [write_track(tmp_path / "b", f"t-{n}", frames=9 + n, others=TEXTS) for n in (1, 2)]
    ours, theirs = sampler(tmp_path / "a", plain), sampler(tmp_path / "b", told)
    for _ in range(5):
        assert torch.equal(ours.draw(2).latents, theirs.draw(2).latents)
