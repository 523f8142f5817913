"""Describe a score in the words of training prompts: only what is truly in it."""

from __future__ import annotations

from typing import Any

from lofi_runtime.synth.score import PITCH_NAMES, Score

_TEMPO_TAGS = (
    (64.0, "very slow tempo"),
    (75.0, "slow tempo"),
    (82.0, "laid-back tempo"),
    (88.0, "medium tempo"),
    (96.0, "groovy tempo"),
    (108.0, "upbeat tempo"),
)
_KIT_TAGS = {
    "boom bap": "boom bap drums",
    "brushes": "brushed drums",
    "house": "house beat",
    "minimal": "minimal drums",
}
_HAND_DRUMS = {
    "sleigh bells": "sleigh bells",
    "bongo high": "bongos",
    "bongo low": "bongos",
    "shaker": "shaker",
}
_VOICED = ("humming", "chopped vocals")


def describe(score: Score) -> dict[str, Any]:
    """Return what is true of the score's sound.

    Keys: `tempo_bpm` (float), `key` ("A minor"), `mood`, `moods`, `genre`, `style`,
    `instruments` (those that play, percussion included), `drums` (a tag or ""), `textures`,
    `themes`, `vocal_type`, `duration_sec`, `seed`, `sections` [{name, start_sec, duration_sec}],
    `prompt` (tags in the order genre, mood, instruments, tempo, key, production, atmosphere,
    vocal type) and `lyrics` ("[Instrumental]").
    """
    hands = dict.fromkeys(
        _HAND_DRUMS[note.instrument] for note in score.notes if note.instrument in _HAND_DRUMS
    )
    kit_plays = any(n.instrument not in (*score.instruments, *_HAND_DRUMS) for n in score.notes)
    drums = _KIT_TAGS[score.kit] if score.kit and kit_plays else ""
    voiced = [name for name in score.instruments if name in _VOICED]
    instruments = [name for name in score.instruments if name not in _VOICED] + list(hands)
    textures = [name for name, _ in score.textures]
    vocal_type = voiced[0] if voiced else "instrumental"
    bar_sec = 4.0 * score.seconds_per_beat
    tags = [
        score.genre,
        *score.moods[:2],
        *instruments,
        drums or "no drums",
        f"{score.tempo_bpm:g} bpm",
        _tempo_tag(score.tempo_bpm),
        _key_tag(score),
        *_production(score),
        *score.themes,
        *textures,
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
        "prompt": ", ".join(dict.fromkeys(tag for tag in tags if tag)),
        "lyrics": "[Instrumental]",
    }


def _key_tag(score: Score) -> str:
    return f"{PITCH_NAMES[score.key.tonic]} {score.key.mode}"


def _tempo_tag(tempo_bpm: float) -> str:
    return next((tag for limit, tag in _TEMPO_TAGS if tempo_bpm < limit), "uptempo")


def _production(score: Score) -> list[str]:
    tags = []
    if score.sound.reverb_share > 0.3:
        tags.append("reverb heavy")
    if score.sound.wow_cents > 7.0:
        tags.append("wow and flutter")
    if score.sound.cutoff_hz < 6000.0:
        tags.append("filtered")
    if score.sound.duck > 0.4:
        tags.append("side-chain compression")
    return tags
