"""What the mixer gives, sample by sample, against tracks put together by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from lofi_runtime.player.fades import volume_gain
from lofi_runtime.player.mixer import SWITCH_FRAMES, Event, Item, Mixer
from lofi_runtime.player.sound import Sound, SoundError
from tests.support.played_tracks import noise, write_noise

Frames = npt.NDArray[np.float32]


class Bench:
    """A mixer, what it told, and tracks on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []
        self.mixer = Mixer(self.events.append)

    def track(self, number: int, frames: int) -> tuple[Item, Frames]:
        path = self.folder / f"{number}.wav"
        return Item(number, path), write_noise(path, number, frames)

    def read(self, frames: int, block: int = 512) -> Frames:
        sizes = [block] * (frames // block) + [frames % block]
        return np.concatenate([self.mixer.read(size) for size in sizes])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def rising(frames: int) -> npt.NDArray[np.float64]:
    return np.sin(np.arange(frames) / frames * np.pi / 2)[:, None]


def falling(frames: int) -> npt.NDArray[np.float64]:
    return np.cos(np.arange(frames) / frames * np.pi / 2)[:, None]


@pytest.mark.parametrize("block", [7, 480, 4096, 50_000])
def test_tracks_without_crossfade_follow_each_other_to_the_sample(bench: Bench, block: int) -> None:
    (first, a), (second, b), (third, c) = (bench.track(n, 3000 + n) for n in (1, 2, 3))
    bench.mixer.play(first)
    bench.mixer.enqueue([second, third])
    joined = np.concatenate([a, b, c])
    out = bench.read(len(joined) + 500, block)
    assert np.array_equal(out[: len(joined)], joined)
    assert not out[len(joined) :].any()
    assert bench.events == [Event("ended", 1, 2), Event("ended", 2, 3), Event("ended", 3, 0)]
    assert bench.mixer.is_silent


@pytest.mark.parametrize("block", [7, 480, 30_000])
def test_a_crossfade_is_the_sum_of_both_tracks_at_equal_power(bench: Bench, block: int) -> None:
    (first, a), (second, b) = bench.track(1, 10_000), bench.track(2, 12_001)
    bench.mixer.set_crossfade(0.05)
    bench.mixer.play(first)
    bench.mixer.enqueue([second])
    overlap, begin = 2400, 10_000 - 2400
    expected = np.zeros((begin + 12_001, 2))
    expected[:10_000] = a
    expected[begin:10_000] *= falling(overlap)
    expected[begin:10_000] += b[:overlap] * rising(overlap)
    expected[10_000:] = b[overlap:]
    out = bench.read(len(expected), block)
    np.testing.assert_allclose(out, expected, atol=1e-7, rtol=0)
    assert np.array_equal(out[:begin], a[:begin])
    assert np.array_equal(out[10_000:], b[overlap:])


def test_at_the_begin_of_a_crossfade_the_next_track_is_the_current_one(bench: Bench) -> None:
    (first, _), (second, _) = bench.track(1, 10_000), bench.track(2, 10_000)
    bench.mixer.set_crossfade(0.05)
    bench.mixer.play(first)
    bench.mixer.enqueue([second])
    bench.read(7600)
    assert bench.mixer.current == (1, 7600 / 48_000)
    bench.read(480)
    assert bench.mixer.current == (2, 0.01)
    assert bench.events == [Event("ended", 1, 2)]


def test_a_crossfade_takes_at_most_half_of_either_track(bench: Bench) -> None:
    (first, a), (second, _) = bench.track(1, 10_000), bench.track(2, 2000)
    bench.mixer.set_crossfade(30)
    bench.mixer.play(first)
    bench.mixer.enqueue([second])
    out = bench.read(12_000)
    assert np.array_equal(out[:9000], a[:9000])
    assert not out[11_000:].any()


def test_a_looped_track_begins_again_at_the_very_next_sample(bench: Bench) -> None:
    (first, a), (second, b) = bench.track(1, 5000), bench.track(2, 5000)
    bench.mixer.set_crossfade(0.05)
    bench.mixer.loop = True
    bench.mixer.play(first)
    bench.mixer.enqueue([second])
    assert np.array_equal(bench.read(12_000), np.concatenate([a, a, a[:2000]]))
    assert bench.events == []
    bench.mixer.loop = False
    bench.mixer.set_crossfade(0)
    assert np.array_equal(bench.read(8000), np.concatenate([a[2000:], b]))


def test_a_pause_fades_stands_still_and_goes_on_where_it_was(bench: Bench) -> None:
    first, a = bench.track(1, 20_000)
    bench.mixer.play(first)
    bench.read(1000)
    bench.mixer.pause()
    out = bench.read(5000)
    ramp = 1 - np.arange(1, SWITCH_FRAMES + 1)[:, None] / SWITCH_FRAMES
    np.testing.assert_allclose(
        out[:SWITCH_FRAMES], a[1000 : 1000 + SWITCH_FRAMES] * ramp, atol=1e-7, rtol=0
    )
    assert not out[SWITCH_FRAMES:].any()
    assert bench.mixer.is_silent
    bench.mixer.resume()
    at = 1000 + 2 * SWITCH_FRAMES
    out = bench.read(5000)
    assert np.array_equal(out[SWITCH_FRAMES:], a[at : 1000 + SWITCH_FRAMES + 5000])
    assert abs(out[0]).max() < 0.001


def test_a_volume_goes_to_its_cube_in_a_straight_line(bench: Bench) -> None:
    path = bench.folder / "one.wav"
    soundfile.write(path, np.full((20_000, 2), 0.5), 48_000, subtype="FLOAT")
    bench.mixer.play(Item(1, path))
    bench.read(100)
    bench.mixer.set_volume(0.5)
    out = bench.read(5000)
    assert volume_gain(0.5) == 0.125
    np.testing.assert_allclose(out[SWITCH_FRAMES:], 0.0625, atol=1e-7)
    steps = np.diff(np.concatenate([[0.5], out[: SWITCH_FRAMES + 1, 0]]))
    assert steps.min() > -0.5 / SWITCH_FRAMES
    assert steps.max() <= 0
    bench.mixer.set_volume(0)
    assert not bench.read(5000)[SWITCH_FRAMES:].any()


def test_a_volume_set_before_the_first_sound_holds_from_its_first_sample(bench: Bench) -> None:
    first, a = bench.track(1, 3000)
    bench.mixer.set_volume(0.5)
    bench.mixer.play(first)
    np.testing.assert_allclose(bench.read(3000), a * 0.125, atol=1e-7, rtol=0)


@pytest.mark.parametrize("block", [7, 480])
def test_a_seek_fades_from_one_place_to_the_other(bench: Bench, block: int) -> None:
    first, a = bench.track(1, 96_000)
    bench.mixer.play(first)
    bench.read(1000)
    bench.mixer.seek(1, 1.5)
    expected = a[72_000:80_000].astype(float)
    expected[:SWITCH_FRAMES] *= rising(SWITCH_FRAMES)
    expected[:SWITCH_FRAMES] += a[1000 : 1000 + SWITCH_FRAMES] * falling(SWITCH_FRAMES)
    out = bench.read(8000, block)
    np.testing.assert_allclose(out, expected, atol=1e-7, rtol=0)
    assert np.array_equal(out[SWITCH_FRAMES:], a[72_000 + SWITCH_FRAMES : 80_000])


def test_a_seek_for_a_track_that_is_over_moves_no_other(bench: Bench) -> None:
    first, a = bench.track(1, 3000)
    bench.mixer.play(first)
    bench.mixer.seek(7, 0.01)
    assert np.array_equal(bench.read(3000), a)


def test_another_track_comes_in_while_the_one_before_fades_out(bench: Bench) -> None:
    (first, a), (second, b) = bench.track(1, 9000), bench.track(2, 9000)
    bench.mixer.play(first)
    bench.read(2000)
    bench.mixer.play(second)
    expected = b[:5000].astype(float)
    expected[:SWITCH_FRAMES] *= rising(SWITCH_FRAMES)
    expected[:SWITCH_FRAMES] += a[2000 : 2000 + SWITCH_FRAMES] * falling(SWITCH_FRAMES)
    np.testing.assert_allclose(bench.read(5000), expected, atol=1e-7, rtol=0)
    assert bench.events == []


def test_playing_what_plays_already_changes_nothing(bench: Bench) -> None:
    first, a = bench.track(1, 5000)
    bench.mixer.play(first)
    out = [bench.read(2000)]
    bench.mixer.play(first)
    out.append(bench.read(3000))
    assert np.array_equal(np.concatenate(out), a)


def test_a_stop_fades_out_even_the_tail_of_a_long_crossfade(bench: Bench) -> None:
    (first, _), (second, _) = bench.track(1, 96_000), bench.track(2, 96_000)
    bench.mixer.set_crossfade(1.0)
    bench.mixer.play(first)
    bench.mixer.enqueue([second])
    bench.read(60_000)
    bench.mixer.stop()
    out = bench.read(4000)
    assert out[: SWITCH_FRAMES - 100].any()
    assert not out[SWITCH_FRAMES:].any()
    assert bench.mixer.is_silent
    assert bench.mixer.current is None


def test_a_queue_told_again_forgets_what_is_not_in_it_and_what_has_begun(bench: Bench) -> None:
    items = [bench.track(number, 2000)[0] for number in (1, 2, 3, 4)]
    bench.mixer.play(items[0])
    bench.mixer.enqueue(items[1:3])
    bench.read(3000)
    bench.mixer.enqueue([items[1], items[3]])
    bench.read(6000)
    assert bench.events == [Event("ended", 1, 2), Event("ended", 2, 4), Event("ended", 4, 0)]


def test_a_queued_track_that_cannot_be_opened_is_told_and_passed_over(bench: Bench) -> None:
    (first, a), (third, c) = bench.track(1, 2000), bench.track(3, 2000)
    missing = bench.folder / "2.wav"
    bench.mixer.play(first)
    bench.mixer.enqueue([Item(2, missing), third])
    assert np.array_equal(bench.read(4000), np.concatenate([a, c]))
    refused = bench.events[0]
    assert (refused.kind, refused.number) == ("refused", 2)
    assert refused.message.startswith(f"{missing}: cannot be played (")


def test_a_file_that_is_cut_short_ends_there(bench: Bench) -> None:
    (first, a), (second, b) = bench.track(1, 4000), bench.track(2, 1000)
    data = first.path.read_bytes()
    bench.mixer.play(first)
    bench.mixer.enqueue([second])
    with first.path.open("r+b") as stream:
        stream.truncate(len(data) - 2000 * 8)
    out = bench.read(8000, 500)
    assert np.array_equal(out[:1500], a[:1500])
    assert bench.events == [Event("ended", 1, 2), Event("ended", 2, 0)]
    assert any(np.array_equal(out[at : at + 1000], b) for at in range(1900, 2600))


def test_what_two_loud_tracks_add_up_to_is_clipped(bench: Bench) -> None:
    paths = [bench.folder / name for name in ("a.wav", "b.wav")]
    for path in paths:
        soundfile.write(path, np.full((9600, 2), 0.9), 48_000, subtype="FLOAT")
    bench.mixer.set_crossfade(0.1)
    bench.mixer.play(Item(1, paths[0]))
    bench.mixer.enqueue([Item(2, paths[1])])
    assert bench.read(14_400).max() == 1.0


@pytest.mark.parametrize("format", ["WAV", "FLAC", "MP3"])
def test_every_format_is_read_in_blocks_as_it_is_read_whole(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"track.{format.lower()}"
    soundfile.write(path, noise(1, 30_001), 48_000, format=format)
    whole, _ = soundfile.read(path, dtype="float32")
    sound = Sound(path)
    blocks = [sound.read(777) for _ in range(45)]
    assert np.array_equal(np.concatenate(blocks), whole)
    assert len(whole) == 30_001
    sound.seek(12_345)
    assert np.array_equal(sound.read(500), whole[12_345:12_845])
    sound.close()


def test_one_channel_is_heard_on_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "mono.wav"
    soundfile.write(path, noise(1, 900)[:, 0], 48_000, subtype="FLOAT")
    assert np.array_equal(Sound(path).read(900), np.repeat(noise(1, 900)[:, :1], 2, axis=1))


def test_another_sample_rate_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "slow.wav"
    soundfile.write(path, noise(1, 900), 44_100)
    with pytest.raises(SoundError) as caught:
        Sound(path)
    assert str(caught.value) == f"{path}: 44100 Hz with 2 channels, must be 48000 Hz with 1 or 2"
