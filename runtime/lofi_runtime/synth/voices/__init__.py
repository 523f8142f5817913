"""Pitched voices by name, levelled so that equal velocities sound about equally loud."""

from __future__ import annotations

import numpy as np

from lofi_runtime.synth.voices import electronic, keys, plucked, struck, sustained, vocal, winds
from lofi_runtime.synth.voices.common import Samples, Voice

VOICES: dict[str, Voice] = {
    "piano": keys.piano,
    "rhodes": keys.rhodes,
    "wurlitzer": keys.wurlitzer,
    "organ": keys.organ,
    "acoustic guitar": plucked.acoustic_guitar,
    "electric guitar": plucked.electric_guitar,
    "harp": plucked.harp,
    "koto": plucked.koto,
    "ukulele": plucked.ukulele,
    "muted guitar": plucked.muted_guitar,
    "clavinet": plucked.clavinet,
    "bass guitar": plucked.bass_guitar,
    "upright bass": plucked.upright_bass,
    "sub bass": plucked.sub_bass,
    "synth pads": sustained.synth_pads,
    "strings": sustained.strings,
    "chiptune lead": electronic.chiptune_lead,
    "square wave bass": electronic.square_bass,
    "synth bass": electronic.synth_bass,
    "casio keyboard": electronic.casio_keyboard,
    "analog synth": electronic.analog_synth,
    "synth arpeggio": electronic.synth_arpeggio,
    "synth stabs": electronic.synth_stabs,
    "textured drones": electronic.textured_drones,
    "theremin": electronic.theremin,
    "female vocals": vocal.female_vocals,
    "male vocals": vocal.male_vocals,
    "chopped vocals": vocal.chopped_vocals,
    "choir": vocal.choir,
    "murmur": vocal.murmur,
    **{name: winds.wind_voice(name) for name in winds.WIND_NAMES},
    **{name: struck.bar_voice(name) for name in struck.BAR_NAMES},
}

# What can be told which vowels to sing.
SINGING = {
    "female vocals": vocal.female_vocals,
    "male vocals": vocal.male_vocals,
    "chopped vocals": vocal.chopped_vocals,
    "choir": vocal.choir,
}

# Against a Rhodes, in dB: a balance for background listening, melody just above the chords.
_LEVELS_DB = {
    "piano": 1.5,
    "organ": -6.0,
    "synth pads": -5.0,
    "strings": -4.5,
    "harp": 1.0,
    "acoustic guitar": 2.5,
    "electric guitar": 1.0,
    "bass guitar": 0.5,
    "upright bass": 1.0,
    "sub bass": -1.0,
    "flute": -0.5,
    "saxophone": -0.5,
    "clarinet": -0.5,
    "trumpet": -1.5,
    "humming": -2.0,
    "chopped vocals": 0.0,
    "female vocals": -1.0,
    "male vocals": 0.0,
    "choir": -5.0,
    "murmur": 1.0,
    "koto": 1.5,
    "ukulele": 1.5,
    "muted guitar": 2.0,
    "clavinet": -2.0,
    "square wave bass": -3.0,
    "casio keyboard": -2.0,
    "analog synth": -2.5,
    "synth arpeggio": 0.0,
    "synth stabs": -2.0,
    "textured drones": -5.0,
    "theremin": -2.0,
    "violin": -1.0,
    "cello": 0.5,
    "horn section": -2.0,
    "celesta": 1.0,
    "marimba": 2.0,
    "steel drums": -0.5,
    "bells": 0.0,
    "music box": 2.5,
    "kalimba": 1.0,
    "vibraphone": 1.0,
    "chiptune lead": -1.0,
}
_LEVEL_BLOCK = 1200


def play(
    name: str,
    pitch: int,
    held_sec: float,
    velocity: float,
    rng: np.random.Generator,
    syllable: str = "",
) -> Samples:
    """Return one note at its level in the mix, float32 (samples,) or (2, samples).

    A singer (`SINGING`) sings `syllable`; the other voices have none.

    A note is scaled by its loudest 25 ms, so no voice has to know its own loudness; high notes
    are taken back by 1.5 dB an octave, because the ear hears them louder.
    """
    if syllable and name in SINGING:
        tone = SINGING[name](pitch, held_sec, velocity, rng, syllable)
    else:
        tone = VOICES[name](pitch, held_sec, velocity, rng)
    blocks = tone[..., : max(tone.shape[-1] // _LEVEL_BLOCK, 1) * _LEVEL_BLOCK]
    shape = (*blocks.shape[:-1], -1, min(_LEVEL_BLOCK, blocks.shape[-1]))
    power = (blocks * blocks).reshape(shape).mean(axis=-1).max()
    level_db = _LEVELS_DB.get(name, 0.0) - 1.5 * max(pitch - 60, -12) / 12.0
    gain = 0.1 * 10.0 ** (level_db / 20.0) * velocity / float(np.sqrt(power) + 1e-9)
    return tone * np.float32(gain)
