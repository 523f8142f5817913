"""What a base is taught from."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from lofi_engine.pretraining.pieces import captions_of, draw_pieces, lyrics_of, score_of
from lofi_engine.pretraining.settings import TrackSettings
from lofi_runtime.synth.sung import is_sung

TRACKS = TrackSettings(
    per_style=2, per_plain=3, held_out_per_style=1, held_out_per_plain=1, duration_sec=8.0
)
PIECES = draw_pieces(TRACKS, seed=7)


def test_every_style_and_genre_is_there_and_what_is_held_out_comes_last():
    taught = [piece for piece in PIECES if not piece.held_out]
    assert PIECES[: len(taught)] == tuple(taught)
    assert len(taught) == 2 * 38 + 3 * 13
    assert len(PIECES) - len(taught) == 38 + 13
    assert len({piece.name for piece in PIECES}) == len(PIECES)
    assert not {piece.seed for piece in taught} & {p.seed for p in PIECES if p.held_out}
    assert {"lofi", "plain"} == {piece.kind for piece in taught[:20]}


def test_the_same_seed_gives_the_same_pieces_and_more_pieces_keep_those_there_were():
    assert draw_pieces(TRACKS, seed=7) == PIECES
    more = draw_pieces(replace(TRACKS, per_style=5), seed=7)
    assert {*PIECES} <= {*more}


def test_the_first_caption_tells_tempo_and_key_and_the_others_are_different_texts():
    for piece in PIECES[:25]:
        score, captions = score_of(piece), captions_of(piece)
        assert f"{score.tempo_bpm:.0f} bpm" in captions[0]
        assert score.key.name in captions[0]
        assert len({*captions}) == len(captions) >= 5


def test_tempos_do_not_follow_from_styles_alone():
    tempos = [
        score_of(replace(PIECES[0], kind="lofi", style="CORE-01", seed=seed)).tempo_bpm
        for seed in range(40)
    ]
    assert np.ptp(tempos) > 30


def test_plain_pieces_have_no_tape_and_no_crackle():
    plain = [score_of(piece) for piece in PIECES if piece.kind == "plain"]
    assert all(score.textures == () and score.sound.wow_cents == 0 for score in plain)
    assert min(score.sound.cutoff_hz for score in plain) >= 15_000
    assert "lofi" not in " ".join(captions_of(p)[0] for p in PIECES if p.kind == "plain")


def test_lyrics_have_one_or_two_vowels_and_are_sung():
    sung = [piece for piece in PIECES if lyrics_of(piece)]
    assert len(sung) > 5
    for piece in sung:
        words = lyrics_of(piece).removeprefix("[verse]\n")
        vowels = {*re.findall("[aeiou]", words)}
        assert 1 <= len(vowels) <= 2
        heard = "".join(note.syllable for note in score_of(piece).notes)
        assert heard
        assert {*heard} <= vowels
    assert not any(lyrics_of(piece) for piece in PIECES if not is_sung(score_of(piece)))
