from __future__ import annotations

from types import SimpleNamespace

from lofi_engine.training.texts import SHUFFLES, other_texts

TAGS = "lofi, rain, piano, vinyl crackle, 72 bpm, instrumental"


def said(prompt=TAGS, captions=None, track="rain"):
    return SimpleNamespace(track=track, prompt=prompt, captions=captions or {})


def test_a_prompt_has_some_other_orders_of_the_same_tags():
    found = other_texts(said(), seed=7)
    assert list(found) == [f"shuffle/{number}" for number in range(SHUFFLES)]
    assert len({TAGS, *found.values()}) == 1 + SHUFFLES
    for text in found.values():
        assert sorted(text.split(", ")) == sorted(TAGS.split(", "))


def test_the_same_seed_and_track_give_the_same_orders_and_others_give_others():
    assert other_texts(said(), 7) == other_texts(said(), 7)
    assert other_texts(said(), 7) != other_texts(said(), 8)
    assert other_texts(said(), 7) != other_texts(said(track="snow"), 7)


def test_captions_follow_by_name():
    captions = {"simplified": "lofi", "analysis": "72 bpm in A minor", "synonyms": ""}
    found = other_texts(said(captions=captions), 7)
    assert list(found)[SHUFFLES:] == ["caption/analysis", "caption/simplified"]
    assert found["caption/analysis"] == "72 bpm in A minor"


def test_no_text_comes_twice():
    two = other_texts(said("lofi, rain", {"expanded": "lofi, rain", "synonyms": "rain, lofi"}), 7)
    assert list(two.values()) == ["rain, lofi"]
    assert other_texts(said("A quiet evening by the window"), 7) == {}
    same = other_texts(said("lofi", {"expanded": "warm", "synonyms": "warm"}), 7)
    assert same == {"caption/expanded": "warm"}
