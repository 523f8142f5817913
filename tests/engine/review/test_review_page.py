from __future__ import annotations

import contextlib
import json
import shutil
import threading

import pytest

from lofi_engine.recipe.load import load_recipe
from lofi_engine.review.decoder import Decoder
from lofi_engine.review.measured import Measured
from lofi_engine.review.server import ReviewServer
from lofi_engine.review.store import Review
from lofi_engine.review.tracks import list_tracks
from tests.support.browser import browser_page, wait_for
from tests.support.png import read_png
from tests.support.review_folder import NAMES, make_review_folder, read_row, row_of, write_ledger

DRAWN = "typeof drawn !== 'undefined' && drawn !== null"


@contextlib.contextmanager
def serving(home):
    recipe = load_recipe(home / "recipe.yaml")
    review = Review(recipe, list_tracks(recipe), Measured(recipe))
    with Decoder() as decoder, ReviewServer(review, decoder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_review_folder(tmp_path_factory.mktemp("page")).parent


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    profile = tmp_path_factory.mktemp("profile")
    with browser_page(profile) as page:
        yield page
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def page(home, chromium):
    write_ledger(home, [row_of(name) for name in NAMES if name != "no row.flac"])
    with serving(home) as url:
        chromium.complaints.clear()
        chromium.open(url)
        chromium.wait(DRAWN)
        yield chromium


def wait_for_row(home, name, **wanted):
    def there():
        row = read_row(home, name)
        return all(row.get(key) == value for key, value in wanted.items()) and row

    return wait_for(there, f"{name}: {wanted}")


def test_keys_score_tag_note_and_accept_and_the_ledger_says_so(home, page):
    assert page.text("#name") == f"raw/{NAMES[0]}"
    page.press("8")
    wait_for_row(home, NAMES[0], quality_score=80)
    page.press("+")
    wait_for_row(home, NAMES[0], quality_score=85)
    page.press("t", *"rainy day", "Enter", *"vinyl crackle", "Enter", "Enter")
    row = wait_for_row(home, NAMES[0], style_ids=["CORE-01", "SEASON-06"])
    assert row["review"] == {"tags": ["vinyl crackle"]}
    page.press("n", *"ajar at 0:03?")
    assert page.evaluate("document.getElementById('note-input').value") == "ajar at 0:03?"
    page.evaluate("document.getElementById('note-save').click()")
    wait_for_row(home, NAMES[0], notes="ajar at 0:03?", quality_score=85)
    page.press("a")
    row = wait_for_row(home, NAMES[0], human_verified=True)
    assert row["review"]["accepted"] is True
    page.wait(f"document.getElementById('name').innerText === {json.dumps('raw/' + NAMES[1])}")
    assert "1 of 5 reviewed: 1 accepted, 0 rejected" in page.text("#counts")
    assert page.complaints == []


def test_reject_goes_on_past_what_has_no_row_and_undo_comes_back(home, page):
    page.press("r")
    page.wait("track.number === 1")
    page.press("r")
    page.wait("track.number === 3")
    assert wait_for_row(home, NAMES[1], human_verified=True)["review"]["accepted"] is False
    page.press("u")
    page.wait("track.number === 1")
    assert read_row(home, NAMES[1]) == row_of(NAMES[1])
    assert "not reviewed" in page.text("#verdict")
    page.press("u", "u")
    page.wait("document.getElementById('said').innerText.includes('nothing to undo')")
    assert read_row(home, NAMES[0]) == row_of(NAMES[0])


def test_keys_faster_than_the_answers_mean_the_track_that_was_gone_to(home, page):
    page.press("j", "7", "+", "a", "a")
    row = wait_for_row(home, NAMES[1], human_verified=True, quality_score=75)
    assert row["review"]["accepted"] is True
    page.wait("track.number === 3")
    assert read_row(home, NAMES[0]) == row_of(NAMES[0])
    assert read_row(home, NAMES[3]) == row_of(NAMES[3])  # nobody accepts unheard by a double key


def test_space_plays_arrows_seek_and_tapes_are_heard_too(page):
    page.press(" ")
    page.wait("audio.currentTime > 0.2 && !audio.paused")
    page.press(" ")
    page.wait("audio.paused")
    page.evaluate("audio.currentTime = 0.5")
    page.press("ArrowRight")
    page.wait("Math.abs(audio.currentTime - 5.5) < 0.1")
    page.press("ArrowLeft")
    page.wait("Math.abs(audio.currentTime - 0.5) < 0.1")
    page.press("j", "j", "j")
    page.wait("track.number === 3 && drawn !== null")
    page.press(" ")  # AIFF, which no chromium plays: it comes decoded
    page.wait("audio.currentTime > 0.2")
    page.press(" ", "k")
    page.wait("track.number === 2")
    assert page.complaints == []


def test_a_track_without_a_row_and_a_broken_one_say_what_to_do(page):
    page.press("j", "j")
    page.wait("track.number === 2")
    assert "lofi-recipe data import" in page.text("#why")
    page.press("a")
    page.wait("document.getElementById('said').innerText.includes('has no row')")
    page.press("j", "j")
    page.wait("track.number === 4 && !document.getElementById('fault').hidden")
    assert "no audio can be decoded from it" in page.text("#fault")


def test_a_hand_that_was_faster_is_shown_and_kept(home, page):
    write_ledger(home, [{**row_of(name), "notes": "by hand"} for name in (NAMES[0], NAMES[1])])
    page.press("n", *"mine")
    page.evaluate("document.getElementById('note-save').click()")
    page.wait("document.getElementById('said').innerText.includes('changed meanwhile')")
    assert page.text("#notes") == "by hand"
    assert read_row(home, NAMES[0])["notes"] == "by hand"


def test_words_of_the_ledger_are_never_run_as_code(home, page):
    evil = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    write_ledger(home, [{**row_of(NAMES[0]), "notes": evil, "review": {"tags": [evil]}}])
    page.evaluate("location.reload()")
    page.wait(f"{DRAWN} && document.getElementById('notes').innerText.includes('onerror')")
    assert page.text("#notes") == evil
    assert page.evaluate("document.title") != "run"


def test_it_opens_where_the_last_session_ended(home, chromium):
    rows = [{**row_of(name), "human_verified": True} for name in (NAMES[0], NAMES[1])]
    write_ledger(home, [*rows, row_of(NAMES[3]), row_of(NAMES[4])])
    with serving(home) as url:
        chromium.open(url)
        chromium.wait(DRAWN)
        assert chromium.text("#name") == f"raw/{NAMES[3]}"


@pytest.mark.parametrize("dark", [False, True])
def test_it_is_drawn_in_light_and_in_dark(page, tmp_path, dark):
    page.dark(dark)
    page.screenshot(tmp_path / "top.png", within="header")
    ground = read_png(tmp_path / "top.png")[3, 3, :3].mean()
    assert (ground < 60) if dark else (ground > 200)
    page.screenshot(tmp_path / "spectrum.png", within="#spectrum")
    assert read_png(tmp_path / "spectrum.png")[..., :3].std() > 15  # there is a picture in it


def test_every_control_has_a_name_and_every_text_stands_out(page):
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, select, input, textarea')].filter((one) =>"
        " !(one.innerText || one.getAttribute('aria-label') || one.labels?.length)).length"
    )
    assert unnamed == 0
    for dark in (False, True):
        page.dark(dark)
        for ink in ("--ink", "--dim", "--accent", "--good", "--bad", "--warn"):
            for back in ("--back", "--panel", "--chip"):
                assert page.evaluate(CONTRAST % (ink, back)) >= 4.5, (dark, ink, back)


CONTRAST = """(() => {
  const light = (name) => {
    const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const both = [light("%s"), light("%s")].sort((one, two) => two - one);
  return (both[0] + 0.05) / (both[1] + 0.05);
})()"""
