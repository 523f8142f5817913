"""The words the synthesiser understands, as data. `words` reads text with these tables.

A concept's own name is always one of its aliases. The longest alias wins, so "bass guitar" is
never a guitar. Aliases are lower case, without hyphens.
"""

from __future__ import annotations

INSTRUMENTS: dict[str, tuple[str, ...]] = {
    "piano": (
        "keys",
        "grand piano",
        "upright piano",
        "felt piano",
        "pianos",
        "ピアノ",
        "钢琴",
        "🎹",
    ),
    "rhodes": ("electric piano", "e piano", "epiano", "fender rhodes"),
    "wurlitzer": ("wurli", "wurly"),
    "organ": ("hammond", "organs"),
    "acoustic guitar": ("guitar", "guitars", "nylon guitar", "ukulele", "ギター", "吉他", "🎸"),
    "electric guitar": ("clean guitar", "clean electric guitar", "jazz guitar"),
    "harp": ("koto", "harps"),
    "saxophone": ("sax", "tenor sax", "alto sax", "サックス", "🎷"),
    "flute": ("flutes", "woodwind", "woodwinds", "shakuhachi", "フルート"),
    "clarinet": (),
    "trumpet": ("muted trumpet", "horn", "🎺"),
    "strings": ("violin", "violins", "cello", "string section", "orchestral", "🎻"),
    "synth pads": ("pads", "pad", "synth pad", "synth", "synths", "synthesizer", "drone", "analog"),
    "bells": ("bell", "glockenspiel", "celesta", "celeste", "chimes", "🔔"),
    "music box": ("musicbox", "オルゴール"),
    "vibraphone": ("vibes solo", "marimba", "xylophone"),
    "kalimba": ("thumb piano",),
    "chiptune lead": ("chiptune", "chip", "8 bit", "8bit", "16 bit", "square wave", "pulse wave"),
    "humming": ("hum", "hums", "wordless vocals", "wordless", "choir", "oohs", "vocalization"),
    "chopped vocals": (
        *("vocal chops", "vocal samples", "female vocal sample", "male vocal sample"),
        *("vocal", "vocals", "soulful vocals", "dreamy vocals"),
    ),
    "bass guitar": ("bass", "bassline", "warm bass", "deep bass", "funk bassline", "electric bass"),
    "upright bass": ("double bass", "acoustic bass", "contrabass"),
    "sub bass": ("synth bass", "808"),
}

PERCUSSION: dict[str, tuple[str, ...]] = {
    "sleigh bells": ("sleigh bell", "jingle bells"),
    "bongos": ("bongo", "congas", "conga", "hand drums", "hand percussion"),
    "shaker": ("shakers", "tambourine", "maracas"),
}

KITS: dict[str, tuple[str, ...]] = {
    "boom bap": ("boom bap drums", "boombap", "hip hop drums", "lofi drums", "dusty drums"),
    "brushes": ("brushed drums", "brush drums", "brushed", "jazz drums", "swing rhythm"),
    "house": ("house beat", "four on the floor", "4 on the floor", "house drums", "disco"),
    "minimal": (
        *("minimal drums", "soft drums", "sparse drums", "light drums", "minimal beat"),
        "minimal distraction",
    ),
}

DRUM_WORDS = ("drums", "drum", "drum machine", "beat", "percussion", "snare", "ドラム", "🥁")
DRUMLESS_WORDS = ("drumless", "beatless", "no beats")
MELODY_WORDS = ("melody", "lead", "melodies", "solo")
BASS_WORDS = ("bass", "bassline")

TEXTURES: dict[str, tuple[str, ...]] = {
    "rain": (
        *("rainy", "raining", "rainfall", "rain ambience", "rain sounds", "drizzle", "storm"),
        *("thunderstorm", "rainy day", "雨", "🌧", "☔"),
    ),
    "vinyl crackle": ("vinyl", "crackle", "record crackle", "vinyl noise", "dusty", "turntable"),
    "tape hiss": ("tape", "hiss", "cassette", "tape saturation", "tape noise", "📼"),
    "ocean": ("sea", "waves", "beach", "seaside", "surf", "beach vibes", "海", "🌊", "🏖"),
    "forest": ("birds", "birdsong", "nature", "nature sounds", "woods", "garden", "森", "🌲", "🌳"),
    "cafe": ("café", "coffee shop", "coffee", "coffeehouse", "cafe ambience", "カフェ", "☕"),
    "night": ("crickets", "late night", "midnight", "night ambience", "夜", "🌙", "🌃"),
    "fireplace": ("fire", "campfire", "fireside", "hearth", "🔥"),
    "wind": ("windy", "breeze", "snow", "snowy", "blizzard", "雪", "❄"),
    "city": ("urban", "street", "traffic", "city night", "downtown", "city ambience", "街", "🏙"),
}

MOODS: dict[str, tuple[str, ...]] = {
    "chill": ("chilled", "chilling", "chill beats", "laid back", "mellow", "easy"),
    "relaxing": ("relaxed", "relax", "calm", "calming", "soothing", "soft", "gentle"),
    "melancholic": ("melancholy", "sad", "sorrow", "blue", "悲しい", "😢"),
    "nostalgic": ("nostalgia", "retro", "memories", "懐かしい"),
    "dreamy": ("dream", "dreams", "hazy", "floating"),
    "cozy": ("cosy", "comfy", "snug", "homely"),
    "peaceful": ("peace", "tranquil", "quiet", "meditative", "静か"),
    "introspective": ("reflective", "thoughtful", "pensive"),
    "romantic": ("love", "romance", "intimate", "tender", "❤"),
    "hopeful": ("hope", "optimistic", "uplifting", "renewal"),
    "contemplative": (),
    "serene": ("airy",),
    "wistful": (),
    "bittersweet": (),
    "warm": ("golden", "warmth", "analog warmth"),
    "dark": ("deeper", "gloomy", "noir"),
    "moody": ("brooding",),
    "happy": ("joyful", "cheerful", "sunny", "bright", "playful", "楽しい"),
    "upbeat": ("energetic", "lively", "positive"),
    "groovy": ("funky", "funk", "groove"),
    "sleepy": ("sleep", "sleeping", "bedtime", "lullaby", "drowsy", "lazy", "💤"),
    "focused": ("focus", "study", "studying", "coding", "code", "work", "concentration"),
    "spooky": ("eerie", "haunted", "creepy", "halloween", "🎃", "👻"),
    "festive": ("holiday", "holidays"),
    "ethereal": ("atmospheric", "cosmic", "space", "celestial"),
    "lonely": ("alone", "solitude"),
}

GENRES: dict[str, tuple[str, ...]] = {
    "lofi hip hop": ("lo fi hip hop", "hip hop", "hiphop", "lofi beats", "jazz hop", "jazzhop"),
    "jazz lofi": ("jazz", "jazzy", "lofi jazz", "bossa nova", "bossa"),
    "ambient lofi": ("ambient", "lofi ambient", "drone lofi"),
    "lofi house": ("house", "deep house", "house music"),
    "chillhop": ("chill hop",),
    "dark lofi": (),
    "bedroom pop lofi": ("bedroom pop", "indie", "indie pop"),
    "chiptune lofi": ("gaming lofi", "video game", "gaming", "game", "arcade", "🎮"),
    "r&b lofi": ("r&b", "rnb", "neo soul", "soul"),
    "synthwave lofi": ("synthwave", "vaporwave", "neon", "retrowave"),
}

THEMES: dict[str, tuple[str, ...]] = {
    "christmas": ("xmas", "christmas lofi", "santa", "クリスマス", "🎄", "🎅"),
    "winter": ("december", "january", "冬", "⛄"),
    "spring": ("sakura", "cherry blossom", "春", "🌸"),
    "summer": ("tropical", "夏", "☀"),
    "autumn": ("fall", "october", "秋", "🍂", "🍁"),
    "halloween": ("🎃",),
    "sunset": ("golden hour", "dusk", "🌅", "🌇"),
    "morning": ("sunday morning", "dawn", "sunrise", "awakening", "朝"),
    "anime": ("japanese", "japan", "tokyo", "ghibli", "city pop", "アニメ"),
}

SOUNDS: dict[str, tuple[str, ...]] = {
    "reverb": ("reverb heavy", "room reverb", "spacious", "echo", "reverberant", "wet"),
    "filtered": ("muffled", "underwater", "lowpass", "low pass", "filtered samples"),
    "clean": ("hifi", "hi fi", "crisp", "pristine"),
    "wobbly": (
        "wow and flutter",
        "tape wobble",
        "wow",
        "flutter",
        "warped",
        "detuned",
        "worn tape",
    ),
    "pumping": ("side chain compression", "sidechain", "side chain", "sidechained"),
    "dry": ("close", "no reverb"),
}

TEMPO_WORDS: dict[str, tuple[float, float]] = {
    "very slow tempo": (58, 62),
    "very slow": (58, 62),
    "slow tempo": (66, 74),
    "slow": (66, 74),
    "laid back tempo": (76, 82),
    "medium tempo": (82, 88),
    "mid tempo": (82, 88),
    "midtempo": (82, 88),
    "groovy tempo": (88, 94),
    "upbeat tempo": (96, 104),
    "uptempo": (104, 114),
    "fast tempo": (100, 112),
    "fast": (100, 112),
}

MODE_WORDS: dict[str, tuple[str, ...]] = {
    "minor": ("minor key", "minor keys", "minor chords"),
    "major": ("major key", "major keys", "major chords"),
    "dorian": (),
    "lydian": (),
    "mixolydian": (),
}

GENRE_DEFAULTS: dict[str, str] = {
    "lofi hip hop": "boom bap, vinyl crackle, 70-88 bpm",
    "jazz lofi": "brushes, piano, upright bass, saxophone, vinyl crackle, 72-90 bpm",
    "ambient lofi": "minimal drums, synth pads, rhodes, reverb, tape hiss, 60-70 bpm",
    "lofi house": "house beat, rhodes, sub bass, filtered, pumping, vinyl crackle, 112-118 bpm",
    "chillhop": "boom bap, upbeat, rhodes, electric guitar, bass guitar, vinyl crackle, 86-96 bpm",
    "dark lofi": "boom bap, dark, minor key, rhodes, sub bass, filtered, vinyl crackle, 64-76 bpm",
    "bedroom pop lofi": "dreamy, electric guitar, synth pads, wobbly, tape hiss, 76-90 bpm",
    "chiptune lofi": "chiptune, rhodes, sub bass, boom bap, 80-96 bpm",
    "r&b lofi": "rhodes, sub bass, boom bap, chopped vocals, vinyl crackle, 66-78 bpm",
    "synthwave lofi": "synth pads, bells, sub bass, boom bap, tape hiss, 78-92 bpm",
}

THEME_DEFAULTS: dict[str, str] = {
    "christmas": "festive, cozy, piano, music box, sleigh bells, major key",
    "winter": "cozy, synth pads, sleigh bells, wind",
    "spring": "hopeful, flute, acoustic guitar, forest, major key",
    "summer": "happy, acoustic guitar, bongos, ocean, major key",
    "autumn": "nostalgic, acoustic guitar, piano, fireplace",
    "halloween": "spooky, music box, organ, wind, minor key",
    "sunset": "warm, electric guitar, rhodes",
    "morning": "peaceful, piano, acoustic guitar, forest, major key",
    "anime": "nostalgic, piano, harp, music box",
}

STYLE_EXTRAS: dict[str, str] = {
    "THEME-04": "drumless",  # a model's "minimal drums" may hardly be heard; a kit here always is
    "VOCAL-04": "humming",  # the nearest it has to a speaking voice
}
"""What a style's tags cannot say to a synthesiser; `defaults` reads the rest from the taxonomy."""
