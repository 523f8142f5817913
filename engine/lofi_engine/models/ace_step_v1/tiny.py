"""`builtin:tiny`: the whole architecture at one thousandth of its size, made in seconds.

Nothing is trained, so it sounds like noise; it stands in for the real base wherever the machinery
is what matters: tests, rehearsals.
"""

from __future__ import annotations

from functools import partial

from lofi_engine.models.ace_step_v1.base import AceStepBase, Configs, Others
from lofi_engine.models.ace_step_v1.builtin import TINY, identity_of
from lofi_engine.models.ace_step_v1.dcae import build_dcae
from lofi_engine.models.ace_step_v1.seeded import fill_seeded
from lofi_engine.models.ace_step_v1.text import TextEncoder, build_umt5
from lofi_engine.models.ace_step_v1.tiny_config import DCAE, TEXT, TRANSFORMER, VOCODER
from lofi_engine.models.ace_step_v1.tiny_vocabulary import lyric_vocabulary, text_tokenizer
from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
from lofi_engine.models.ace_step_v1.vocoder import Vocoder

IDENTITY = identity_of(TINY)
_SEED = 1
# UMT5 does not divide its scores by the square root of the head's width; its queries are small.
_TEXT_GAINS = {"SelfAttention.q.weight": 0.25}
# Latents are (code + 1.9) * 0.18: these levels make them about as wide as noise, as trained ones.
_DCAE_GAINS = {
    "encoder.conv_out.weight": 1.5,
    "decoder.conv_in.weight": 0.2,
    "decoder.conv_out.weight": 0.3,
}


def build_tiny() -> AceStepBase:
    """Build the tiny base; the same weights on every machine, under 3 million of them."""
    transformer = AceStepTransformer(TRANSFORMER)
    fill_seeded(transformer, seed=_SEED, name="transformer")
    others = build_others()
    return AceStepBase(
        identity=IDENTITY,
        configs=Configs(TRANSFORMER.to_mapping(), DCAE, VOCODER.to_mapping(), TEXT),
        transformer=transformer,
        dcae=others.dcae,
        vocoder=others.vocoder,
        text=TextEncoder(others.text, text_tokenizer()),
        lyric_vocabulary=lyric_vocabulary(),
    )


def build_others() -> Others:
    """Build the tiny base's networks besides its transformer."""
    fill = partial(fill_seeded, seed=_SEED)
    others = Others(build_dcae(DCAE), Vocoder(VOCODER), build_umt5(TEXT))
    fill(others.dcae, name="dcae", gains=_DCAE_GAINS)
    fill(others.vocoder, name="vocoder")
    fill(others.text, name="text", gains=_TEXT_GAINS)
    return others
