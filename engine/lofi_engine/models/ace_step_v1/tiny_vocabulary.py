"""The tiny base's two vocabularies, made on the spot: text in UMT5's format, lyrics in ACE-Step's.

Both are `tokenizers` JSON and the same on every machine.
"""

from __future__ import annotations

import json
from typing import Any

_WORDS = """
lofi lo-fi hip hop hiphop beat beats chill chillhop chilled jazz jazzy piano rhodes electric
acoustic guitar bass drums drum kick snare hat hats brush brushed boom bap vinyl crackle tape hiss
warm warmth mellow calm relaxed relaxing study studying coding focus sleep sleepy night late rain
rainy morning evening sunset winter summer autumn spring cozy cafe coffee dreamy dream nostalgic
nostalgia melancholic melancholy sad happy hopeful soft slow smooth deep dark bright ambient pad
pads synth strings flute sax saxophone trumpet bell bells vibraphone kalimba melody melodic chords
chord loop loops sample sampled swing swung groove groovy soul soulful funk bossa nova city ocean
forest space retro vintage dusty analog cassette reverb filtered sidechain instrumental vocal vocals
chopped female male no with and the of in a for minor major key bpm tempo at
60 65 70 72 75 78 80 82 85 88 90 95 100 110 120
""".split()  # noqa: SIM905 - a table of words reads better than a list of literals
_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789 ,.;:!?'\"&#+-/()[]_".replace(" ", "▁")
_SECTIONS = (
    *("start", "intro", "verse", "chorus", "bridge", "outro"),
    *("end", "inst", "solo", "hook", "pre-chorus", "break"),
)
_CONSONANTS, _VOWELS = "bcdfghjklmnpqrstvwxyz", "aeiou"


def text_tokenizer() -> str:
    """Build the text tokenizer: whole words where known, else characters, else bytes.

    Padding is 0, end of text 1 and appended, as UMT5 has it.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"▁{word}", -4.0) for word in dict.fromkeys(_WORDS) if len(word) > 1]
    pieces += [(character, -8.0) for character in _CHARACTERS]
    pieces += [(f"<0x{byte:02X}>", -12.0) for byte in range(256)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    written: str = tokenizer.to_str()
    return written


def _lyric_tokens() -> list[str]:
    """List the lyric tokens by id; what the tokenizer relies on has ACE-Step v1's ids."""
    pairs = [c + v for c in _CONSONANTS for v in _VOWELS]
    pairs += [v + c for c in _CONSONANTS for v in _VOWELS]
    pairs += ["ee", "oo", "ll", "ss", "tt", "ff", "rr", "nn", "mm"]
    tokens = ["[STOP]", "[UNK]", "[SPACE]", *"!'(),-./:;?", *"abcdefghijklmnopqrstuvwxyz"]
    tokens += pairs[: 259 - len(tokens)]
    return [*tokens, "[en]", "[de]", "[START]", *(f"[{section}]" for section in _SECTIONS), "[ja]"]


def lyric_vocabulary() -> str:
    """Build the lyric vocabulary: letters and two-letter syllables.

    As in ACE-Step v1: 2 is a space and a line's end, 259 "[en]", 261 "[START]".
    """
    tokens = _lyric_tokens()
    special = [
        {"id": index, "content": token, "special": True} | _PLAIN
        for index, token in enumerate(tokens)
        if token.startswith("[")
    ]
    written: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "[UNK]",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": [f"{token[0]} {token[1]}" for token in tokens if len(token) == 2],
        },
    }
    return json.dumps(written, ensure_ascii=False, indent=1) + "\n"


_PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
