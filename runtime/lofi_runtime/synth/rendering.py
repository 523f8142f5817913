"""Render: a score in, 48 kHz stereo out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lofi_runtime.backend import SAMPLE_RATE, Progress
from lofi_runtime.synth import effects, mix, texture
from lofi_runtime.synth.draws import generator
from lofi_runtime.synth.drums import HITS, strike
from lofi_runtime.synth.score import Note, Score
from lofi_runtime.synth.vocabulary import BASSES
from lofi_runtime.synth.voices import VOICES, play

_VELOCITY_LAYERS = 4
_DRUM_TAKES = 3
_PROGRESS_NOTES = 64
_DRY = BASSES
_KICKS = ("kick", "soft kick", "house kick", "machine kick", "808 kick")
_SWEEP_BEATS = 32.0
_PANS = {
    "piano": -0.12,
    "rhodes": 0.0,
    "wurlitzer": 0.1,
    "acoustic guitar": 0.28,
    "electric guitar": -0.28,
    "harp": 0.3,
    "kalimba": 0.3,
    "vibraphone": -0.25,
    "music box": 0.22,
    "bells": -0.22,
    "flute": 0.12,
    "saxophone": -0.08,
    "clarinet": 0.12,
    "trumpet": -0.12,
    "chiptune lead": 0.15,
    "koto": 0.28,
    "ukulele": 0.3,
    "muted guitar": -0.35,
    "clavinet": 0.3,
    "casio keyboard": 0.2,
    "marimba": -0.25,
    "steel drums": 0.2,
    "celesta": 0.25,
    "synth arpeggio": 0.25,
    "violin": 0.22,
    "cello": -0.2,
    "horn section": -0.1,
    "theremin": 0.1,
    "female vocals": 0.06,
    "male vocals": -0.06,
}
_MIX_STEPS = ("width and room", "ducking", "tape", "drums", "textures", "tone", "master")


def render(score: Score, progress: Progress | None = None) -> npt.NDArray[np.float32]:
    """Return the sound of `score`, float32 (2, duration_sec * 48000).

    Loudness is `TARGET_LUFS` within 1, peaks stay below `PEAK_DBFS` (of `lofi_runtime.loudness`),
    both ends are faded.

    Args:
        score: what to play.
        progress: called with "render" every few notes and with "mix" before each step; whatever
            it raises ends the work.
    """
    report = progress or _silent
    samples = round(score.duration_sec * SAMPLE_RATE)
    pitched = [note for note in score.notes if note.instrument in VOICES]
    hits = [note for note in score.notes if note.instrument in HITS]
    report("render", 0, len(score.notes))
    bus = np.zeros((2, samples), np.float32)
    done = _play_all(score, [n for n in pitched if n.instrument not in _DRY], bus, report, 0)
    steps = iter(_steps(report))
    next(steps)
    sound = score.sound
    _colour(score, bus)
    mix.widen(bus, sound.width)
    mix.add_room(bus, sound.reverb_share, sound.reverb_sec, _rng(score, "room"))
    done = _play_all(score, [n for n in pitched if n.instrument in _DRY], bus, report, done)
    next(steps)
    mix.duck(bus, _kick_starts(score), sound.duck)
    next(steps)
    mix.wow_and_flutter(bus, sound.wow_cents, _rng(score, "wow"))
    next(steps)
    _strike_all(score, hits, bus, report, done)
    if sound.compress:
        effects.compress(bus, sound.compress)
    next(steps)
    _add_textures(score, bus)
    next(steps)
    mix.saturate(bus, sound.drive)
    mix.tone(bus, sound.cutoff_hz, sound.warmth_db, sound.air_db)
    next(steps)
    mix.fade(bus, min(0.04, 0.01 * score.duration_sec), min(2.5, 0.12 * score.duration_sec))
    mix.master(bus)
    report("mix", len(_MIX_STEPS), len(_MIX_STEPS))
    return bus


def _colour(score: Score, bus: npt.NDArray[np.float32]) -> None:
    """Do to the instruments on `bus`, all but bass and drums, what the score's sound asks for."""
    sound = score.sound
    if sound.sampled:
        effects.band_limit(bus)
    if sound.tremolo:
        effects.tremolo(bus, sound.tremolo)
    if sound.chorus:
        effects.chorus(bus, sound.chorus)
    if sound.crush:
        effects.crush(bus)
    if sound.sweep:
        effects.sweep(bus, _SWEEP_BEATS * score.seconds_per_beat)


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Report to nobody."""


def _steps(report: Progress) -> Iterator[str]:
    for index, name in enumerate(_MIX_STEPS):
        report("mix", index, len(_MIX_STEPS))
        yield name


def _rng(score: Score, *purpose: str | int) -> np.random.Generator:
    return generator("sound", score.seed, *purpose)


def _play_all(
    score: Score, notes: list[Note], bus: npt.NDArray[np.float32], report: Progress, done: int
) -> int:
    """Play every note into `bus`; equal notes are synthesised once. Returns the notes done."""
    beat_sec = score.seconds_per_beat
    takes: dict[tuple[int, float, int, str], npt.NDArray[np.float32]] = {}
    playing, soft_sec = "", score.sound.soft_attack_sec
    for note in sorted(notes, key=lambda n: n.instrument):
        if note.instrument != playing:
            takes.clear()  # one instrument's notes at a time bound the memory
            playing = note.instrument
        layer = min(int(note.velocity * _VELOCITY_LAYERS), _VELOCITY_LAYERS - 1)
        velocity = (layer + 0.5) / _VELOCITY_LAYERS
        held_sec = round(note.duration_beats * beat_sec, 2)
        take = (note.pitch, held_sec, layer, note.syllable)
        if take not in takes:
            rng = _rng(score, note.instrument, note.pitch)
            takes[take] = play(note.instrument, note.pitch, held_sec, velocity, rng, note.syllable)
            if soft_sec and note.instrument not in _DRY:
                takes[take] = effects.soften(takes[take], soft_sec)
        start = round(note.start_beats * beat_sec * SAMPLE_RATE)
        pan = _PANS.get(note.instrument, 0.0) + (note.pitch - 64) * 0.010
        mix.place(bus, takes[take], start, float(np.clip(pan, -0.7, 0.7)), note.velocity / velocity)
        done += 1
        if done % _PROGRESS_NOTES == 0:
            report("render", done, len(score.notes))
    return done


def _strike_all(
    score: Score, hits: list[Note], bus: npt.NDArray[np.float32], report: Progress, done: int
) -> None:
    """Play the drums; each drum has a few takes a layer, so that no two hits in a row are one."""
    takes: dict[tuple[str, int, int], npt.NDArray[np.float32]] = {}
    punch = 10.0 ** (score.sound.punch_db / 20.0)
    for index, note in enumerate(hits):
        layer = min(int(note.velocity * _VELOCITY_LAYERS), _VELOCITY_LAYERS - 1)
        take = (note.instrument, layer, index % _DRUM_TAKES)
        velocity = (layer + 0.5) / _VELOCITY_LAYERS
        if take not in takes:
            takes[take] = strike(note.instrument, velocity, _rng(score, *take))
        start = round(note.start_beats * score.seconds_per_beat * SAMPLE_RATE)
        pan = HITS[note.instrument][2]
        mix.place(bus, takes[take], start, pan, punch * note.velocity / velocity)
        if (done + index) % _PROGRESS_NOTES == 0:
            report("render", done + index, len(score.notes))


def _kick_starts(score: Score) -> npt.NDArray[np.int64]:
    starts = [
        round(note.start_beats * score.seconds_per_beat * SAMPLE_RATE)
        for note in score.notes
        if note.instrument in _KICKS
    ]
    return np.array(starts, np.int64)


def _add_textures(score: Score, bus: npt.NDArray[np.float32]) -> None:
    """Add the score's textures, each at its level against what is on the bus."""
    heard = bus[:, bus.shape[1] // 8 :: 16]  # every 16th sample tells the level well enough
    level = float(np.sqrt(np.mean(heard * heard))) or 0.05
    for name, level_db in score.textures:
        noise = texture.loop(name, score.duration_sec, _rng(score, "texture", name))
        texture.add_looped(bus, noise, level * 10.0 ** (level_db / 20.0))
