"""Writes a full tag prompt from a style: the training captions and the prompts people ask with.

The order is the template's: genre, mood, instruments, tempo, production, atmosphere, vocal type.
The same style, seed and findings give the same prompt on every machine and Python: tags are drawn
by hash, so adding a tag to a style changes few of its prompts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lofi_runtime.styles.taxonomy import INSTRUMENTAL, Style
from lofi_runtime.styles.vocabulary import ALL_CATEGORIES, Vocabulary, fold, load_vocabulary

COUNTS: Mapping[str, int] = {
    "genre": 1, "mood": 2, "instruments": 3, "production": 2, "atmosphere": 1, "vocal_type": 1,
}  # fmt: skip
"""How many tags of each category a prompt has; a style's `always` tags may make it more."""

MAX_PROMPT_BYTES = 1_000
SLOW_BELOW_BPM = 70
FAST_ABOVE_BPM = 100
UNKNOWN_GENRE = "lofi"
"""The genre of a track nobody gave a style."""


@dataclass(frozen=True)
class Heard:
    """What is known of one track's sound and was not drawn from its style.

    Args:
        tempo_bpm: as found or wanted; None draws one from the style's range, 0.0 says nothing.
        vocals: the vocal type, such as "female vocals"; "" draws one of the style's.
        key: such as "A minor"; "" says nothing.
        brightness: "dark", "warm" or "bright"; "" says nothing.
        tags: said by a person of this track; each stands where its category belongs.
    """

    tempo_bpm: float | None = None
    vocals: str = ""
    key: str = ""
    brightness: str = ""
    tags: tuple[str, ...] = ()


def expand_style(
    style: Style, seed: int, *, tempo_bpm: float | None = None, vocals: str | None = None
) -> str:
    """Write a prompt for a style.

    Args:
        style: the style.
        seed: any integer; equal seeds give equal prompts.
        tempo_bpm: as found in the sound or wanted; None draws one from the style's range.
        vocals: the vocal type, such as "female vocals"; None draws one of the style's.

    Returns:
        Tags separated by ", ", no tag twice, none drawn that contradicts another.
    """
    return write_prompt(style, seed, Heard(tempo_bpm=tempo_bpm, vocals=vocals or ""))


def write_prompt(style: Style, seed: int, heard: Heard, others: Sequence[Style] = ()) -> str:
    """Write a prompt for a track from its styles and from what is known of its sound.

    What a style always has and what a person said comes first and is never left out; a key or a
    brightness that contradicts it is (both are estimates), and so is every drawn tag that does.

    Args:
        style: the main style.
        seed: any integer; equal seeds give equal prompts.
        heard: what is known of the sound.
        others: the track's further styles; what they always have is added where it agrees.
    """
    draft = _Draft(load_vocabulary().with_styles([style, *others]))
    for tag in style.always:
        draft.put(style.category_of(tag), tag)
    for tag in heard.tags:
        draft.put(draft.category_of(tag), tag)
    tempo = _draw_tempo(style, seed) if heard.tempo_bpm is None else heard.tempo_bpm
    for tag in tempo_tags(tempo):
        draft.put("tempo", tag)
    if heard.vocals and not draft.chosen["vocal_type"]:
        draft.put("vocal_type", heard.vocals)
    draft.offer("tempo", heard.key)
    draft.offer("mood", heard.brightness)
    for other in others:
        for tag in other.always:
            draft.offer(other.category_of(tag), tag)
    for category, count in COUNTS.items():
        _draw_into(draft, style, category, count, seed)
    return draft.text(style)


def _draw_into(draft: _Draft, style: Style, category: str, count: int, seed: int) -> None:
    """Fill a category up to `count` of the style's tags; one voice that is known is enough."""
    if category == "vocal_type" and draft.chosen[category]:
        return
    missing = count - sum(tag in style.always for tag in draft.chosen[category])
    for tag in _shuffled(style, category, seed):
        if missing > 0 and tag not in style.always and draft.offer(category, tag):
            missing -= 1


class _Draft:
    """Tags chosen so far by category; refuses one that contradicts another.

    Args:
        vocabulary: says what contradicts what.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.chosen: dict[str, list[str]] = {category: [] for category in ALL_CATEGORIES}

    def category_of(self, tag: str) -> str:
        """Give the category a person's tag belongs to; what nobody knows is atmosphere."""
        meaning = self._vocabulary.meaning(tag)
        return meaning.category if meaning else "atmosphere"

    def put(self, category: str, tag: str) -> None:
        """Take a tag whatever else is there."""
        if tag not in self.chosen[category]:
            self.chosen[category].append(tag)

    def offer(self, category: str, tag: str) -> bool:
        """Take a tag if it contradicts none so far; say whether it is in. "" is nobody's."""
        if not tag:
            return False
        new = self._vocabulary.meaning(tag)
        for chosen in self.chosen.values():
            for other in chosen:
                old = self._vocabulary.meaning(other)
                if new and old and self._vocabulary.contradiction(old, new):
                    return False
        self.put(category, tag)
        return True

    def text(self, style: Style | None = None) -> str:
        """Join the tags in the template's order, the style's own in its order first."""
        parts: list[str] = []
        for category, chosen in self.chosen.items():
            listed = style.tags.get(category, ()) if style else ()
            parts += [tag for tag in listed if tag in chosen]
            parts += [tag for tag in chosen if tag not in listed]
        return join_tags(parts)


def style_tags(style: Style, prompt: str, seed: int) -> str:
    """Give what a style adds to a prompt: tags in the template's order, tempo left to the prompt.

    Args:
        style: the style.
        prompt: tags it already has, in these or other words, and tags that contradict it are left
            out; together they stay within `MAX_PROMPT_BYTES`.
        seed: any integer; equal seeds draw equal tags.
    """
    words = load_vocabulary().with_styles([style])
    told = [tag for tag in join_tags(prompt).split(", ") if tag]
    added: list[str] = []
    for category in COUNTS:
        for tag in _choose(style, category, seed):
            together = join_tags([prompt, *added, tag])
            fits = len(together.encode()) <= MAX_PROMPT_BYTES
            if fits and not any(_clash(words, tag, other) for other in told):
                added.append(tag)
                told.append(tag)
    return join_tags(added)


def _clash(words: Vocabulary, tag: str, told: str) -> bool:
    """Whether a tag says what is told already, or the contrary of it."""
    if fold(tag) == fold(told):
        return True
    one, other = words.meaning(tag), words.meaning(told)
    if one is None or other is None:
        return False
    return (one.tag == other.tag) or words.contradiction(one, other) != ""


def typical_tags(style: Style) -> str:
    """Give a style's tags without chance: what it always has, then the most typical, no tempo."""
    return join_tags(tag for category in COUNTS for tag in _choose(style, category, None))


def describe_unknown(tempo_bpm: float, *, vocals: str | None = None) -> str:
    """Write the little that is known of a track without a style: tempo and voice."""
    return describe_heard(Heard(tempo_bpm=tempo_bpm, vocals=vocals or ""))


def describe_heard(heard: Heard) -> str:
    """Write what is known of a track without a style: what was heard and what a person said."""
    draft = _Draft(load_vocabulary())
    for tag in heard.tags:
        draft.put(draft.category_of(tag), tag)
    if not draft.chosen["genre"]:
        draft.put("genre", UNKNOWN_GENRE)
    for tag in tempo_tags(heard.tempo_bpm or 0.0):
        draft.put("tempo", tag)
    if not draft.chosen["vocal_type"]:
        draft.put("vocal_type", heard.vocals or INSTRUMENTAL)
    draft.offer("tempo", heard.key)
    draft.offer("mood", heard.brightness)
    return draft.text()


def tempo_tags(tempo_bpm: float) -> list[str]:
    """Give the tempo's tags: the number, and a word where it is far from the middle."""
    if tempo_bpm <= 0:
        return []
    bpm = round(tempo_bpm)
    if bpm < SLOW_BELOW_BPM:
        return ["slow tempo", f"{bpm} bpm"]
    return ["uptempo", f"{bpm} bpm"] if bpm > FAST_ABOVE_BPM else [f"{bpm} bpm"]


def join_tags(tags: object) -> str:
    """Join tags with ", ", each once, trimmed, empty ones left out.

    Args:
        tags: an iterable of tags, or one text with commas.
    """
    parts = tags.split(",") if isinstance(tags, str) else list(tags)  # type: ignore[call-overload]
    trimmed = (" ".join(str(tag).split()) for tag in parts)
    return ", ".join(dict.fromkeys(tag for tag in trimmed if tag))


def shuffle_tags(prompt: str, seed: int) -> str:
    """Put a prompt's tags into another order, for training: a caption is a set, not a sentence.

    Args:
        prompt: tags separated by commas.
        seed: any integer; equal seeds give equal orders on every machine.

    Returns:
        The same tags, each once, separated by ", ".
    """
    tags = [tag for tag in join_tags(prompt).split(", ") if tag]
    return ", ".join(sorted(tags, key=lambda tag: (draw(seed, "order", tag), tag)))


def _choose(style: Style, category: str, seed: int | None) -> list[str]:
    """Choose a category's tags: at random by `seed`, or the first ones listed for None."""
    tags = style.tags[category]
    fixed = [tag for tag in tags if tag in style.always]
    others = [tag for tag in _shuffled(style, category, seed) if tag not in fixed]
    picked = {*fixed, *others[: max(0, COUNTS[category] - len(fixed))]}
    return [tag for tag in tags if tag in picked]


def _shuffled(style: Style, category: str, seed: int | None) -> list[str]:
    """Order a category's tags at random by `seed`; None leaves them as listed."""
    tags = list(style.tags[category])
    if seed is not None:
        tags.sort(key=lambda tag: draw(seed, style.id, category, tag))
    return tags


def _draw_tempo(style: Style, seed: int) -> int:
    low, high = style.tempo_bpm
    return low + draw(seed, style.id, "tempo") % (high - low + 1)


def draw(*parts: object) -> int:
    """Draw a number below 2**64 that depends on nothing but `parts`, on any machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
