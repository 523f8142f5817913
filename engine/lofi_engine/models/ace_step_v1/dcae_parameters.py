"""The weights of the music DCAE by name and shape, as `diffusers.AutoencoderDC` makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lofi_engine.models.ace_step_v1.published import DCAE
from lofi_engine.models.outline import OutlinedWeight

_RESIDUAL, _ATTENTION = "ResBlock", "EfficientViTBlock"
_EXPANSION = 4


@dataclass(frozen=True)
class _Half:
    """The encoder or the decoder: its levels from the widest picture to the narrowest."""

    name: str
    channels: Sequence[int]
    layers: Sequence[int]
    kinds: Sequence[str]
    scales: Sequence[Sequence[int]]
    head_dim: int
    resample: str

    @classmethod
    def read(cls, config: Mapping[str, Any], name: str) -> _Half:
        """Read one half of config.json.

        Raises:
            ValueError: a key is missing, or has a value no ACE-Step v1 base has.
        """
        resample = "upsample_block_type" if name == "decoder" else "downsample_block_type"
        suffixes = ("block_out_channels", "layers_per_block", "block_types", "qkv_multiscales")
        keys = [*(f"{name}_{suffix}" for suffix in suffixes), "attention_head_dim", resample]
        missing = [key for key in keys if key not in config]
        if missing:
            raise ValueError(f"{DCAE}: lacks {', '.join(missing)}")
        half = cls(name, *(config[key] for key in keys))
        allowed = {_RESIDUAL, _ATTENTION}
        if not isinstance(half.kinds, list | tuple) or set(half.kinds) - allowed:
            raise ValueError(f"{DCAE}: {name}_block_types {half.kinds} is not of ACE-Step v1")
        if config.get("decoder_norm_types", "rms_norm") != "rms_norm":
            raise ValueError(f"{DCAE}: its norms are not those of ACE-Step v1")
        if 0 in half.layers[1:]:
            raise ValueError(
                f"{DCAE}: {name}_layers_per_block {half.layers}: only the first level may be "
                "without layers"
            )
        return half

    @property
    def is_first_empty(self) -> bool:
        """Whether the widest level has no layers: it then lies in the outermost convolution."""
        return self.layers[0] == 0

    @property
    def outer(self) -> int:
        """Channels between the outermost convolution and the rest."""
        return self.channels[1 if self.is_first_empty else 0]

    def level(self, number: int, first: int) -> Iterator[OutlinedWeight]:
        """List a level's blocks, numbered from `first`."""
        for index in range(first, first + self.layers[number]):
            name = f"{self.name}.{self.blocks}.{number}.{index}"
            width = self.channels[number]
            if self.kinds[number] == _RESIDUAL:
                yield from _residual(name, width)
            else:
                yield from _attention(name, width, self.head_dim, self.scales[number])

    def widened(self, outputs: int) -> int:
        """Count the channels an upsampling's convolution makes for so many."""
        return outputs if self.resample == "interpolate" else 4 * outputs

    def narrowed(self, outputs: int) -> int:
        """Count the channels a downsampling's convolution makes for so many."""
        return outputs if self.resample == "Conv" else outputs // 4

    @property
    def blocks(self) -> str:
        return "up_blocks" if self.name == "decoder" else "down_blocks"


def dcae_decoder(config: Mapping[str, Any]) -> Iterator[OutlinedWeight]:
    """List the decoder's weights, from latents to mel.

    Raises:
        ValueError: the configuration is not of an ACE-Step v1 base.
    """
    half = _Half.read(config, "decoder")
    channels = half.channels
    yield from _conv("decoder.conv_in", channels[-1], config["latent_channels"], 3)
    for number, width in enumerate(channels):
        narrowest = number == len(channels) - 1
        if half.layers[number] and not narrowest:
            name = f"decoder.up_blocks.{number}.0.conv"
            yield from _conv(name, half.widened(width), channels[number + 1], 3)
        yield from half.level(number, first=0 if narrowest else 1)
    yield from _norm("decoder.norm_out", half.outer)
    made = config["in_channels"]
    if half.is_first_empty:
        yield from _conv("decoder.conv_out.conv", half.widened(made), half.outer, 3)
    else:
        yield from _conv("decoder.conv_out", made, half.outer, 3)


def dcae_encoder(config: Mapping[str, Any]) -> Iterator[OutlinedWeight]:
    """List the encoder's weights, from mel to latents.

    Raises:
        ValueError: the configuration is not of an ACE-Step v1 base.
    """
    half = _Half.read(config, "encoder")
    channels = half.channels
    given = config["in_channels"]
    if half.is_first_empty:
        yield from _conv("encoder.conv_in.conv", half.narrowed(half.outer), given, 3)
    else:
        yield from _conv("encoder.conv_in", half.outer, given, 3)
    for number, width in enumerate(channels):
        yield from half.level(number, first=0)
        if half.layers[number] and number < len(channels) - 1:
            name = f"encoder.down_blocks.{number}.{half.layers[number]}.conv"
            yield from _conv(name, half.narrowed(channels[number + 1]), width, 3)
    yield from _conv("encoder.conv_out", config["latent_channels"], channels[-1], 3)


def _conv(
    name: str, outputs: int, inputs: int, kernel: int, *, bias: bool = True
) -> Iterator[OutlinedWeight]:
    yield OutlinedWeight(f"{name}.weight", (outputs, inputs, kernel, kernel))
    if bias:
        yield OutlinedWeight(f"{name}.bias", (outputs,))


def _matrix(name: str, inputs: int, outputs: int) -> Iterator[OutlinedWeight]:
    yield OutlinedWeight(f"{name}.weight", (outputs, inputs), "matrix")


def _norm(name: str, width: int) -> Iterator[OutlinedWeight]:
    yield OutlinedWeight(f"{name}.weight", (width,))
    yield OutlinedWeight(f"{name}.bias", (width,))


def _residual(name: str, width: int) -> Iterator[OutlinedWeight]:
    yield from _conv(f"{name}.conv1", width, width, 3)
    yield from _conv(f"{name}.conv2", width, width, 3, bias=False)
    yield from _norm(f"{name}.norm", width)


def _attention(
    name: str, width: int, head_dim: int, scales: Sequence[int]
) -> Iterator[OutlinedWeight]:
    """List linear attention over several scales, and its gated feed-forward."""
    inner = width // head_dim * head_dim
    for projection in ("to_q", "to_k", "to_v"):
        yield from _matrix(f"{name}.attn.{projection}", width, inner)
    for number, kernel in enumerate(scales):
        scale = f"{name}.attn.to_qkv_multiscale.{number}"
        yield from _conv(f"{scale}.proj_in", 3 * inner, 1, kernel, bias=False)
        yield from _conv(f"{scale}.proj_out", 3 * inner, head_dim, 1, bias=False)
    yield from _matrix(f"{name}.attn.to_out", inner * (1 + len(scales)), width)
    yield from _norm(f"{name}.attn.norm_out", width)
    hidden = _EXPANSION * width
    yield from _conv(f"{name}.conv_out.conv_inverted", 2 * hidden, width, 1)
    yield from _conv(f"{name}.conv_out.conv_depth", 2 * hidden, 1, 3)
    yield from _conv(f"{name}.conv_out.conv_point", width, hidden, 1, bias=False)
    yield from _norm(f"{name}.conv_out.norm", width)
