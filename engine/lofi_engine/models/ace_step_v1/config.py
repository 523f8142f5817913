"""The shapes of each network, read from and written to the Hub's config.json files.

Keys are the published files' own. What those files leave out (the lyric encoder's shape, the
vocoder's whole configuration) has the published model's values as defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields
from typing import Any, Self


def _frozen(value: Any) -> Any:
    """Turn lists into tuples at every depth."""
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    return value


def _thawed(value: Any) -> Any:
    """Turn tuples into lists at every depth."""
    if isinstance(value, dict):
        return {key: _thawed(item) for key, item in value.items()}
    return [_thawed(item) for item in value] if isinstance(value, tuple) else value


def _is_needed(item: Field[Any]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


@dataclass(frozen=True)
class _Config:
    """Reading and writing that every configuration shares."""

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Take the known keys; keys that only other programs use are ignored.

        Raises:
            ValueError: keys without a default are missing; names them.
        """
        names = {item.name for item in fields(cls)}
        missing = [
            item.name for item in fields(cls) if _is_needed(item) and item.name not in values
        ]
        if missing:
            raise ValueError(f"lacks {', '.join(missing)}")
        return cls(**{key: _frozen(value) for key, value in values.items() if key in names})

    def to_mapping(self) -> dict[str, Any]:
        """Give the configuration as JSON values."""
        return dict(_thawed(asdict(self)))


@dataclass(frozen=True)
class LyricEncoderConfig(_Config):
    """The conformer over lyric tokens.

    Args:
        output_size: its width.
        attention_heads: heads of relative-position attention.
        linear_units: the feed-forward's inner width.
        num_blocks: layers.
        dropout_rate: in training, after each sub-layer and on the positions.
    """

    output_size: int = 1024
    attention_heads: int = 16
    linear_units: int = 4096
    num_blocks: int = 6
    dropout_rate: float = 0.1


@dataclass(frozen=True)
class ErgConfig(_Config):
    """Which layers entropy-rectified guidance flattens, as half-open ranges.

    Args:
        decoder_layers: blocks of the transformer.
        lyric_encoder_layers: layers of the lyric encoder.
        text_encoder_layers: layers of the text encoder.
    """

    decoder_layers: tuple[int, int] = (15, 20)
    lyric_encoder_layers: tuple[int, int] = (4, 6)
    text_encoder_layers: tuple[int, int] = (8, 10)


@dataclass(frozen=True)
class TransformerConfig(_Config):
    """The transformer; `inner_dim` is always heads times head width."""

    num_layers: int
    attention_head_dim: int
    num_attention_heads: int
    mlp_ratio: float
    speaker_embedding_dim: int
    text_embedding_dim: int
    lyric_encoder_vocab_size: int
    lyric_hidden_size: int
    in_channels: int = 8
    out_channels: int = 8
    patch_size: tuple[int, int] = (16, 1)
    max_height: int = 16
    max_width: int = 32768
    max_position: int = 32768
    rope_theta: float = 1_000_000.0
    ssl_encoder_depths: tuple[int, ...] = (8, 8)
    ssl_names: tuple[str, ...] = ("mert", "m-hubert")
    ssl_latent_dims: tuple[int, ...] = (1024, 768)
    lyric_encoder: LyricEncoderConfig = LyricEncoderConfig()
    erg: ErgConfig = ErgConfig()

    @property
    def inner_dim(self) -> int:
        """The width of a frame inside the transformer."""
        return self.num_attention_heads * self.attention_head_dim

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Take the known keys; see `_Config.from_mapping`.

        Raises:
            ValueError: keys without a default are missing, or a part is no mapping; names them.
        """
        read = dict(values)
        parts: dict[str, type[_Config]] = {"lyric_encoder": LyricEncoderConfig, "erg": ErgConfig}
        for name, kind in parts.items():
            part = values.get(name, {})
            if not isinstance(part, Mapping):
                raise ValueError(f"{name} is {part!r}, must be a mapping")
            read[name] = kind.from_mapping(part)
        return super().from_mapping(read)

    def to_mapping(self) -> dict[str, Any]:
        """Give the configuration as JSON values, with the derived `inner_dim` as published."""
        return {**super().to_mapping(), "inner_dim": self.inner_dim}


@dataclass(frozen=True)
class VocoderConfig(_Config):
    """The vocoder: a ConvNeXt backbone over mel frames and a HiFi-GAN head.

    The product of `upsample_rates` is `hop_length`; the head takes `num_mels` channels, the
    backbone's last width.
    """

    input_channels: int = 128
    depths: tuple[int, ...] = (3, 3, 9, 3)
    dims: tuple[int, ...] = (128, 256, 384, 512)
    kernel_sizes: tuple[int, ...] = (7,)
    upsample_rates: tuple[int, ...] = (4, 4, 2, 2, 2, 2, 2)
    upsample_kernel_sizes: tuple[int, ...] = (8, 8, 4, 4, 4, 4, 4)
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11, 13)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5),) * 4
    num_mels: int = 512
    upsample_initial_channel: int = 1024
    use_template: bool = False
    pre_conv_kernel_size: int = 13
    post_conv_kernel_size: int = 13
    sampling_rate: int = 44100
    n_fft: int = 2048
    win_length: int = 2048
    hop_length: int = 512
    f_min: float = 40
    f_max: float = 16000
    n_mels: int = 128
