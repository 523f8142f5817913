"""What lies beneath a genre, a theme and a style, in the words a prompt is written in.

`defaults` reads these. `NOT_RENDERED` says which words of the taxonomy have no sound here, and why.
"""

from __future__ import annotations

GENRE_DEFAULTS: dict[str, str] = {
    "lofi hip hop": "boom bap, vinyl crackle, 70-88 bpm",
    "jazz lofi": "brushes, piano, upright bass, saxophone, vinyl crackle, 72-90 bpm",
    "ambient lofi": "minimal drums, synth pads, rhodes, reverb, tape hiss, 60-70 bpm",
    "lofi house": "house beat, rhodes, synth bass, sweep, pumping, vinyl crackle, 112-118 bpm",
    "chillhop": (
        "live drums, upbeat, rhodes, electric guitar, bass guitar, vinyl crackle, 86-96 bpm"
    ),
    "dark lofi": (
        "boom bap, dark, minor key, rhodes, sub bass, dark filter, vinyl crackle, 64-76 bpm"
    ),
    "bedroom pop lofi": (
        "drum machine, dreamy, electric guitar, synth pads, wobbly, tape hiss, 76-90 bpm"
    ),
    "chiptune lofi": "drum machine, chiptune, rhodes, square wave bass, bitcrushed, 80-96 bpm",
    "r&b lofi": "drum machine, rhodes, sub bass, female vocals, vinyl crackle, 66-78 bpm",
    "synthwave lofi": (
        "drum machine, synth pads, analog synth, synth bass, chorus, tape hiss, 78-92 bpm"
    ),
}

THEME_DEFAULTS: dict[str, str] = {
    "christmas": "festive, cozy, piano, celesta, music box, sleigh bells, major key",
    "winter": "cozy, synth pads, music box, sleigh bells, wind",
    "spring": "hopeful, flute, acoustic guitar, forest, major key",
    "summer": "happy, ukulele, marimba, bongos, ocean, major key",
    "autumn": "nostalgic, acoustic guitar, cello, wind",
    "halloween": "spooky, theremin, organ, wind, minor key",
    "sunset": "warm, electric guitar, rhodes",
    "morning": "peaceful, piano, acoustic guitar, forest, major key",
    "anime": "nostalgic, piano, koto, flute",
}

STYLE_EXTRAS: dict[str, str] = {
    "CORE-01": "boom bap drums, sampled",
    "CORE-02": "brushed drums, upright bass, swing rhythm",
    "CORE-03": "textured drones, soft bells, wide stereo, slow attack",
    "CORE-04": "synth bass, synth stabs, side chain compression",
    "CORE-05": "live drums, clavinet, horn section, punchy drums",
    "CORE-06": "trap drums, cello, dark filter, wind",
    "CORE-07": "drum machine, casio keyboard, chorus effect, tape saturation",
    "SEASON-01": "soft drums, music box, wind, fireplace",
    "SEASON-02": "soft drums, celesta, fireplace",
    "SEASON-03": "light percussion, kalimba, birdsong, bright mix",
    "SEASON-04": "marimba, steel drums, shakers, ocean waves, bright mix",
    "SEASON-05": "brushed drums, upright bass, cello, falling leaves",
    "SEASON-06": "rain, distant thunder, soft drums",
    "SEASON-07": "theremin, organ, boom bap drums, tape wobble, wind",
    "SEASON-08": "brushed drums, saxophone, room reverb",
    "SEASON-09": "soft drums, synth pads, distant fireworks",
    "THEME-01": "brushed drums, upright bass, jazz guitar, coffee shop",
    "THEME-02": "soft drums, saxophone, urban, dark filter",
    "THEME-03": "soft drums, muted guitar, steady rhythm, dry, library",
    "THEME-04": "drumless, music box, soft low-pass",
    "THEME-05": "drum machine, synth arpeggio, city night, chorus effect",
    "THEME-06": "hand percussion, kalimba, mountain stream, birdsong, ocean waves",
    "THEME-07": "drum machine, chiptune leads, bitcrushed",
    "THEME-08": "soft drums, koto, flute, train ride",
    "THEME-09": "soft drums, trumpet, chorus effect",
    "THEME-10": "brushed drums, kalimba, birdsong",
    "INST-01": "soft drums, room reverb",
    "INST-02": "shakers, boom bap drums, campfire",
    "INST-03": "drum machine, synth arpeggio, synth bass, tape wobble",
    "INST-04": "wurlitzer, boom bap drums, tremolo",
    "INST-05": "brushed drums, upright bass, complex harmony, jazz club",
    "INST-06": "cello, violin, boom bap drums, old movie",
    "INST-07": "flute, clarinet, soft drums, garden",
    "VOCAL-01": "boom bap drums, side chain compression, sampled",
    "VOCAL-02": "drum machine, female vocals, saxophone, city pop influence",
    "VOCAL-03": "drum machine, organ, female vocals, male vocals, complex harmony",
    "VOCAL-04": "murmur, brushed drums, upright bass",
    "VOCAL-05": "humming, choir, soft drums, reverb heavy",
}
"""What makes a style itself to the ear, above its most typical tags.

A drumless style says so where a model's "minimal drums" may hardly be heard: a kit here always is.
"""

NOT_RENDERED: dict[str, str] = {
    "instrumental": "says what is absent; a voice plays only where one is asked for",
    "candlelight": "a sight",
    "desk lamp": "a sight",
    "fairy lights": "a sight",
    "window view": "a sight",
    "pixel art": "a sight; the console's sound is 'chiptune leads' and 'bitcrushed'",
    "bedroom": "a place without a sound of its own",
    "basement club": "a place whose sound is the style's drums",
    "visual kei influence": "needs a rock band and its singer",
    "headphones": "how one listens",
    "cool": "a mood that moves nothing measurable",
    "cinematic": "a mood that moves nothing measurable",
    "emotional": "a mood that moves nothing measurable",
    "hypnotic": "a mood that moves nothing measurable",
    "light": "a mood that moves nothing measurable",
    "organic": "a mood; its sound is the instruments",
    "refreshing": "a mood that moves nothing measurable",
    "sophisticated": "a mood; its sound is 'complex harmony'",
    "soulful": "a mood that moves nothing measurable",
    "new year": "a date; its sound is 'distant fireworks'",
}
"""Tags of the taxonomy without a sound here, and why; they still seed the piece."""

STANDS_IN: dict[str, str] = {
    "murmur": "speech's rhythm and tune without words, for spoken word, poetry and narration",
    "female vocals": "open vowels, no words; the same for Japanese and soulful vocals",
    "male vocals": "open vowels, no words; the same for Japanese and soulful vocals",
    "shaker": "also for tambourine and light percussion",
    "sampled": "a band-limited band, not a recording, for jazz, soul and disco samples",
}
"""Sounds that stand in for what cannot be made without a recording or a singer."""
