"""The page of a measurement: its drawings, its sounds, and what a browser makes of it."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import soundfile

from lofi_engine.errors import MetricError
from lofi_engine.metrics.document import Measured, as_document
from lofi_engine.metrics.figures import HIGHER, LOWER, Difference, Figure, Interval
from lofi_engine.metrics.folder import ClipFolder
from lofi_engine.metrics.page.bars import Bar, draw_bars
from lofi_engine.metrics.page.embedding_map import draw_map, project
from lofi_engine.metrics.page.sounds import choose
from lofi_engine.metrics.page.writing import check_place, write_report
from lofi_engine.metrics.scoring import Score
from tests.support.audio_folder import tune
from tests.support.browser import browser_page

EVIL = 'rain <b id="evil"> & "quotes"'


class Loudness:
    """A tiny embedding: the level of each quarter of a window."""

    name, dimensions, sample_rate, channels = "loudness", 4, 16_000, 1
    window_sec, hop_sec = 1.0, 0.5

    def embed(self, windows):
        quarters = windows.astype(np.float64).reshape(len(windows), 4, -1)
        return np.sqrt(np.square(quarters).mean(axis=2))


def ignore(done, total, name):
    pass


def folder(place, names, gain=1.0, suffix=".wav"):
    place.mkdir(parents=True)
    for seed, name in enumerate(names):
        samples = gain * (1 + seed) * tune(3.0, 16_000, seed=seed) / len(names)
        soundfile.write(place / f"{name}{suffix}", samples, 16_000)
    return ClipFolder(place)


def measured(*folders):
    roles = ("judged", "against", "reference")
    return [
        Measured(role, one, one.survey(ignore)) for role, one in zip(roles, folders, strict=False)
    ]


def figure(sets, metric="mel", better=LOWER, **changes):
    given = {
        "judged": sets[0].folder.label,
        "each": {name: float(at) for at, name in enumerate(sets[0].folder.names)},
    } | changes
    return Figure(metric, 2.5, Interval(2.0, 3.0, 2000), 3, "pairs", better, "dB", **given)


def document(sets, *scores):
    return as_document(sets, scores, {"clap": "needs a CLAP model"}, seed=0, converted=False)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A page of three pairs, one with a name that would like to be HTML."""
    home = tmp_path_factory.mktemp("page")
    names = ("a", "b", EVIL)
    sets = measured(folder(home / "A", names), folder(home / "B", names, gain=0.5))
    text = {"text": "all is <i>well</i>"}
    none = dict.fromkeys(names, 0.0)
    pair = [figure(sets), figure(sets, judged=sets[1].folder.label, details=text, each=none)]
    compared = Difference("key", 0.5, 0.2, Interval(0.1, 0.9, 2000), 3, *pair)
    scores = (
        Score("mel", figures=(figure(sets, details={"bands": 128}),)),
        Score("key", differences=(compared,)),
        Score("fad", refused="A: too few windows"),
    )
    place = home / "page"
    page = write_report(place, document(sets, *scores), sets, Loudness(), 12, ignore)
    return page, sets


def test_a_page_lies_with_its_sounds_its_pictures_and_its_numbers(report):
    page, sets = report
    assert page.name == "index.html"
    kept = json.loads((page.parent / "measure.json").read_text(encoding="utf-8"))
    assert kept["format"] == 1
    assert [one["metric"] for one in kept["figures"]] == ["mel"]
    found = sorted(path.name for path in (page.parent / "clips").iterdir())
    assert found == sorted(
        f"00{n}-{s}.{end}" for n in "123" for s in "ab" for end in ("wav", "png")
    )
    original = sets[0].folder.file(EVIL)
    assert (page.parent / "clips" / "001-a.wav").read_bytes() == original.read_bytes()


def test_a_page_asks_for_nothing_that_does_not_lie_beside_it(report):
    page, _ = report
    text = page.read_text(encoding="utf-8")
    assert "://" not in text
    wanted = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(wanted) == 12
    assert all((page.parent / name).is_file() for name in wanted)
    assert "<!--" not in text


def test_names_and_texts_stay_words(report):
    text = report[0].read_text(encoding="utf-8")
    assert '<b id="evil">' not in text
    assert "<i>well" not in text
    assert "rain &lt;b id=&quot;evil&quot;&gt;" in text


def test_the_same_measurement_gives_the_same_page(report, tmp_path):
    page, sets = report
    kept = json.loads((page.parent / "measure.json").read_text(encoding="utf-8"))
    again = write_report(tmp_path / "again", kept, sets, Loudness(), 12, ignore)
    assert again.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


def test_a_new_page_takes_the_place_of_an_older_one_with_all_its_sounds(tmp_path):
    sets = measured(folder(tmp_path / "A", ("a", "b", "c"), suffix=".aiff"))
    found = document(sets, Score("mel", figures=(figure(sets),)))
    place = tmp_path / "page"
    for most, left in ((3, ["001-a", "002-a", "003-a"]), (1, ["001-a"])):
        check_place(place, [tmp_path / "A"])
        write_report(place, found, sets, Loudness(), most, ignore)
        assert sorted(path.stem for path in (place / "clips").glob("*.flac")) == left
    sound, rate = soundfile.read(place / "clips" / "001-a.flac")
    assert (rate, len(sound)) == (16_000, 48_000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda place: place.write_text("x"), "is a file - name a folder"),
        (lambda place: (place.mkdir(), (place / "a.txt").write_text("x")), "holds other files"),
        (lambda place: (place.mkdir(), (place / "index.html").write_text("x")), "other files"),
    ],
)
def test_somebody_elses_folder_is_not_written_to(tmp_path, make, message):
    make(tmp_path / "place")
    with pytest.raises(MetricError, match=message):
        check_place(tmp_path / "place", [])


def test_a_page_inside_a_measured_folder_is_refused(tmp_path):
    (tmp_path / "A").mkdir()
    for place in (tmp_path / "A", tmp_path / "A" / "deep" / "page"):
        with pytest.raises(MetricError, match=r"lies inside .*A, which is measured"):
            check_place(place, [tmp_path / "A"])
    check_place(tmp_path / "A page", [tmp_path / "A"])


@pytest.mark.parametrize(("better", "order"), [(LOWER, "cba"), (HIGHER, "abc")])
def test_the_worst_clips_come_first(tmp_path, better, order):
    sets = measured(folder(tmp_path / "A", "abc"), folder(tmp_path / "B", "abc"))
    score = Score("mel", figures=(figure(sets, better=better),))
    found = choose(sets, document(sets, score), 2)
    assert found.names == tuple((name, name) for name in order[:2])
    assert found.said == "by mel, the worst first"


def test_of_compared_sets_the_largest_loss_comes_first(tmp_path):
    sets = measured(folder(tmp_path / "A", "abc"), folder(tmp_path / "B", "abc"))
    first = figure(sets, each={"a": 1.0, "b": 5.0, "c": 3.0})
    second = figure(sets, judged=sets[1].folder.label, each={"a": 0.0, "b": 9.0, "c": 0.5})
    compared = Difference("mel", 0.0, None, Interval(-1.0, 1.0, 9), 3, first, second)
    found = choose(sets, document(sets, Score("mel", differences=(compared,))), 3)
    assert [row[0] for row in found.names] == ["c", "a", "b"]


def test_sets_without_pairs_stand_beside_each_other_as_far_as_they_reach(tmp_path):
    sets = measured(folder(tmp_path / "A", "ab"), folder(tmp_path / "B", "xyz"))
    found = choose(sets, document(sets), 9)
    assert found.names == (("a", "x"), ("b", "y"), ("", "z"))
    assert found.said == "by name; the folders hold no pairs"


def test_bars_stand_at_their_values_on_one_axis():
    bars = [
        Bar(1.0, 0.5, 1.5, "judged", "A: 1", {"x": 0.0, "y": 2.0}),
        Bar(2.0, None, None, "against", "B: 2"),
    ]
    root = ET.fromstring(draw_bars(bars, "a < b"))
    first, second = (float(one.get("cx")) for one in root.iter("circle"))
    interval = next(one for one in root.iter("line") if one.get("class") == "interval")
    low, high = float(interval.get("x1")), float(interval.get("x2"))
    marks = [one for one in root.iter("line") if one.get("class") == "mark judged"]
    assert second - first == pytest.approx(high - low)
    assert first == pytest.approx((low + high) / 2)
    assert [one.find("title").text for one in marks] == ["x: 0", "y: 2"]
    assert float(marks[1].get("x1")) == pytest.approx(second)
    ticks = [float(one.text) for one in root.iter("text")]
    assert 3 <= len(ticks) <= 8
    assert ticks == sorted(ticks)


@pytest.mark.parametrize("values", [(3.0, 3.0), (0.0, 0.0), (1e-9, 2e-9), (-5e6, 5e6)])
def test_any_range_has_an_axis(values):
    bars = [Bar(value, None, None, "judged", "") for value in values]
    root = ET.fromstring(draw_bars(bars, "x", zero=True))
    places = [float(one.get("cx")) for one in root.iter("circle")]
    assert all(0 < place < 460 for place in places)
    assert 2 <= len(list(root.iter("text"))) <= 9


def test_the_plane_holds_the_two_largest_components():
    rng = np.random.default_rng(0)
    spread = rng.standard_normal((300, 5)) * [0.1, 6.0, 0.1, 3.0, 0.1] + 7.0
    (one, other), shares = project([spread[:100], spread[100:]])
    assert (one.shape, other.shape) == ((100, 2), (200, 2))
    together = np.concatenate([one, other])
    centred = spread - spread.mean(axis=0)
    assert abs(np.corrcoef(together[:, 0], centred[:, 1])[0, 1]) > 0.99
    assert abs(np.corrcoef(together[:, 1], centred[:, 3])[0, 1]) > 0.99
    assert shares[0] == pytest.approx(36 / 45, abs=0.05)
    assert sum(shares) == pytest.approx(1.0, abs=0.01)


def test_a_map_has_a_sign_for_every_window_with_clip_style_and_time(tmp_path):
    sets = measured(folder(tmp_path / "A", ("CORE-01", "b")), folder(tmp_path / "B", ("c",)))
    drawn = draw_map(sets, Loudness(), ignore)
    root = ET.fromstring(drawn.svg)
    circles, squares = list(root.iter("circle")), list(root.iter("rect"))
    assert (len(circles), len(squares)) == (10, 5)
    titles = {one.find("title").text for one in circles}
    assert f"{tmp_path}/A: CORE-01, CORE-01, from 1.5 s" in titles
    assert all(0 <= float(one.get("cx")) <= 760 and 0 <= float(one.get("cy")) <= 520
               for one in circles)  # fmt: skip
    assert "window of 1 s in loudness" in drawn.said


def test_sets_that_cannot_be_embedded_have_no_map_but_a_reason(tmp_path):
    place = tmp_path / "A"
    place.mkdir()
    soundfile.write(place / "a.wav", np.zeros((16_000, 1)), 16_000)
    drawn = draw_map(measured(ClipFolder(place)), Loudness(), ignore)
    assert drawn.svg == ""
    assert "silent" in drawn.said


def test_a_browser_shows_plays_and_switches(report, tmp_path):
    page_path, _ = report
    with browser_page(tmp_path / "profile") as page:
        page.open(page_path.as_uri())
        page.wait("document.querySelectorAll('.row').length === 3")
        page.evaluate("document.querySelectorAll('img').forEach((i) => { i.loading = 'eager'; })")
        page.wait(
            "[...document.querySelectorAll('img')].every((i) => i.complete && i.naturalWidth)"
        )
        assert page.text("article .verdict") == (
            "A is worse +0.5 (+20.0%), 95% interval 0.1 to 0.9, 3 pairs"
        )
        assert page.evaluate("document.querySelector('#evil')") is None
        assert EVIL in page.text(".row h3")
        page.evaluate("document.querySelector('.clip.judged audio').play()")
        page.wait("document.querySelector('.clip.judged audio').currentTime > 0.2")
        page.press("x")
        page.wait("!document.querySelector('.clip.against audio').paused")
        page.wait("document.querySelector('.clip.against audio').currentTime > 0.2")
        assert page.evaluate("document.querySelector('.clip.judged audio').paused") is True
        page.evaluate("document.querySelector('button.against').click()")
        hidden = "[...document.querySelectorAll('.map rect')].every((p) => p.style.display)"
        assert page.evaluate(hidden) is True
        colour = "getComputedStyle(document.body).backgroundColor"
        page.dark(False)
        light = page.evaluate(colour)
        page.dark(True)
        assert page.evaluate(colour) != light
        narrow = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": False}
        page.call("Emulation.setDeviceMetricsOverride", **narrow)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.complaints == []
