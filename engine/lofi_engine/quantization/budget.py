"""Which weights get fewer bits so that a variant fits its bytes at the least measured error.

Pure: numbers in, names out. Greedy by error added per byte saved (the usual relaxation of the
knapsack problem), then whatever turned out not to be needed is taken back, worst first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """What storing one weight in the narrower of two forms would do.

    Args:
        name: the weight.
        bytes_saved: how many bytes fewer the narrow form takes.
        error_added: how much larger its error is; the squared error relative to the weight's own
            squared size.
        elements: how many numbers the weight holds.
    """

    name: str
    bytes_saved: int
    error_added: float
    elements: int


def choose_narrow(choices: Sequence[Choice], bytes_to_save: int) -> frozenset[str]:
    """Choose the weights to store narrowly so that at least `bytes_to_save` are saved.

    Where all of them together do not save enough, all that save anything are chosen: the caller
    measures the result against its budget anyway.
    """
    chosen: list[Choice] = []
    saved = 0
    for choice in sorted(_worthwhile(choices), key=_price):
        if saved >= bytes_to_save:
            break
        chosen.append(choice)
        saved += choice.bytes_saved
    for choice in sorted(chosen, key=lambda choice: (-choice.error_added, choice.name)):
        if saved - choice.bytes_saved >= bytes_to_save:
            chosen.remove(choice)
            saved -= choice.bytes_saved
    return frozenset(choice.name for choice in chosen)


def choose_wide(
    choices: Sequence[Choice], bytes_to_spend: int, *, elements_to_spend: int
) -> frozenset[str]:
    """Choose the narrow weights to lift to the wider form, most error per byte first.

    Args:
        choices: the weights that are narrow now.
        bytes_to_spend: what the budget leaves.
        elements_to_spend: how many numbers may be lifted and the variant still be what its name
            says.
    """
    lifted: set[str] = set()
    for choice in sorted(_worthwhile(choices), key=_price, reverse=True):
        if choice.bytes_saved <= bytes_to_spend and choice.elements <= elements_to_spend:
            lifted.add(choice.name)
            bytes_to_spend -= choice.bytes_saved
            elements_to_spend -= choice.elements
    return frozenset(lifted)


def _worthwhile(choices: Sequence[Choice]) -> list[Choice]:
    return [choice for choice in choices if choice.bytes_saved > 0]


def _price(choice: Choice) -> tuple[float, str]:
    return choice.error_added / choice.bytes_saved, choice.name
