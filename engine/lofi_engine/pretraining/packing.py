"""Writes a taught base to a folder, in half precision, with its card."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1 import checkpoint
from lofi_engine.models.ace_step_v1.base import AceStepBase
from lofi_runtime.atomic import write_text

CARD = "README.md"

_Network = TypeVar("_Network", bound=nn.Module)


def pack(base: AceStepBase, folder: Path, name: str) -> int:
    """Write `base` so that a recipe's `base.model` can name `folder`.

    Args:
        base: taught; it stays as it is.
        folder: made if missing; what it has of a base is replaced.
        name: what the base is called.

    Returns:
        The bytes of all its files.

    Raises:
        StageError: a weight is no number, or more than half precision can hold.
    """
    packed = copy.copy(base)
    packed.transformer = _half(base.transformer, "the transformer")
    packed.dcae = _half(base.dcae, "the DCAE")
    packed.vocoder = _half(base.vocoder, "the vocoder")
    packed.text = copy.copy(base.text)
    packed.text.network = _half(base.text.network, "the text encoder")
    checkpoint.save(packed, folder)
    write_text(folder / CARD, _card(base, name))
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _half(network: _Network, name: str) -> _Network:
    halved = copy.deepcopy(network).half()
    for key, value in halved.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise StageError(f"{name}: {key} holds values that half precision cannot")
    return halved


def _card(base: AceStepBase, name: str) -> str:
    networks = {
        "transformer, with the lyric encoder": base.transformer,
        "DCAE": base.dcae,
        "vocoder": base.vocoder,
        "text encoder": base.text.network,
    }
    rows = [
        f"| {what} | {sum(one.numel() for one in network.parameters()):,} |"
        for what, network in networks.items()
    ]
    return "\n".join(
        [
            "---",
            "license: apache-2.0",
            "tags: [music, text-to-audio, lofi, ace-step]",
            "---",
            "",
            f"# {name}",
            "",
            "A small base of the ACE-Step v1 architecture, taught from nothing on the sound of "
            "lofi-recipe's own synthesiser. It is for trials, tests and teaching: it has heard no "
            "recorded music, and no word; of lyrics it knows the vowels.",
            "",
            "| network | weights |",
            "|---|---|",
            *rows,
            "",
            f"Made by `lofi-recipe base train recipes/{name.removeprefix('lofi-')}-base.yaml`; "
            "`lofi-recipe base measure` says how good it is.",
            "",
        ]
    )
