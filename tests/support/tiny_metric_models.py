"""Tiny random models of the classes that metrics load, saved as the real ones are published.

Their weights are spread wider than an untrained network's, so that they tell sounds and words
apart; `collapsed=True` takes that from them again.
"""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lofi_engine.metrics.pretrained import do_without_broken_torchaudio, quiet
from lofi_engine.metrics.unrelated import CAPTIONS, unrelated_sounds

CLAP_RATE, CLAP_WINDOW_SEC, CLAP_DIMENSIONS = 48_000, 10, 16
SPEECH_RATE = 16_000
LETTERS = " abcdefghijklmnopqrstuvwxyz'"
AESTHETIC_AXES = ("CE", "CU", "PC", "PQ")


def save_tiny_clap(
    folder: Path, *, collapsed: str = "", longest_text: int = 64, fused: bool = False
) -> Path:
    """Save a ClapModel with its feature extractor and tokenizer.

    Args:
        folder: is made.
        collapsed: "text" or "audio" makes every caption or every sound embed alike.
        longest_text: tokens the text model has positions for.
        fused: whether it looks at long sounds whole and in parts, as clap-htsat-fused does.
    """
    import torch

    do_without_broken_torchaudio()
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    torch.manual_seed(1)
    model = ClapModel(ClapConfig(**_clap_config(longest_text, fused))).eval()
    extractor = ClapFeatureExtractor(
        feature_size=64,
        hop_length=480,
        max_length_s=CLAP_WINDOW_SEC,
        truncation="fusion" if fused else "rand_trunc",
    )
    tokenizer = _text_tokenizer(longest_text)
    _spread(model)
    _centre(model, extractor, tokenizer)
    if collapsed:
        _flatten(getattr(model, f"{collapsed}_projection").linear2)
    with quiet():
        model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_tiny_ctc(folder: Path, *, deaf: str = "") -> Path:
    """Save a Wav2Vec2ForCTC with its processor, which spells in lower case.

    Args:
        folder: is made.
        deaf: the letter it hears in every sound.
    """
    import torch

    do_without_broken_torchaudio()
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    folder.mkdir(parents=True, exist_ok=True)
    tokens = ["<pad>", "<unk>", "|", *LETTERS[1:]]
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({token: at for at, token in enumerate(tokens)}))
    config = Wav2Vec2Config(
        vocab_size=len(tokens),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8, 8, 8),
        conv_stride=(10, 8, 8),
        conv_kernel=(10, 8, 8),
        num_feat_extract_layers=3,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        pad_token_id=0,
    )
    torch.manual_seed(2)
    model = Wav2Vec2ForCTC(config)
    _spread(model)
    if deaf:
        _flatten(model.lm_head)
        model.lm_head.bias.data[tokens.index(deaf)] = 2
    with quiet():
        model.save_pretrained(folder)
    Wav2Vec2Processor(
        Wav2Vec2FeatureExtractor(sampling_rate=SPEECH_RATE, return_attention_mask=False),
        Wav2Vec2CTCTokenizer(str(vocabulary), unk_token="<unk>", pad_token="<pad>"),
    ).save_pretrained(folder)
    return folder


def save_tiny_whisper(folder: Path) -> Path:
    """Save a WhisperForConditionalGeneration with its processor; it hears two seconds at a time."""
    import torch

    do_without_broken_torchaudio()
    from transformers import (
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
    )

    tokenizer = _whisper_tokenizer()
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    start = tokenizer.convert_tokens_to_ids("<|startoftranscript|>")
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=16,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_source_positions=100,
        max_target_positions=24,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=start,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    torch.manual_seed(3)
    model = WhisperForConditionalGeneration(config)
    _spread(model)
    with quiet():
        model.save_pretrained(folder)
    extractor = WhisperFeatureExtractor(
        feature_size=16, sampling_rate=SPEECH_RATE, chunk_length=2, n_fft=400
    )
    WhisperProcessor(extractor, tokenizer).save_pretrained(folder)
    return folder


@contextlib.contextmanager
def shrunk_wavlm() -> Iterator[None]:
    """Shrink the speech model that every AesMultiOutput is built on: its size is a constant."""
    from audiobox_aesthetics.model import aes

    config = aes.WavLMConfig(vars(aes.DEFAULT_AUDIO_CFG))
    config.update(
        {
            "encoder_layers": 2,
            "encoder_embed_dim": 16,
            "encoder_ffn_embed_dim": 32,
            "encoder_attention_heads": 2,
            "conv_feature_layers": "[(8,10,5)] + [(8,8,8)] * 2",
            "conv_pos": 8,
            "conv_pos_groups": 2,
            "num_buckets": 16,
            "max_distance": 40,
        }
    )
    real, aes.DEFAULT_AUDIO_CFG = aes.DEFAULT_AUDIO_CFG, config
    try:
        yield
    finally:
        aes.DEFAULT_AUDIO_CFG = real


def save_tiny_aesthetics(folder: Path, *, constant: bool = False) -> Path:
    """Save an AesMultiOutput of the size of `shrunk_wavlm`, which must hold while it is used.

    Args:
        folder: is made.
        constant: whether every sound gets the same scores.
    """
    import torch
    from audiobox_aesthetics.model.aes import AesMultiOutput

    torch.manual_seed(4)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # torch's word about weight_norm
        model = AesMultiOutput(
            nth_layer=3,
            normalize_embed=False,
            target_transform={
                axis: {"mean": 5.0 + at, "std": 1.0 + at / 4}
                for at, axis in enumerate(AESTHETIC_AXES)
            },
        )
    _spread(model)
    if constant:
        for axis in AESTHETIC_AXES:
            _flatten(model.proj_layer[axis][-1])
    model.save_pretrained(folder)
    return folder


def _spread(model: Any) -> None:
    """Draw every matrix wide enough that what differs at the bottom differs at the top."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                fan_in = parameter[0].numel()
                parameter.normal_(0, 1.5 / fan_in**0.5)


def _centre(model: Any, extractor: Any, tokenizer: Any) -> None:
    """Take out of both projections what all captions, and all sounds, have in common."""
    import torch

    sounds = list(unrelated_sounds(CLAP_RATE, CLAP_WINDOW_SEC))
    features = extractor(sounds, sampling_rate=CLAP_RATE, return_tensors="pt").input_features
    longer = torch.zeros((len(sounds), 1), dtype=torch.bool)
    with torch.no_grad():
        heard = model.audio_model(input_features=features, is_longer=longer).pooler_output
        read = [
            model.text_model(**tokenizer(text, return_tensors="pt")).pooler_output
            for text in CAPTIONS
        ]
        for projection, seen in (
            (model.audio_projection, heard),
            (model.text_projection, torch.cat(read)),
        ):
            projection.linear2.bias -= projection(seen).mean(dim=0)


def _flatten(linear: Any) -> None:
    """Make a layer answer the same whatever it is given."""
    import torch

    with torch.no_grad():
        linear.weight.mul_(1e-4)
        linear.bias.copy_(torch.linspace(-1, 1, len(linear.bias)))


def _clap_config(longest_text: int, fused: bool) -> dict[str, Any]:
    return {
        "text_config": {
            "vocab_size": 64,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": longest_text + 2,  # two lie before the first token's
        },
        "audio_config": {
            "enable_fusion": fused,
            "patch_embeds_hidden_size": 8,
            "depths": [1, 1],
            "num_attention_heads": [2, 2],
            "num_hidden_layers": 2,
            "hidden_size": 16,
        },
        "projection_dim": CLAP_DIMENSIONS,
    }


def _text_tokenizer(longest: int) -> Any:
    """Give a byte-level tokenizer with RoBERTa's special tokens, one token a letter."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import RobertaTokenizerFast

    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "Ġ", *LETTERS[1:], *"0123456789.,-()"]
    tokenizer = Tokenizer(
        models.BPE({word: at for at, word in enumerate(words)}, [], unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return RobertaTokenizerFast(tokenizer_object=tokenizer, model_max_length=longest)


def _whisper_tokenizer() -> Any:
    """Give Whisper's tokenizer with one token a letter."""
    from transformers import WhisperTokenizer

    words = ["Ġ", *LETTERS[1:], "<|endoftext|>"]
    tokenizer = WhisperTokenizer(vocab={word: at for at, word in enumerate(words)}, merges=[])
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<|startoftranscript|>", "<|notimestamps|>"]}
    )
    return tokenizer
