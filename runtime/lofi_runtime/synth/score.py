"""A score: everything `render` needs, as frozen values. Time is in beats until it becomes sound."""

from __future__ import annotations

from dataclasses import dataclass

PITCH_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
BEATS_PER_BAR = 4


@dataclass(frozen=True, slots=True)
class Note:
    """One note or one drum hit.

    Args:
        start_beats: from the start of the track, swing and human timing included.
        duration_beats: how long it is held; the release comes after.
        pitch: MIDI number, 60 is middle C; drums use General MIDI's drum map.
        velocity: 0 to 1.
        instrument: a name of `voices.VOICES` or `drums.HITS`.
        syllable: the vowels a singer begins and ends the note with, such as "ao"; "" leaves them
            to the voice.
    """

    start_beats: float
    duration_beats: float
    pitch: int
    velocity: float
    instrument: str
    syllable: str = ""


@dataclass(frozen=True)
class Key:
    """A tonic (pitch class, 0 is C) and a mode, one of `harmony.SCALES`."""

    tonic: int
    mode: str

    @property
    def is_minor(self) -> bool:
        """Whether the third is minor."""
        return self.mode in ("minor", "dorian", "phrygian", "harmonic minor")

    @property
    def name(self) -> str:
        """The key as musicians write it: "A minor"."""
        return f"{PITCH_NAMES[self.tonic]} {self.mode}"


@dataclass(frozen=True)
class Section:
    """A stretch of the form: intro, A, B, break or outro."""

    name: str
    start_bar: int
    bars: int


@dataclass(frozen=True)
class Sound:
    """The tape and the room.

    Args:
        cutoff_hz: where the tape's low-pass begins.
        drive: tape saturation, 1 is gentle and 3 is heavy.
        wow_cents: how far the pitch wanders, peak.
        reverb_share: reverb level against the dry music, 0 to 1.
        reverb_sec: time to fall by 60 dB.
        duck: how much a kick pushes the music down, 0 to 1.
        width: how much side signal is made of the middle.
        chorus: level of the detuned copies, 0 is off.
        tremolo: depth of the keys' swaying between the sides, 0 is off.
        crush: whether the music goes through a console's 12 kHz and 6 bits.
        sampled: whether the music sounds cut from a record: no lows, no highs.
        sweep: whether a low-pass opens and closes over eight bars.
        compress: how much of a loud passage's excess is taken back, 0 to 1.
        punch_db: how much louder the drums are.
        warmth_db: how much more there is between 100 and 400 Hz.
        air_db: how much more there is above 3 kHz.
        soft_attack_sec: how long every pitched note but the bass takes to rise; 0 is off.
    """

    cutoff_hz: float
    drive: float
    wow_cents: float
    reverb_share: float
    reverb_sec: float
    duck: float
    width: float = 0.34
    chorus: float = 0.0
    tremolo: float = 0.0
    crush: bool = False
    sampled: bool = False
    sweep: bool = False
    compress: float = 0.0
    punch_db: float = 0.0
    warmth_db: float = 0.0
    air_db: float = 0.0
    soft_attack_sec: float = 0.0


@dataclass(frozen=True)
class Score:
    """A finished composition; the same score always gives the same samples.

    Args:
        tempo_bpm: constant throughout.
        key: what the chords and the melody are in.
        genre: a genre of the vocabulary, "lofi hip hop" when none was asked.
        moods: what it should feel like, strongest first.
        style: the style id it was asked with, or "".
        seed: drives what is random in the sound (noise, crackle).
        duration_sec: exact length of the render.
        notes: sorted by start.
        sections: the form, without gaps.
        instruments: pitched instruments that play at least one note.
        kit: the drum kit's name, or "" without drums.
        textures: (name, level in dB against the music) pairs.
        themes: seasons and scenes it was written for.
        sound: the tape and the room.
        chords: whose progressions it plays, a `flavour.Flavour.chords`.
        sounds: the words of `vocabulary.SOUNDS` that shaped it.
    """

    tempo_bpm: float
    key: Key
    genre: str
    moods: tuple[str, ...]
    style: str
    seed: int
    duration_sec: float
    notes: tuple[Note, ...]
    sections: tuple[Section, ...]
    instruments: tuple[str, ...]
    kit: str
    textures: tuple[tuple[str, float], ...]
    themes: tuple[str, ...]
    sound: Sound
    chords: str = ""
    sounds: tuple[str, ...] = ()

    @property
    def seconds_per_beat(self) -> float:
        """Length of one beat."""
        return 60.0 / self.tempo_bpm
