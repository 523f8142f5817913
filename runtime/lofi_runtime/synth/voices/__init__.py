"""Pitched voices by name, levelled so that equal velocities sound about equally loud."""

from __future__ import annotations

import numpy as np

from lofi_runtime.synth.voices import keys, plucked, struck, sustained, winds
from lofi_runtime.synth.voices.common import Samples, Voice

VOICES: dict[str, Voice] = {
    "piano": keys.piano,
    "rhodes": keys.rhodes,
    "wurlitzer": keys.wurlitzer,
    "organ": keys.organ,
    "acoustic guitar": plucked.acoustic_guitar,
    "electric guitar": plucked.electric_guitar,
    "harp": plucked.harp,
    "bass guitar": plucked.bass_guitar,
    "upright bass": plucked.upright_bass,
    "sub bass": plucked.sub_bass,
    "synth pads": sustained.synth_pads,
    "strings": sustained.strings,
    "chiptune lead": struck.chiptune_lead,
    **{name: winds.wind_voice(name) for name in winds.WIND_NAMES},
    **{name: struck.bar_voice(name) for name in struck.BAR_NAMES},
}

# Against a Rhodes, in dB: a balance for background listening, melody just above the chords.
_LEVELS_DB = {
    "piano": 0.5,
    "organ": -7.0,
    "synth pads": -5.5,
    "strings": -6.0,
    "harp": -1.0,
    "acoustic guitar": 0.5,
    "bass guitar": 1.5,
    "upright bass": 2.5,
    "sub bass": -0.5,
    "flute": -3.0,
    "saxophone": -2.5,
    "clarinet": -3.0,
    "trumpet": -4.5,
    "humming": -2.5,
    "chopped vocals": -4.0,
    "bells": -3.5,
    "music box": -2.5,
    "kalimba": 0.0,
    "chiptune lead": -7.0,
}
_LEVEL_BLOCK = 1200


def play(
    name: str, pitch: int, held_sec: float, velocity: float, rng: np.random.Generator
) -> Samples:
    """Return one note at its level in the mix, float32 (samples,) or (2, samples).

    A note is scaled by its loudest 25 ms, so no voice has to know its own loudness; high notes
    are taken back by 1.5 dB an octave, because the ear hears them louder.
    """
    tone = VOICES[name](pitch, held_sec, velocity, rng)
    blocks = tone[..., : max(tone.shape[-1] // _LEVEL_BLOCK, 1) * _LEVEL_BLOCK]
    shape = (*blocks.shape[:-1], -1, min(_LEVEL_BLOCK, blocks.shape[-1]))
    power = (blocks * blocks).reshape(shape).mean(axis=-1).max()
    level_db = _LEVELS_DB.get(name, 0.0) - 1.5 * max(pitch - 60, -12) / 12.0
    gain = 0.1 * 10.0 ** (level_db / 20.0) * velocity / float(np.sqrt(power) + 1e-9)
    return tone * np.float32(gain)
