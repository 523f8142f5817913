"""Tiny random networks of the class that MERT and mHuBERT are loaded as, saved as those are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lofi_engine.metrics.pretrained import do_without_broken_torchaudio, quiet
from tests.support.tiny_training import SSL_WIDTHS

_OLD_NAMES = {
    ".parametrizations.weight.original0": ".weight_g",
    ".parametrizations.weight.original1": ".weight_v",
}
MERT_CONFIG = {
    "model_type": "mert_model",
    "architectures": ["MERTModel"],
    "auto_map": {
        "AutoConfig": "configuration_MERT.MERTConfig",
        "AutoModel": "modeling_MERT.MERTModel",
    },
    "attention_relax": -1.0,
    "deepnorm": False,
    "feature_extractor_cqt": False,
    "feature_extractor_cqt_bins": 336,
    "sample_rate": 24_000,
}


def save_tiny_mhubert(folder: Path, width: int = SSL_WIDTHS["mhubert"], **changes: Any) -> Path:
    """Save a HubertModel: norm over groups of the first convolution, layer norm after each block.

    Args:
        folder: is made.
        width: of its states.
        changes: to its config.json.
    """
    _network(width, feat_extract_norm="group", do_stable_layer_norm=False, save_to=folder)
    (folder / "preprocessor_config.json").write_text('{"sampling_rate": 16000}', encoding="utf-8")
    return _changed(folder, {**changes})


def save_tiny_mert(folder: Path, width: int = SSL_WIDTHS["mert"], **changes: Any) -> Path:
    """Save a HubertModel as MERT-v1-330M is published: its config.json and old names of weights.

    Args:
        folder: is made.
        width: of its states.
        changes: to its config.json.
    """
    from safetensors.torch import load_file, save_file

    _network(width, feat_extract_norm="layer", do_stable_layer_norm=True, save_to=folder)
    weights = folder / "model.safetensors"
    renamed = {}
    for name, tensor in load_file(weights).items():
        for new, old in _OLD_NAMES.items():
            name = name.replace(new, old)
        renamed[name] = tensor
    assert sum(name.endswith(("weight_g", "weight_v")) for name in renamed) == 2
    save_file(renamed, weights, metadata={"format": "pt"})
    return _changed(folder, {**MERT_CONFIG, **changes})


def add_weights(folder: Path, **shapes: tuple[int, ...]) -> None:
    """Add tensors of ones to a saved model; "__" in a name stands for a dot."""
    import torch
    from safetensors.torch import load_file, save_file

    weights = folder / "model.safetensors"
    added = {name.replace("__", "."): torch.ones(shape) for name, shape in shapes.items()}
    save_file({**load_file(weights), **added}, weights, metadata={"format": "pt"})


def _network(width: int, *, save_to: Path, **form: Any) -> None:
    import torch

    do_without_broken_torchaudio()
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(width)
    config = HubertConfig(
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8, 8, 8),
        conv_stride=(10, 8, 4),
        conv_kernel=(10, 8, 4),
        num_feat_extract_layers=3,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        **form,
    )
    with quiet():
        HubertModel(config).save_pretrained(save_to)


def _changed(folder: Path, changes: dict[str, Any]) -> Path:
    path = folder / "config.json"
    config = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    if config["model_type"] == "mert_model":
        del config["conv_pos_batch_norm"]  # it is younger than MERT
    path.write_text(json.dumps(config), encoding="utf-8")
    return folder
