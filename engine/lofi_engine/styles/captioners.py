"""The plug-in point for captioners: what listens to a track and says it in a sentence.

One is built in, "words", which needs no model: it reads the facts. Another package adds its own by
an entry point, and whoever runs the engine picks it by name:

    [project.entry-points."lofi_recipe.captioners"]
    my-model = "my_package.captions:MyCaptioner"

The object named there is called without arguments, once, when the captioner is first wanted. A
recipe cannot name Python, so only what is installed can be picked.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, cast

from lofi_engine.errors import StageError
from lofi_engine.styles.captions import Facts, write_captions
from lofi_runtime.styles.vocabulary import Vocabulary, shipped_vocabulary

ENTRY_POINT_GROUP = "lofi_recipe.captioners"
BUILT_IN = "words"


class Captioner(Protocol):
    """Says what a track sounds like."""

    def caption(self, audio: Path, facts: Facts) -> str:
        """Describe one track.

        Args:
            audio: the curated file, 48 kHz stereo.
            facts: its prompt and what was measured.

        Returns:
            One sentence below 200 characters on the sound alone, never on the lyrics; "" for
            nothing to say. The same for the same track every time: it shapes an artifact.
        """
        ...


class WordsCaptioner:
    """The built-in captioner: the "descriptive" variant, written from the facts.

    Args:
        vocabulary: sorts the tags; None takes the shipped one.
    """

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        self._vocabulary = vocabulary or shipped_vocabulary()

    def caption(self, audio: Path, facts: Facts) -> str:
        """Write the sentence; the audio is not opened."""
        del audio
        return write_captions(facts, self._vocabulary).get("descriptive", "")


def captioner_names() -> tuple[str, ...]:
    """List the captioners that can be picked here, the built-in one first."""
    return (BUILT_IN, *sorted(_installed()))


def find_captioner(name: str = BUILT_IN) -> Captioner:
    """Give a captioner by its name.

    Raises:
        StageError: there is none of that name, or its package cannot be loaded.
    """
    if name == BUILT_IN:
        return WordsCaptioner()
    installed = _installed()
    if name not in installed:
        near = difflib.get_close_matches(name, captioner_names(), n=1)
        advice = (
            f"did you mean '{near[0]}'?" if near else f"there are {', '.join(captioner_names())}"
        )
        raise StageError(f"there is no captioner '{name}'", hint=advice)
    try:
        made: Any = installed[name].load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise StageError(
            f"captioner '{name}' cannot be loaded: {error}", hint="install its package again"
        ) from error
    if not callable(getattr(made, "caption", None)):
        raise StageError(f"captioner '{name}' has no caption method", hint="see Captioner")
    return cast(Captioner, made)


def _installed() -> Mapping[str, EntryPoint]:
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    found.pop(BUILT_IN, None)
    return found
