"""The words the synthesiser understands, as data. `words` reads text with these tables.

A concept's own name is always one of its aliases. The longest alias wins, so "bass guitar" is
never a guitar. Aliases are lower case, without hyphens.
"""

from __future__ import annotations

INSTRUMENTS: dict[str, tuple[str, ...]] = {
    "piano": (
        "keys",
        "keyboard",
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
    "acoustic guitar": ("guitar", "guitars", "nylon guitar", "ギター", "吉他", "🎸"),
    "electric guitar": ("clean guitar", "clean electric guitar", "jazz guitar"),
    "ukulele": ("uke",),
    "muted guitar": ("palm muted guitar",),
    "clavinet": ("clav",),
    "casio keyboard": ("casio", "toy keyboard", "casiotone"),
    "koto": ("shamisen", "guzheng", "琴", "箏"),
    "harp": ("harps",),
    "saxophone": ("sax", "tenor sax", "alto sax", "サックス", "🎷"),
    "flute": ("flutes", "woodwind", "woodwinds", "shakuhachi", "フルート"),
    "clarinet": (),
    "trumpet": ("muted trumpet", "horn", "🎺"),
    "horn section": ("horns", "brass", "brass section"),
    "violin": ("fiddle", "solo violin", "🎻"),
    "cello": ("cellos", "solo cello"),
    "strings": ("violins", "string section", "orchestral", "orchestra"),
    "synth pads": ("pads", "pad", "synth pad", "synth", "synths", "synthesizer", "analog"),
    "textured drones": ("drone", "drones"),
    "analog synth": ("synth lead", "analog synths", "lead synth", "moog"),
    "synth arpeggio": ("arpeggiator", "synth arp", "synth arpeggios", "sequencer"),
    "synth stabs": ("synth stab", "stabs", "chord stabs"),
    "theremin": ("eerie samples",),
    "bells": ("bell", "glockenspiel", "chimes", "🔔"),
    "celesta": ("celeste",),
    "music box": ("musicbox", "オルゴール"),
    "vibraphone": ("vibes solo",),
    "marimba": ("xylophone", "balafon"),
    "steel drums": ("steel drum", "steel pan", "steelpan", "steel pans"),
    "kalimba": ("thumb piano",),
    "chiptune lead": ("chiptune", "chip", "8 bit", "8bit", "16 bit", "square wave", "pulse wave"),
    "humming": ("hum", "hums"),
    "choir": ("wordless vocals", "wordless", "oohs", "aahs", "vocalization"),
    "chopped vocals": ("vocal chops", "vocal samples", "chopped vocal", "pitched samples"),
    "female vocals": (
        *("female vocal sample", "female japanese vocals", "female vocal", "soulful vocals"),
        *("dreamy vocals", "vocals", "vocal", "vocalist", "singing", "singer"),
    ),
    "male vocals": ("male vocal sample", "male japanese vocals", "male vocal"),
    "murmur": (
        *("murmuring", "spoken word", "poetry reading", "narration", "poetry", "spoken"),
        *("voice over", "voiceover", "mumbling"),
    ),
    "bass guitar": ("bass", "bassline", "warm bass", "funk bassline", "electric bass"),
    "upright bass": ("double bass", "acoustic bass", "contrabass"),
    "sub bass": ("deep bass", "808"),
    "synth bass": ("analog bass", "moog bass"),
    "square wave bass": ("square bass", "8 bit bass", "chip bass"),
}

PERCUSSION: dict[str, tuple[str, ...]] = {
    "sleigh bells": ("sleigh bell", "jingle bells"),
    "bongos": ("bongo", "congas", "conga", "hand drums", "hand percussion"),
    "shaker": ("shakers", "tambourine", "maracas", "light percussion"),
}

KITS: dict[str, tuple[str, ...]] = {
    "boom bap": ("boom bap drums", "boombap", "hip hop drums", "lofi drums", "dusty drums"),
    "brushes": ("brushed drums", "brush drums", "brushed", "jazz drums", "swing rhythm"),
    "live": ("live drums", "punchy drums", "funk drums", "acoustic drums"),
    "machine": ("drum machine", "electronic drums", "drum machines", "electronic beat"),
    "trap": ("trap drums", "trap beat", "trap hats"),
    "house": (
        "open hi hats",
        "house beat",
        "four on the floor",
        "4 on the floor",
        "house drums",
        "disco",
        "disco samples",
    ),
    "minimal": (
        *("minimal drums", "soft drums", "sparse drums", "light drums", "minimal beat"),
        "minimal distraction",
    ),
}

DRUM_WORDS = ("drums", "drum", "beat", "percussion", "snare", "ドラム", "🥁")
DRUMLESS_WORDS = ("drumless", "beatless", "no beats")
MELODY_WORDS = ("melody", "lead", "melodies", "solo")
BASS_WORDS = ("bass", "bassline")
BASSES = ("bass guitar", "upright bass", "sub bass", "synth bass", "square wave bass")
VOCALS = ("chopped vocals", "female vocals", "male vocals", "humming", "choir", "murmur")
PADS = ("synth pads", "strings", "choir", "textured drones")

TEXTURES: dict[str, tuple[str, ...]] = {
    "rain": (
        *("rainy", "raining", "rainfall", "rain ambience", "rain sounds", "drizzle", "storm"),
        *("thunderstorm", "rainy day", "grey sky", "雨", "🌧", "☔"),
    ),
    "thunder": ("distant thunder", "thunderstorm", "storm", "⛈"),
    "vinyl crackle": (
        "vinyl",
        "crackle",
        "record crackle",
        "vinyl noise",
        "record noise",
        "dusty",
        "turntable",
    ),
    "tape hiss": ("tape", "hiss", "cassette", "tape noise", "📼"),
    "ocean": (
        "sea",
        "waves",
        "beach",
        "seaside",
        "surf",
        "beach vibes",
        "poolside",
        "海",
        "🌊",
        "🏖",
    ),
    "forest": (
        *("birds", "birdsong", "nature", "nature sounds", "woods", "garden", "park"),
        *("field recordings", "森", "🌲", "🌳"),
    ),
    "stream": ("mountain stream", "river", "brook", "creek", "waterfall"),
    "cafe": (
        *("café", "coffee shop", "coffee", "coffeehouse", "cafe ambience", "café ambience"),
        *("quiet chatter", "chatter", "smoky bar", "lounge", "jazz club", "カフェ", "☕"),
    ),
    "night": (
        *("crickets", "late night", "midnight", "night ambience", "starry night", "moonlight"),
        *("full moon", "夜", "🌙", "🌃"),
    ),
    "fireplace": ("fire", "campfire", "fireside", "hearth", "🔥"),
    "wind": (
        *("windy", "breeze", "snow", "snowy", "snowy night", "snowfall", "blizzard"),
        *("falling leaves", "fog", "mist", "雪", "❄"),
    ),
    "city": (
        *("urban", "street", "traffic", "city night", "downtown", "city ambience", "city walk"),
        *("street lights", "empty streets", "night drive", "road trip", "rooftop", "街", "🏙"),
    ),
    "fireworks": ("distant fireworks", "firework", "🎆", "🎇"),
    "train": ("train ride", "trains", "railway", "電車", "🚆"),
    "projector": ("old movie", "film projector", "super 8", "🎞"),
    "room": ("quiet room", "room tone", "library"),
}

MOODS: dict[str, tuple[str, ...]] = {
    "chill": (
        "chilled",
        "chilling",
        "chill beats",
        "laid back",
        "mellow",
        "easy",
        "lazy",
        "smooth",
    ),
    "relaxing": ("relaxed", "relax", "calm", "calming", "soothing", "soft", "gentle"),
    "melancholic": ("melancholy", "sad", "sorrow", "blue", "悲しい", "😢"),
    "nostalgic": ("nostalgia", "retro", "memories", "懐かしい"),
    "dreamy": ("dream", "dreams", "hazy", "floating"),
    "cozy": ("cosy", "comfy", "snug", "homely"),
    "peaceful": ("peace", "tranquil", "quiet", "meditative", "静か"),
    "introspective": ("reflective", "thoughtful", "pensive"),
    "romantic": ("love", "romance", "intimate", "tender", "valentine", "❤"),
    "hopeful": ("hope", "optimistic", "uplifting", "renewal"),
    "contemplative": (),
    "serene": ("airy",),
    "wistful": (),
    "bittersweet": (),
    "warm": ("golden", "warmth", "analog warmth"),
    "dark": ("deeper", "gloomy", "noir"),
    "moody": ("brooding",),
    "happy": ("joyful", "cheerful", "sunny", "bright", "playful", "carefree", "楽しい"),
    "upbeat": ("energetic", "lively", "positive", "adventurous"),
    "groovy": ("funky", "funk", "groove"),
    "sleepy": ("sleep", "sleeping", "bedtime", "lullaby", "drowsy", "💤"),
    "focused": ("focus", "study", "studying", "coding", "code", "work", "concentration"),
    "spooky": (
        "eerie",
        "haunted",
        "haunted house",
        "mysterious",
        "creepy",
        "halloween",
        "🎃",
        "👻",
    ),
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
    "spring": ("sakura", "cherry blossom", "cherry blossoms", "春", "🌸"),
    "summer": ("tropical", "夏", "☀"),
    "autumn": ("fall", "october", "秋", "🍂", "🍁"),
    "halloween": ("🎃",),
    "sunset": ("golden hour", "dusk", "🌅", "🌇"),
    "morning": ("sunday morning", "dawn", "sunrise", "awakening", "朝"),
    "anime": ("japanese", "japan", "tokyo", "ghibli", "アニメ"),
}

SOUNDS: dict[str, tuple[str, ...]] = {
    "reverb": ("reverb heavy", "spacious", "echo", "reverberant", "wet"),
    "room reverb": ("room ambience", "small room"),
    "filtered": ("muffled", "underwater", "lowpass", "low pass", "soft low pass"),
    "dark filter": ("dark mix",),
    "bright mix": ("bright sound",),
    "sampled": ("jazz samples", "soul samples", "disco samples", "sampled loop"),
    "sweep": ("filter sweep", "filtered loop", "filtered samples"),
    "clean": ("hifi", "hi fi", "crisp", "pristine"),
    "wobbly": (
        *("wow and flutter", "tape wobble", "wow", "flutter", "warped", "detuned", "worn tape"),
        *("detuned keys",),
    ),
    "pumping": ("side chain compression", "sidechain", "side chain", "sidechained"),
    "dry": ("close", "no reverb"),
    "tape saturation": ("saturated", "saturation", "overdriven", "distorted", "distortion"),
    "analog warmth": ("warm tape",),
    "compressed": ("warm compression", "gentle compression", "compression"),
    "punchy": ("punchy drums", "hard hitting"),
    "chorus effect": ("chorus", "chorused"),
    "tremolo": ("auto pan", "swaying"),
    "bitcrushed": ("8 bit textures", "bitcrush", "bit crushed", "lo bit"),
    "wide stereo": ("wide", "stereo width"),
    "lo fi production": ("lofi production", "low fidelity"),
    "slow attack": ("soft attack", "swells"),
    "swing rhythm": ("swing", "swung", "shuffle"),
    "steady rhythm": ("steady", "steady beat", "straight rhythm"),
    "complex harmony": ("jazz harmony", "jazz chords", "extended chords", "complex chords"),
    "city pop": ("city pop influence", "citypop"),
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
    "phrygian": (),
    "harmonic minor": (),
    "pentatonic": ("pentatonic scale",),
}
