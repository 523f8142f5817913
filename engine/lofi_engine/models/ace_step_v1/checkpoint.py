"""Bases on disk, in the layout of the published repository; safetensors only.

    ace_step_transformer/  config.json, diffusion_pytorch_model.safetensors
    music_dcae_f8c8/       config.json, diffusion_pytorch_model.safetensors
    music_vocoder/         config.json, diffusion_pytorch_model.safetensors
    umt5-base/             config.json, model.safetensors, tokenizer.json
    lyric_vocabulary.json  where the base carries its own

In place of a safetensors file there may be shards, with an index of the file's name and
".index.json" after it. Weights are stored as float32, float16 or bfloat16, whichever.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from lofi_engine.errors import StageError
from lofi_engine.hashing import hash_file, hash_value
from lofi_engine.models.ace_step_v1.base import AceStepBase, Configs, Others
from lofi_engine.models.ace_step_v1.config import TransformerConfig, VocoderConfig
from lofi_engine.models.ace_step_v1.configurations import CONFIG, folder_configs
from lofi_engine.models.ace_step_v1.dcae import build_dcae
from lofi_engine.models.ace_step_v1.published import DCAE, PARTS, TEXT, TRANSFORMER, VOCODER
from lofi_engine.models.ace_step_v1.text import TextEncoder, build_umt5
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from lofi_engine.models.precision import answer_in_float32, set_parameter_type
from lofi_engine.models.weight_files import weight_files
from lofi_engine.models.weights import CheckedNetwork, check_network, dtype_of
from lofi_engine.tensors import save_tensors

WEIGHTS = "diffusion_pytorch_model.safetensors"
TEXT_WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
LYRIC_VOCABULARY = "lyric_vocabulary.json"
_TIED = ("shared.weight", "encoder.embed_tokens.weight")
_NEVER_READ = ("decoder.", "lm_head.")
"""What a full UMT5 has besides the encoder; checkpoints may bring it along."""

_Parsed = TypeVar("_Parsed", TransformerConfig, VocoderConfig)
_Network = TypeVar("_Network", bound=nn.Module)


def files_of(folder: Path, *, own_transformer: bool = True) -> tuple[Path, ...]:
    """List the files that a base's folder must have; of shards, the index and every shard.

    Args:
        folder: laid out as this module says.
        own_transformer: whether the transformer's weights are among them; its config always is.

    Raises:
        StageError: a network's weights are pickles, or an index is damaged.
    """
    networks = [(part, WEIGHTS) for part in (DCAE, VOCODER)] + [(TEXT, TEXT_WEIGHTS)]
    if own_transformer:
        networks.insert(0, (TRANSFORMER, WEIGHTS))
    return (
        *(folder / part / CONFIG for part in PARTS),
        *(file for part, name in networks for file in weight_files(folder / part / name, name)),
        folder / TEXT / TOKENIZER,
    )


def load(
    folder: Path,
    *,
    identity: str | None = None,
    lyric_vocabulary: str | None = None,
    precision: str = "fp32",
    transformer: Path | None = None,
) -> AceStepBase:
    """Load the base in `folder`, its weights one by one: memory stays near what they take.

    Args:
        folder: laid out as this module says.
        identity: what cache keys record; None hashes every file.
        lyric_vocabulary: a `tokenizers` JSON to use in place of the folder's own.
        precision: of the weights, "fp32", "fp16" or "bf16".
        transformer: a safetensors file, an index of shards, or a folder with either, in place of
            the transformer's weights in `folder`, which need not be there then.

    Raises:
        StageError: a file is missing or damaged, or its tensors are not this family's.
    """
    dtype_of(precision)
    _refuse_incomplete(folder, own_transformer=transformer is None)
    configs = Configs(*folder_configs(folder).values())
    place = folder / TRANSFORMER
    parsed = _parse(place / CONFIG, TransformerConfig, configs.transformer)
    vocoder = _parse(folder / VOCODER / CONFIG, VocoderConfig, configs.vocoder)
    own = folder / LYRIC_VOCABULARY
    if lyric_vocabulary is None and own.is_file():
        lyric_vocabulary = read_vocabulary(own)
    _refuse_larger_vocabulary(lyric_vocabulary, parsed.lyric_encoder_vocab_size)
    # Every header is checked before any data is read: reading takes minutes.
    _refuse_absent(transformer or place)
    checked_transformer = _check(
        place, lambda: AceStepTransformer(parsed), precision, transformer or place
    )
    checked_dcae = _check(folder / DCAE, lambda: build_dcae(configs.dcae), precision)
    checked_vocoder = _check(folder / VOCODER, lambda: Vocoder(vocoder), precision)
    checked_text = _check_text(folder / TEXT, configs.text, precision)
    _refuse_absent_layers(place / CONFIG, parsed, configs.text)
    base = AceStepBase(
        transformer=checked_transformer.load(),
        dcae=checked_dcae.load(),
        vocoder=checked_vocoder.load(),
        text=_load_text(checked_text, folder / TEXT / TOKENIZER),
        identity=identity or _identity(folder),
        configs=configs,
        lyric_vocabulary=lyric_vocabulary,
        read_others=lambda: _read_others(folder, configs, vocoder, precision),
    )
    return set_precision(base, precision)


def _read_others(folder: Path, configs: Configs, vocoder: VocoderConfig, precision: str) -> Others:
    """Read the networks besides the transformer again."""
    others = Others(
        _check(folder / DCAE, lambda: build_dcae(configs.dcae), precision).load(),
        _check(folder / VOCODER, lambda: Vocoder(vocoder), precision).load(),
        _check_text(folder / TEXT, configs.text, precision).load(),
    )
    return set_others_precision(others, precision)


def _refuse_absent_layers(path: Path, config: TransformerConfig, text: Mapping[str, Any]) -> None:
    """Refuse guidance that would weaken layers a network does not have."""
    has = {
        "decoder_layers": config.num_layers,
        "lyric_encoder_layers": config.lyric_encoder.num_blocks,
        "text_encoder_layers": int(text.get("num_layers", 0)),
    }
    for name, layers in has.items():
        first, after = getattr(config.erg, name)
        if not 0 <= first <= after <= layers:
            raise StageError(
                f"{path}: erg.{name} is {first} to {after}, but there are {layers} layers",
                hint="state the key erg: a base of another size has other layers to weaken",
            )


def load_transformer(
    config: TransformerConfig, place: Path, precision: str = "fp32"
) -> AceStepTransformer:
    """Load a transformer's weights alone.

    Args:
        config: what it is built from.
        place: a safetensors file, an index of shards, or a folder with either.
        precision: "fp32", "fp16" or "bf16".

    Raises:
        StageError: a file is missing or damaged, or holds other tensors.
    """
    _refuse_absent(place)
    network = check_network(lambda: AceStepTransformer(config), place, WEIGHTS, precision=precision)
    return network.load()


def read_vocabulary(path: Path) -> str:
    """Read a lyric vocabulary's text.

    Raises:
        StageError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(
            f"base.lyric_vocabulary: cannot read {path}: {getattr(error, 'strerror', error)}",
            hint="name the lyric tokenizer's JSON file",
        ) from error


def set_precision(base: AceStepBase, precision: str) -> AceStepBase:
    """Give the base's weights a precision; what its methods take and give stays float32.

    Raises:
        StageError: the precision is unknown.
    """
    set_parameter_type(base.transformer, dtype_of(precision))
    set_others_precision(Others(base.dcae, base.vocoder, base.text.network), precision)
    return base


def set_others_precision(others: Others, precision: str) -> Others:
    """Give the networks besides the transformer a precision, as `set_precision` does.

    Raises:
        StageError: the precision is unknown.
    """
    dtype = dtype_of(precision)
    for network in (others.dcae, others.vocoder, others.text):
        set_parameter_type(network, dtype)
    if dtype != torch.float32:
        # The transformer does so by itself: its timesteps must not lose digits.
        halves = (others.dcae.get_submodule(half) for half in ("encoder", "decoder"))
        for network in (*halves, others.vocoder, others.text):
            answer_in_float32(network, dtype)
    return others


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


def _refuse_incomplete(folder: Path, *, own_transformer: bool) -> None:
    if not folder.is_dir():
        raise StageError(
            f"base.model: there is no folder {folder}",
            hint="give a folder in the layout of ACE-Step/ACE-Step-v1-3.5B",
        )
    files = files_of(folder, own_transformer=own_transformer)
    missing = [str(file.relative_to(folder)) for file in files if not file.is_file()]
    if missing:
        raise StageError(
            f"base.model: {folder} lacks {', '.join(missing)}",
            hint="a base has the layout of ACE-Step/ACE-Step-v1-3.5B, in safetensors",
        )


def _refuse_absent(transformer: Path) -> None:
    if not transformer.exists():
        raise StageError(
            f"{transformer}: the transformer's weights are not there",
            hint="make them again, or fetch them again",
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


def _check_text(
    folder: Path, config: Mapping[str, Any], precision: str
) -> CheckedNetwork[nn.Module]:
    return check_network(
        lambda: _build(folder, lambda: build_umt5(config)),
        folder,
        TEXT_WEIGHTS,
        precision=precision,
        tied=_TIED,
        ignored=_NEVER_READ,
    )


def _check(
    folder: Path, build: Callable[[], _Network], precision: str, weights: Path | None = None
) -> CheckedNetwork[_Network]:
    """Check a network whose config.json lies in `folder`, and its weights too if not elsewhere."""
    return check_network(
        lambda: _build(folder, build), weights or folder, WEIGHTS, precision=precision
    )


def _build(folder: Path, build: Callable[[], _Network]) -> _Network:
    """Build a network; what its configuration makes fail is said of the file it comes from."""
    from huggingface_hub.errors import StrictDataclassError

    try:
        return build()
    except (
        ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, AttributeError,
        StrictDataclassError,
    ) as error:  # fmt: skip
        said = " ".join(str(error).split())
        raise StageError(
            f"{folder / CONFIG}: no network can be built with these values: {said}",
            hint="is this a base of the family ace-step-v1?",
        ) from error


def _load_text(checked: CheckedNetwork[nn.Module], tokenizer: Path) -> TextEncoder:
    try:
        return TextEncoder(checked.load(), tokenizer.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StageError(f"{tokenizer}: {error}", hint="fetch the base again") from error


def _parse(path: Path, kind: type[_Parsed], values: Mapping[str, Any]) -> _Parsed:
    try:
        return kind.from_mapping(values)
    except ValueError as error:
        raise StageError(
            f"{path}: {error}", hint="is this a base of the family ace-step-v1?"
        ) from error


def _identity(folder: Path) -> str:
    files = [*files_of(folder), folder / LYRIC_VOCABULARY]
    hashes = {
        str(file.relative_to(folder)): hash_file(file) for file in sorted(files) if file.is_file()
    }
    return f"sha256:{hash_value(hashes)}"
