from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lofi_engine.training.sample_page import GENERATOR, write_page
from lofi_engine.training.sample_prompts import choose_prompts
from lofi_engine.training.sample_record import (
    Clip,
    SampleRecord,
    read_record,
    spectrum_distance_db,
)
from lofi_runtime.atomic import write_json
from lofi_runtime.audio_file import write_audio
from tests.support.browser import browser_page

TAGS = {"comment": "AI-generated"}


def make_record(steps=(), **changes):
    prompts = choose_prompts(["CORE-01"])
    rounds = {
        name: {
            one.style: Clip(f"{name}/{one.style}.flac", f"{name}/{one.style}.png", 1.26, ())
            for one in prompts
        }
        for name in ("base", *(f"step-{step:07d}" for step in steps))
    }
    values = {
        "base": "hf:some/base",
        "guidance": "plain",
        "duration_sec": 8,
        "inference_steps": 27,
        "seed": 0,
        "prompts": prompts,
        "rounds": rounds,
    }
    return SampleRecord(**{**values, **changes})


def test_the_newest_step_stands_beside_the_base():
    page = write_page(make_record((40, 80, 120)))
    first = page[page.index('id="CORE-01"') : page.index('id="SEASON-01"')]
    places = [first.index(f">{label}") for label in ("base", "step 120", "step 80", "step 40")]
    assert places == sorted(places)
    assert first.count("1.3 dB from the base") == 3
    assert GENERATOR in page


def test_whatever_is_in_a_record_is_text_to_the_page():
    bad = '"><script>alert(1)</script>'
    record = make_record((1,), base=bad, guidance=bad)
    prompt = replace(record.prompts[0], name=bad, prompt=bad, lyrics=bad, group=bad)
    clips = {
        name: {**clips, "CORE-01": replace(clips["CORE-01"], warnings=(bad,))}
        for name, clips in record.rounds.items()
    }
    page = write_page(replace(record, prompts=(prompt, *record.prompts[1:]), rounds=clips))
    assert page.count("<script>") == 1
    assert "alert(1)" in page
    assert page.count("&lt;script&gt;") == 2 + 4 + 2


def test_a_record_kept_is_gone_on_with_and_another_suite_s_is_not(tmp_path):
    path = tmp_path / "samples.json"
    record = make_record((40,))
    write_json(path, record.as_json())
    wanted = replace(record, rounds={})
    assert read_record(path, wanted) == record
    for other in ({"seed": 1}, {"base": "hf:other"}, {"prompts": choose_prompts(["CORE-02"])}):
        assert read_record(path, replace(wanted, **other)).rounds == {}
    assert read_record(tmp_path / "none.json", wanted) == wanted


def test_the_distance_is_in_db_and_does_not_count_loudness(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, 48_000)).astype(np.float32) * 0.05
    tone = 0.3 * np.sin(np.arange(48_000) * 0.05).astype(np.float32)
    sounds = {"noise": noise, "louder": 2 * noise, "both": noise + tone, "tone": 0 * noise + tone}
    for name, samples in sounds.items():
        write_audio(tmp_path / f"{name}.flac", samples, format="flac", bits=24, tags=TAGS)

    def distance(one, other):
        return spectrum_distance_db(tmp_path / f"{one}.flac", tmp_path / f"{other}.flac")

    assert distance("noise", "noise") == 0.0
    assert distance("noise", "louder") == pytest.approx(0.0, abs=0.05)
    assert distance("noise", "tone") == distance("tone", "noise") > distance("noise", "both") > 3.0


def test_on_a_wide_screen_the_base_stays_in_sight_of_the_oldest_step(tmp_path):
    (tmp_path / "index.html").write_text(write_page(make_record(range(1000, 21000, 1000))))
    with browser_page(tmp_path / "profile") as page:
        page.open((tmp_path / "index.html").as_uri())
        page.wait("document.querySelectorAll('figure').length === 105")
        page.evaluate("document.querySelector('.strip').scrollLeft = 1e6")
        left = "document.querySelectorAll('#CORE-01 figure')[{}].getBoundingClientRect().left"
        assert 0 <= page.evaluate(left.format(0)) < 40
        assert 300 < page.evaluate(left.format(20)) < 1280
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
