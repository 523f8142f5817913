"""Bases on disk, in the layout of the published repository; safetensors only.

    ace_step_transformer/  config.json, diffusion_pytorch_model.safetensors
    music_dcae_f8c8/       config.json, diffusion_pytorch_model.safetensors
    music_vocoder/         config.json, diffusion_pytorch_model.safetensors
    umt5-base/             config.json, model.safetensors, tokenizer.json
    lyric_vocabulary.json  where the base carries its own

Weights of any precision are read as float32.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lofi_engine.errors import StageError
from lofi_engine.hashing import hash_file, hash_value
from lofi_engine.models.ace_step_v1.base import AceStepBase, Configs
from lofi_engine.models.ace_step_v1.config import TransformerConfig, VocoderConfig
from lofi_engine.models.ace_step_v1.dcae import build_dcae
from lofi_engine.models.ace_step_v1.text import TextEncoder, build_umt5
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from lofi_engine.tensors import save_tensors

TRANSFORMER, DCAE, VOCODER, TEXT = (
    "ace_step_transformer",
    "music_dcae_f8c8",
    "music_vocoder",
    "umt5-base",
)
CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
TEXT_WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
LYRIC_VOCABULARY = "lyric_vocabulary.json"
_TIED = ("shared.weight", "encoder.embed_tokens.weight")
_SHOWN = 3

_Network = TypeVar("_Network", bound=nn.Module)
_Parsed = TypeVar("_Parsed", TransformerConfig, VocoderConfig)


def files_of(folder: Path) -> tuple[Path, ...]:
    """List the files that a base's folder must have."""
    return (
        *(folder / part / CONFIG for part in (TRANSFORMER, DCAE, VOCODER, TEXT)),
        *(folder / part / WEIGHTS for part in (TRANSFORMER, DCAE, VOCODER)),
        folder / TEXT / TEXT_WEIGHTS,
        folder / TEXT / TOKENIZER,
    )


def load(
    folder: Path, *, identity: str | None = None, lyric_vocabulary: str | None = None
) -> AceStepBase:
    """Load the base in `folder`.

    Args:
        folder: laid out as this module says.
        identity: what cache keys record; None hashes every file.
        lyric_vocabulary: a `tokenizers` JSON to use in place of the folder's own.

    Raises:
        StageError: a file is missing or damaged, or its tensors are not this family's.
    """
    _refuse_incomplete(folder)
    parts = (TRANSFORMER, DCAE, VOCODER, TEXT)
    configs = Configs(*(_read_json(folder / part / CONFIG) for part in parts))
    transformer = _parse(folder / TRANSFORMER / CONFIG, TransformerConfig, configs.transformer)
    vocoder = _parse(folder / VOCODER / CONFIG, VocoderConfig, configs.vocoder)
    own = folder / LYRIC_VOCABULARY
    if lyric_vocabulary is None and own.is_file():
        lyric_vocabulary = own.read_text(encoding="utf-8")
    _refuse_larger_vocabulary(lyric_vocabulary, transformer.lyric_encoder_vocab_size)
    return AceStepBase(
        identity=identity or _identity(folder),
        configs=configs,
        transformer=_load_network(
            folder / TRANSFORMER / WEIGHTS, lambda: AceStepTransformer(transformer)
        ),
        dcae=_load_network(folder / DCAE / WEIGHTS, lambda: build_dcae(configs.dcae)),
        vocoder=_load_network(folder / VOCODER / WEIGHTS, lambda: Vocoder(vocoder)),
        text=_load_text(folder / TEXT, configs.text),
        lyric_vocabulary=lyric_vocabulary,
    )


def save(base: AceStepBase, folder: Path) -> None:
    """Write `base` to `folder` so that `load` gives it back bit for bit."""
    for part, config in configs_by_folder(base).items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        written = json.dumps(config, indent=2, sort_keys=True)
        (folder / part / CONFIG).write_text(f"{written}\n", encoding="utf-8")
    save_tensors(folder / TRANSFORMER / WEIGHTS, base.transformer.state_dict())
    save_tensors(folder / DCAE / WEIGHTS, base.dcae.state_dict())
    save_tensors(folder / VOCODER / WEIGHTS, base.vocoder.state_dict())
    text = dict(base.text.network.state_dict())
    text.pop(_TIED[1], None)
    save_tensors(folder / TEXT / TEXT_WEIGHTS, text)
    (folder / TEXT / TOKENIZER).write_text(base.text.tokenizer_json, encoding="utf-8")
    if base.lyric_vocabulary is not None:
        (folder / LYRIC_VOCABULARY).write_text(base.lyric_vocabulary, encoding="utf-8")


def configs_by_folder(base: AceStepBase) -> dict[str, dict[str, Any]]:
    """Give each network's configuration, by the folder it lies in."""
    configs = base.configs
    return {
        TRANSFORMER: dict(configs.transformer),
        DCAE: dict(configs.dcae),
        VOCODER: dict(configs.vocoder),
        TEXT: dict(configs.text),
    }


def _refuse_incomplete(folder: Path) -> None:
    missing = [str(file.relative_to(folder)) for file in files_of(folder) if not file.is_file()]
    if not folder.is_dir():
        raise StageError(
            f"base.model: there is no folder {folder}",
            hint="give a folder in the layout of ACE-Step/ACE-Step-v1-3.5B",
        )
    if missing:
        raise StageError(
            f"base.model: {folder} lacks {', '.join(missing)}",
            hint="a base has the layout of ACE-Step/ACE-Step-v1-3.5B, in safetensors",
        )


def _refuse_larger_vocabulary(vocabulary: str | None, rows: int) -> None:
    if vocabulary is None:
        return
    try:
        read = json.loads(vocabulary)
        ids = [*read["model"]["vocab"].values(), *(token["id"] for token in read["added_tokens"])]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageError(
            "base.lyric_vocabulary: not a tokenizers JSON with a vocabulary",
            hint="name the file that ACE-Step v1 tokenizes lyrics with",
        ) from error
    last = max(ids, default=-1)
    if last >= rows:
        raise StageError(
            f"base.lyric_vocabulary: its ids reach {last}, but the base embeds {rows} lyric tokens",
            hint="name the vocabulary that belongs to this base",
        )


def _load_text(folder: Path, config: Mapping[str, Any]) -> TextEncoder:
    network = _load_network(folder / TEXT_WEIGHTS, lambda: build_umt5(config), _tie)
    try:
        return TextEncoder(network, (folder / TOKENIZER).read_text(encoding="utf-8"))
    except ValueError as error:
        raise StageError(f"{folder / TOKENIZER}: {error}", hint="fetch the base again") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StageError(f"{path}: not JSON: {error}", hint="fetch the base again") from error
    if not isinstance(value, dict):
        raise StageError(f"{path}: a JSON object is needed, not a {type(value).__name__}")
    return value


def _parse(path: Path, kind: type[_Parsed], values: Mapping[str, Any]) -> _Parsed:
    try:
        return kind.from_mapping(values)
    except ValueError as error:
        raise StageError(
            f"{path}: {error}", hint="is this a base of the family ace-step-v1?"
        ) from error


def _load_network(
    path: Path,
    build: Callable[[], _Network],
    prepare: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
) -> _Network:
    """Build a network without memory for its weights, then give it the file's."""
    with torch.device("meta"):
        network = build()
    tensors = prepare(_read_tensors(path))
    _refuse_other_keys(path, tensors, network)
    network.load_state_dict(tensors, assign=True)
    return network.eval()


def _read_tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise StageError(f"{path}: cannot be read: {error}", hint="fetch the base again") from error
    return {
        key: tensor.float() if tensor.is_floating_point() else tensor
        for key, tensor in tensors.items()
    }


def _tie(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give both names of UMT5's embedding the one table, and drop a decoder that came along."""
    kept = {k: v for k, v in tensors.items() if not k.startswith(("decoder.", "lm_head."))}
    table = kept.get(_TIED[0], kept.get(_TIED[1]))
    return kept if table is None else {**kept, **dict.fromkeys(_TIED, table)}


def _refuse_other_keys(path: Path, tensors: Mapping[str, Tensor], network: nn.Module) -> None:
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    problems = [f"lacks {key}" for key in expected if key not in found]
    problems += [f"has {key}" for key in found if key not in expected]
    problems += [
        f"has {key} of shape {found[key]}, not {shape}"
        for key, shape in expected.items()
        if key in found and found[key] != shape
    ]
    if problems:
        shown = "; ".join(problems[:_SHOWN])
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise StageError(
            f"{path}: it {shown}{more}",
            hint=f"its tensors are not those of {CONFIG} in the same folder",
        )


def _identity(folder: Path) -> str:
    files = [*files_of(folder), folder / LYRIC_VOCABULARY]
    hashes = {
        str(file.relative_to(folder)): hash_file(file) for file in sorted(files) if file.is_file()
    }
    return f"sha256:{hash_value(hashes)}"
