"""The other texts a track can be trained with: its tags in other orders, and captions.

Tags mean the same in any order, and people ask in sentences too: a model that has seen one text a
track learns its order and its form (ACE-Step's own training shuffles tags and draws among
recaptions for that reason). The texts are encoded once; training draws among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lofi_runtime.styles.prompts import draw, shuffle_tags

if TYPE_CHECKING:
    from lofi_engine.data.descriptions import Description

SHUFFLES = 4
"""Orders of a prompt's tags that are encoded besides the written one, where it has so many."""
_TRIES = 4 * SHUFFLES

SHUFFLE = "shuffle"
CAPTION = "caption"


def other_texts(description: Description, seed: int) -> dict[str, str]:
    """Give the texts of a track besides its prompt, by name; none twice, none like the prompt.

    Args:
        description: what is said of the track.
        seed: any integer; with the track's name it decides the orders.

    Returns:
        "shuffle/<number>" for each order of the tags, "caption/<name>" for each caption.
    """
    orders = _orders(description.prompt, draw(seed, description.track))
    named = {f"{SHUFFLE}/{number}": text for number, text in enumerate(orders)}
    told = {"", description.prompt, *orders}
    for name, text in sorted(description.captions.items()):
        if text not in told:
            told.add(text)
            named[f"{CAPTION}/{name}"] = text
    return named


def _orders(prompt: str, seed: int) -> list[str]:
    # Two or three tags soon come in an order that was drawn before.
    drawn = (shuffle_tags(prompt, draw(seed, number)) for number in range(_TRIES))
    return [text for text in dict.fromkeys(drawn) if text != prompt][:SHUFFLES]
