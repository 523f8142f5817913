"""Says a prompt in other words: the six recaption variants of the reference, without a model.

The reference asks a language model for them; here each is written from the prompt's own tags and
the vocabulary, so that none says what the prompt does not. Names and the length limit are those of
ACE-Step's training instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from lofi_engine.errors import StageError
from lofi_runtime.styles.plain_yaml import read_plain_yaml
from lofi_runtime.styles.prompts import join_tags
from lofi_runtime.styles.taxonomy import INSTRUMENTAL, shipped_styles
from lofi_runtime.styles.vocabulary import ALL_CATEGORIES, WORDS_FOLDER, Vocabulary, fold

MAX_CAPTION_CHARACTERS = 199
"""The reference wants every variant below 200 characters."""
CAPTIONS_NAME = "captions.yaml"

_USES = 3
_SLOW_BELOW_BPM = 72
_QUICK_ABOVE_BPM = 98


@dataclass(frozen=True)
class Facts:
    """What is known of a track besides its sound.

    Args:
        prompt: its tags, separated by ", ".
        tempo_bpm: 0.0 where unknown.
        key: such as "A minor"; "" where unknown.
        brightness: "dark", "warm", "bright" or "".
    """

    prompt: str
    tempo_bpm: float = 0.0
    key: str = ""
    brightness: str = ""


def write_captions(facts: Facts, vocabulary: Vocabulary) -> dict[str, str]:
    """Write every variant of a prompt that says it differently.

    Args:
        facts: the prompt and what was measured.
        vocabulary: sorts the tags; one it does not know is kept as it is.

    Returns:
        Variant name to text, each below 200 characters. A variant that would be the prompt again,
        or has nothing to say, is left out; prompts written from a style have all six.
    """
    sorted_tags = _sort(facts.prompt, vocabulary)
    written = {name: write(facts, sorted_tags, vocabulary) for name, write in _VARIANTS.items()}
    return {name: text for name, text in written.items() if text and text != facts.prompt}


def _simplified(_facts: Facts, tags: Mapping[str, Sequence[str]], _words: Vocabulary) -> str:
    """Give the one most telling tag."""
    for category in ("genre", "atmosphere", "mood", "instruments", "vocal_type"):
        if tags[category]:
            return tags[category][0]
    return ""


def _expanded(facts: Facts, _tags: Mapping[str, Sequence[str]], words: Vocabulary) -> str:
    """Add to the tags what they always also are, nearest first, as far as there is room."""
    tags = _split(facts.prompt)
    known = {fold(tag) for tag in tags}
    broader: list[str] = []
    for tag in tags:
        word = words.word(tag)
        for name in word.broader if word else ():
            if fold(name) not in known:
                known.add(fold(name))
                broader.append(name)
    if not broader:
        return ""
    while len(broader) > 1 and len(join_tags([*tags, *broader])) > MAX_CAPTION_CHARACTERS:
        broader.pop()
    while len(join_tags([*tags, *broader])) > MAX_CAPTION_CHARACTERS:
        tags.pop()
    return join_tags([*tags, *broader])


def _descriptive(facts: Facts, tags: Mapping[str, Sequence[str]], _words: Vocabulary) -> str:
    """Write one sentence on the sound; the last details go where it grows too long."""
    mood, instruments = tags["mood"][:2], tags["instruments"][:4]
    genre = tags["genre"][0] if tags["genre"] else "lofi"
    said = " and ".join(mood)
    opening = f"{_article(said or genre)} {said} {genre} track".replace("  ", " ")
    parts = [opening]
    if facts.tempo_bpm > 0:
        parts.append(f" at {_pace(facts.tempo_bpm)} {round(facts.tempo_bpm)} bpm")
    if instruments:
        parts.append(f" with {_list(instruments)}")
    if tags["production"]:
        parts.append(f", coloured by {_list(tags['production'][:2])}")
    if tags["atmosphere"]:
        parts.append(f", in a {_list(tags['atmosphere'][:2])} setting")
    voice = [tag for tag in tags["vocal_type"] if tag != INSTRUMENTAL]
    if voice:
        parts.append(f", featuring {_list([*tags['vocal_timbre'][:1], *voice[:2]])}")
    elif tags["vocal_type"]:
        parts.append(", without a voice")
    while len("".join(parts)) + 1 > MAX_CAPTION_CHARACTERS and len(parts) > 1:
        parts.pop(-2 if len(parts) > 2 else -1)
    text = "".join(parts)[: MAX_CAPTION_CHARACTERS - 1]
    return f"{text}."


def _synonyms(facts: Facts, _tags: Mapping[str, Sequence[str]], words: Vocabulary) -> str:
    """Put another word for each tag that has one."""
    tags = _split(facts.prompt)
    other: list[str] = []
    for tag in tags:
        word = words.word(tag)
        names = [word.tag, *word.same] if word else [tag]
        others = [name for name in names if fold(name) != fold(tag)]
        other.append(others[0] if others else tag)
    while len(join_tags(other)) > MAX_CAPTION_CHARACTERS:
        other.pop()
    return join_tags(other)


def _use_cases(facts: Facts, _tags: Mapping[str, Sequence[str]], _words: Vocabulary) -> str:
    """Name what such a track is good for."""
    told = {fold(tag) for tag in _split(facts.prompt)}
    hits = {use: len(told & suggesting) for use, suggesting in _uses().items()}
    fitting = sorted((use for use in hits if hits[use]), key=lambda use: -hits[use])
    return f"Good for {', '.join(fitting[:_USES] or list(hits)[:1])}."


def _analysis(facts: Facts, tags: Mapping[str, Sequence[str]], _words: Vocabulary) -> str:
    """List what is heard under the reference's headings, with key and brightness where known."""
    tempo = f"{round(facts.tempo_bpm)} bpm" if facts.tempo_bpm > 0 else ""
    rows = {
        "genre": ", ".join(tags["genre"]),
        "instruments": ", ".join(tags["instruments"]),
        "tempo": tempo,
        "mood": ", ".join(tags["mood"]),
        "key": facts.key,
        "timbre": facts.brightness,
    }
    filled = [f"{name}: {value}" for name, value in rows.items() if value]
    while len("; ".join(filled)) > MAX_CAPTION_CHARACTERS:
        filled.pop()
    return "; ".join(filled)


_VARIANTS: Mapping[str, Callable[[Facts, Mapping[str, Sequence[str]], Vocabulary], str]] = {
    "simplified": _simplified,
    "expanded": _expanded,
    "descriptive": _descriptive,
    "synonyms": _synonyms,
    "use_cases": _use_cases,
    "analysis": _analysis,
}
VARIANTS = tuple(_VARIANTS)
"""The variants' names, as the reference's dataset has them."""


def _sort(prompt: str, vocabulary: Vocabulary) -> dict[str, list[str]]:
    """Sort a prompt's known tags by category; tags of what is not there are left out."""
    found: dict[str, list[str]] = {category: [] for category in ALL_CATEGORIES}
    for tag in _split(prompt):
        meaning = vocabulary.meaning(tag)
        if meaning is not None and not meaning.refused and meaning.tag != "no drums":
            voice = meaning.category == "vocal_type"
            found[meaning.category].append(meaning.tag if voice else tag)
    return found


def _split(prompt: str) -> list[str]:
    return [tag for tag in join_tags(prompt).split(", ") if tag]


def _list(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""


def _article(words: str) -> str:
    return "An" if words[:1] in tuple("aeiou8") or words.startswith("r&b") else "A"


def _pace(tempo_bpm: float) -> str:
    if tempo_bpm < _SLOW_BELOW_BPM:
        return "a slow"
    return "a quick" if tempo_bpm > _QUICK_ABOVE_BPM else "an easy"


@cache
def _uses() -> Mapping[str, frozenset[str]]:
    path = shipped_styles() / WORDS_FOLDER / CAPTIONS_NAME
    content, faults = read_plain_yaml(path.read_text(encoding="utf-8"))
    if faults:
        raise StageError(f"{path.name}:{faults[0]}", hint="install lofi-recipe again")
    return {use: frozenset(fold(tag) for tag in tags) for use, tags in content["uses"].items()}
