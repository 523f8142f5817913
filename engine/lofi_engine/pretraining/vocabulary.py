"""The text vocabulary of a small base: the words of prompts, numbers as tokens of their own.

In UMT5's format, as `builtin:tiny`'s, but with every tag of the styles, every word the synthesiser
understands, and each tempo from 40 to 180.
"""

from __future__ import annotations

import json
import re

from lofi_engine.errors import StageError
from lofi_runtime.styles.taxonomy import load_styles, shipped_styles
from lofi_runtime.synth import vocabulary as synth

NUMBERS = range(40, 181)
_COMMON = """
and with at in the of for a an to my me some music song track tune beat bpm clean mix no not without
only soft loud quiet background make give please something kind vibe vibes style sound sounds
cinematic classical orchestral choral folk pop rock techno ballad epic hall live studio hi fi hifi
coding programming reading working writing thinking relaxing sleeping walking driving
minor major dorian lydian mixolydian phrygian harmonic pentatonic c# eb f# ab bb c d e f g b
""".split()  # noqa: SIM905 - a table of words reads better than a list of literals
_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789,.;:!?'\"&#+-/()[]_▁"
_WORD = re.compile(r"[^\s,]+")


def text_tokenizer(size: int) -> str:
    """Build the text tokenizer's JSON: whole words where known, else characters, else bytes.

    Padding is 0, end of text 1 and appended, as UMT5 has it.

    Raises:
        StageError: more tokens than `size` are needed.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"▁{word}", -4.0) for word in (",", *_words(), *map(str, NUMBERS))]
    pieces += [(character, -8.0) for character in _CHARACTERS]
    pieces += [(f"<0x{byte:02X}>", -12.0) for byte in range(256)]
    if len(pieces) > size:
        raise StageError(
            f"networks.umt5-base.vocab_size: {size} is too small; {len(pieces)} tokens are needed"
        )
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(",", " ,")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    written: str = tokenizer.to_str()
    return written


def number_ids(tokenizer_json: str) -> dict[int, int]:
    """Give the token of each number in `NUMBERS`."""
    pieces = json.loads(tokenizer_json)["model"]["vocab"]
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    return {number: ids[f"▁{number}"] for number in NUMBERS}


def _words() -> tuple[str, ...]:
    """List the known words, sorted; the same for the same styles."""
    texts = list(_COMMON)
    for style in load_styles(shipped_styles()).values():
        texts += [style.name, style.description, *style.always, *style.examples]
        texts += [tag for tags in style.tags.values() for tag in tags]
    tables = (
        *(synth.INSTRUMENTS, synth.PERCUSSION, synth.KITS, synth.TEXTURES, synth.MOODS),
        *(synth.GENRES, synth.THEMES, synth.SOUNDS, synth.MODE_WORDS),
    )
    for table in tables:
        for concept, aliases in table.items():
            texts += [concept, *aliases]
    texts += [*synth.VOCALS, *synth.TEMPO_WORDS, "joyful soft bells leads deep sample drums house"]
    found = {word for text in texts for word in _WORD.findall(text.lower())}
    return tuple(
        sorted(word for word in found if len(word) > 1 and word.isascii() and not word.isdigit())
    )
