"""Ogg Vorbis with tags."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from lofi_engine.audio.vorbis import write_vorbis

TONE = np.sin(np.arange(30_000) * 0.05).astype(np.float32)[None].repeat(2, axis=0) * 0.5


def test_a_sound_longer_than_a_block_comes_back_with_its_tags(tmp_path):
    path = tmp_path / "tone.ogg"
    write_vorbis(path, TONE, 48_000, {"title": "a tone"}, 0.4)
    with soundfile.SoundFile(path) as file:
        assert (file.format, file.subtype, file.title) == ("OGG", "VORBIS", "a tone")
        read = file.read(dtype="float32").T
    assert read.shape == TONE.shape
    assert np.abs(read - TONE).max() < 0.05


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OSError, match=r"tone\.ogg: "):
        write_vorbis(tmp_path / "absent" / "tone.ogg", TONE, 48_000, {}, 0.4)
