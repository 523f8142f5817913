"""A letter that asks an artist or a label for the right to train on some of their tracks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import fill

from lofi_engine.recipe.model import Recipe
from lofi_runtime.errors import LofiError
from lofi_runtime.styles.taxonomy import Style

MAX_NAME_LENGTH = 200
YOUR_NAME = "[your name]"
_LINE_LENGTH = 98


def outreach_letter(
    recipe: Recipe,
    *,
    artist: str,
    tracks: int,
    fee_usd: float | None = None,
    sender: str = "",
    styles: Sequence[Style] = (),
) -> str:
    """Write the letter, its subject in the first line.

    Args:
        recipe: whose model it is about.
        artist: who it goes to.
        tracks: how many are asked for.
        fee_usd: what is offered for all of them together; None leaves it to the answer.
        sender: who signs.
        styles: what is looked for, in this order; empty leaves it open.

    Raises:
        LofiError: a name or a number that no letter could hold.
    """
    for what, name in (("--artist", artist), ("--from", sender or YOUR_NAME)):
        if not name.strip() or len(name) > MAX_NAME_LENGTH or not name.isprintable():
            raise LofiError(f"{what}: {name!r} is no name", hint="write it in one line of text")
    if tracks < 1:
        raise LofiError(f"--tracks: {tracks} is less than 1")
    if fee_usd is not None and not (math.isfinite(fee_usd) and fee_usd >= 0):
        raise LofiError(f"--fee: {fee_usd} is no sum of money", hint="give US dollars, such as 500")
    count = "one track" if tracks == 1 else f"{tracks} tracks"
    looked_for = f" I am looking for {_listed(styles)} above all." if styles else ""
    request = _REQUEST.format(model=recipe.publish.model_name, count=count)
    return _LETTER.format(
        artist=artist.strip(),
        count=count,
        request=fill(request + looked_for, _LINE_LENGTH, break_on_hyphens=False),
        fee=_fee(fee_usd, tracks),
        license=recipe.publish.license,
        sender=sender.strip() or YOUR_NAME,
    )


def _listed(styles: Sequence[Style]) -> str:
    names = [style.name for style in styles]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _fee(fee_usd: float | None, tracks: int) -> str:
    if fee_usd is None:
        return "a fee paid once, for the right to train and nothing else; what would you ask?"
    each = f", {fee_usd / tracks:,.2f} USD a track" if tracks > 1 else ""
    return f"{fee_usd:,.2f} USD{each}, paid once, for the right to train and nothing else;"


_REQUEST = (
    "I am building {model}, an open lofi music model for developers: it runs on their own machines "
    "and plays while they write code. It should learn only from music whose makers agreed to that, "
    "so I am writing to ask whether you would license {count} from your catalogue for training."
)
_LETTER = """\
Subject: Licensing {count} to train an open music model

Hello {artist},

{request}

What I propose:

- {fee}
- your recordings are never passed on, neither the files nor parts of them;
- you are credited by name in the model's documentation, worded as you like, or not at all if you
  prefer;
- whatever the model makes is marked as AI-generated, in the file itself, and never as yours;
- the model is published under {license}; you keep every right in your music.

What I would need: the masters (WAV or FLAC, MP3 of 320 kbit/s if there is nothing else), a list of
titles, and a signed line that says which tracks may be used to train a model that others may use.

Would you be open to talking about terms? Questions are as welcome as a no.

Kind regards,
{sender}
"""
