"""A gallery as a browser shows it, its clips as a decoder reads them."""

from __future__ import annotations

import re

import numpy as np
import pytest
import soundfile

from lofi_engine.errors import StageError
from lofi_engine.gallery import render_gallery
from lofi_engine.gallery.spectrogram import HEIGHT, WIDTH, draw_spectrogram, spectrogram
from lofi_runtime.errors import StyleError
from lofi_runtime.loudness import TARGET_LUFS, integrated_loudness
from tests.support.browser import browser_page

STYLES = ("CORE-04", "SEASON-06", "THEME-07", "VOCAL-05")


def ignore(done, total, style_id):
    pass


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a gallery")
    told = []
    page = render_gallery(folder, STYLES, 5, 3, lambda *call: told.append(call))
    return page, told


def test_a_gallery_is_a_page_with_a_clip_and_a_picture_for_each_style(gallery):
    page, told = gallery
    assert page.name == "index.html"
    names = {f"{style}.{end}" for style in STYLES for end in ("ogg", "png")}
    assert {path.name for path in page.parent.iterdir()} == {"index.html", *names}
    assert told == [(0, 4, "CORE-04"), (1, 4, "SEASON-06"), (2, 4, "THEME-07"), (3, 4, "VOCAL-05"),
                    (4, 4, "")]  # fmt: skip


def test_a_clip_decodes_at_its_length_and_loudness_and_says_what_it_is(gallery):
    with soundfile.SoundFile(gallery[0].parent / "CORE-04.ogg") as file:
        assert (file.samplerate, file.channels, file.subtype) == (48_000, 2, "VORBIS")
        assert "AI-generated" in file.comment
        assert "CC0-1.0" in file.copyright
        samples = file.read(dtype="float32").T
    assert samples.shape[1] == 5 * 48_000
    assert integrated_loudness(samples) == pytest.approx(TARGET_LUFS, abs=0.5)


def test_a_page_asks_for_nothing_that_does_not_lie_beside_it(gallery):
    page, _ = gallery
    text = page.read_text(encoding="utf-8")
    assert "://" not in text
    wanted = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(wanted) == 8
    assert all((page.parent / name).is_file() for name in wanted)
    assert "<!--" not in text


def test_the_same_gallery_made_again_is_the_same_and_only_its_own_files_change(gallery, tmp_path):
    page, _ = gallery
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    render_gallery(tmp_path, STYLES[:1], 5, 3, ignore)
    again = render_gallery(tmp_path, STYLES[:1], 5, 3, ignore)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
    picture = "CORE-04.png"
    assert (tmp_path / picture).read_bytes() == (page.parent / picture).read_bytes()
    assert again.is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"duration_sec": 4}, "a clip of 4 s: 5 to 600 s are possible"),
        ({"seed": -1}, "seed -1: it must be 0 or more"),
    ],
)
def test_a_request_out_of_range_is_refused(tmp_path, change, message):
    wanted = {"duration_sec": 5, "seed": 1} | change
    with pytest.raises(StageError, match=message):
        render_gallery(tmp_path, STYLES, on_progress=ignore, **wanted)


def test_an_unknown_style_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(StyleError, match="CORE-99"):
        render_gallery(tmp_path / "new", ["CORE-99"], 5, 1, ignore)
    assert not (tmp_path / "new").exists()


def test_somebody_elses_page_is_not_replaced(tmp_path):
    (tmp_path / "index.html").write_text("<p>my home page", encoding="utf-8")
    with pytest.raises(StageError, match="is not a gallery"):
        render_gallery(tmp_path, STYLES, 5, 1, ignore)
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == "<p>my home page"


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(StageError, match="taken: is a file"):
        render_gallery(tmp_path / "taken", STYLES, 5, 1, ignore)


@pytest.mark.parametrize("hertz", [60.0, 440.0, 8000.0])
def test_a_tone_is_a_line_at_its_place_in_octaves(hertz):
    wave = np.sin(2 * np.pi * hertz * np.arange(48_000) / 48_000).astype(np.float32)
    levels = spectrogram(np.stack([wave, wave]), 48_000, 50, 120)
    row = int(levels[:, 25].argmax())
    place = 1.0 - (row + 0.5) / 120
    assert 40.0 * 400.0**place == pytest.approx(hertz, rel=0.12)
    assert levels.max() == 0.0


def test_silence_is_drawn_dark(tmp_path):
    from PIL import Image

    draw_spectrogram(tmp_path / "x.png", np.zeros((2, 4800), np.float32), 48_000)
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.size == (WIDTH, HEIGHT)
        assert np.asarray(picture.convert("L"))[:, 40:].max() < 40


def test_a_browser_shows_filters_and_steps_through_the_clips(gallery, tmp_path):
    url = gallery[0].as_uri()
    with browser_page(tmp_path / "profile") as page:
        page.open(url)
        page.wait("document.querySelectorAll('article').length === 4")
        loaded = "[...document.querySelectorAll('img')].every((i) => i.complete && i.naturalWidth)"
        page.evaluate("document.querySelectorAll('img').forEach((i) => { i.loading = 'eager'; })")
        page.wait(loaded)
        shown = (
            "[...document.querySelectorAll('article')].filter((a) => !a.hidden).map((a) => a.id)"
        )
        page.press("2")
        assert page.evaluate(shown) == ["SEASON-06"]
        page.press("0")
        assert page.evaluate(shown) == list(STYLES)
        page.press("/", *"chiptune", "Escape")
        assert page.evaluate(shown) == ["THEME-07"]
        page.evaluate("search.value = ''; search.dispatchEvent(new Event('input'))")
        page.press("j")
        page.wait("!document.querySelector('#CORE-04 audio').paused")
        page.wait("document.querySelector('#CORE-04 audio').currentTime > 0")
        page.press("j")
        page.wait("!document.querySelector('#SEASON-06 audio').paused")
        assert page.evaluate("document.querySelector('#CORE-04 audio').paused") is True
        page.press(" ")
        page.wait("document.querySelector('#SEASON-06 audio').paused")
        colour = "getComputedStyle(document.body).backgroundColor"
        page.dark(False)
        light = page.evaluate(colour)
        page.dark(True)
        assert page.evaluate(colour) != light
        assert page.complaints == []
