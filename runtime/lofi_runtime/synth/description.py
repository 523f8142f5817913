"""Describe a score in the words of training prompts: only what is truly in it."""

from __future__ import annotations

from typing import Any

from lofi_runtime.styles.prompts import join_tags, tempo_tags
from lofi_runtime.synth.score import Score
from lofi_runtime.synth.vocabulary import VOCALS

_KIT_TAGS = {
    "boom bap": "boom bap drums",
    "brushes": "brushed drums",
    "house": "house beat",
    "minimal": "minimal drums",
    "live": "live drums",
    "machine": "drum machine",
    "trap": "trap drums",
}
_HAND_DRUMS = {
    "sleigh bells": "sleigh bells",
    "bongo high": "bongos",
    "bongo low": "bongos",
    "shaker": "shaker",
}
_TAGS = {
    "happy": "joyful",
    "bells": "soft bells",
    "chiptune lead": "chiptune leads",
    "sub bass": "deep bass",
    "choir": "wordless vocals",
    "female vocals": "female vocal sample",
    "male vocals": "male vocal sample",
    "murmur": "murmuring",
    "shaker": "shakers",
    "rain": "rain ambience",
    "ocean": "ocean waves",
    "cafe": "coffee shop",
    "night": "late night",
    "city": "urban",
    "morning": "morning light",
    "thunder": "distant thunder",
    "stream": "mountain stream",
    "fireworks": "distant fireworks",
    "train": "train ride",
    "projector": "old movie",
    "room": "quiet room",
}
"""The words of prompts for what the synthesiser calls otherwise."""
_PRODUCTION_TEXTURES = ("vinyl crackle", "tape hiss", "rain")


def describe(score: Score) -> dict[str, Any]:
    """Return what is true of the score's sound.

    Keys: `tempo_bpm` (float), `key` ("A minor"), `mood`, `moods`, `genre`, `style`,
    `instruments` (those that play, percussion included), `drums` (a tag or ""), `textures`,
    `themes`, `vocal_type`, `duration_sec`, `seed`, `sections` [{name, start_sec, duration_sec}],
    `prompt` (the words and the order of `lofi_runtime.styles.prompts`, with the key behind the
    tempo) and `lyrics` ("[Instrumental]").
    """
    hands = dict.fromkeys(
        _HAND_DRUMS[note.instrument] for note in score.notes if note.instrument in _HAND_DRUMS
    )
    kit_plays = any(n.instrument not in (*score.instruments, *_HAND_DRUMS) for n in score.notes)
    drums = _KIT_TAGS[score.kit] if score.kit and kit_plays else ""
    voiced = [name for name in score.instruments if name in VOCALS]
    instruments = [name for name in score.instruments if name not in VOCALS] + list(hands)
    textures = [name for name, _ in score.textures]
    vocal_type = voiced[0] if voiced else "instrumental"
    bar_sec = 4.0 * score.seconds_per_beat
    tags = [
        score.genre,
        *score.moods[:2],
        *instruments,
        drums or "no drums",
        *tempo_tags(score.tempo_bpm),
        score.key.name,
        *_production(score, kit_plays),
        *(name for name in textures if name in _PRODUCTION_TEXTURES),
        *score.themes,
        *(name for name in textures if name not in _PRODUCTION_TEXTURES),
        *(voiced or [vocal_type]),
    ]
    return {
        "tempo_bpm": score.tempo_bpm,
        "key": score.key.name,
        "mood": score.moods[0],
        "moods": list(score.moods),
        "genre": score.genre,
        "style": score.style,
        "instruments": [*instruments, *voiced],
        "drums": drums,
        "textures": textures,
        "themes": list(score.themes),
        "vocal_type": vocal_type,
        "duration_sec": score.duration_sec,
        "seed": score.seed,
        "sections": [
            {"name": s.name, "start_sec": s.start_bar * bar_sec, "duration_sec": s.bars * bar_sec}
            for s in score.sections
        ],
        "prompt": join_tags(_TAGS.get(tag, tag) for tag in tags),
        "lyrics": "[Instrumental]",
    }


def _production(score: Score, kit_plays: bool) -> list[str]:
    """Return the production tags that are true of what is heard, whoever asked for them."""
    sound, asked = score.sound, score.sounds
    kicks = kit_plays and any("kick" in note.instrument for note in score.notes)
    found = {
        "reverb heavy": sound.reverb_share > 0.3,
        "room reverb": 0.2 < sound.reverb_share <= 0.3,
        "tape wobble": sound.wow_cents > 7.0,
        "tape saturation": sound.drive > 2.3,
        "analog warmth": sound.warmth_db > 0.0,
        "filtered": sound.cutoff_hz < 6000.0,
        "bright mix": sound.air_db > 0.0,
        "side-chain compression": sound.duck > 0.4 and kicks,
        "warm compression": sound.compress > 0.0,
        "punchy drums": sound.punch_db > 0.0 and kicks,
        "chorus effect": sound.chorus > 0.0,
        "tremolo": sound.tremolo > 0.0,
        "bitcrushed": sound.crush,
        "wide stereo": sound.width > 0.5,
        "slow attack": sound.soft_attack_sec > 0.0,
        "filtered samples": sound.sweep,
        "swing rhythm": "swing rhythm" in asked,
        "steady rhythm": "steady rhythm" in asked and kit_plays,
        "complex harmony": score.chords == "jazz" and "complex harmony" in asked,
        "city pop influence": score.chords == "city pop",
    }
    return [tag for tag, is_true in found.items() if is_true]
