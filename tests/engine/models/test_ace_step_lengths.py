"""What the fixtures prove at one size holds at others: every network agrees with itself.

A batch equals its rows, padding that does not count changes nothing, and where a network sees only
its neighbourhood a piece equals the same piece of the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from lofi_engine.models.ace_step_v1.dcae import decode_latents, encode_mel
from tests.support.golden import distance
from tests.support.small_networks import (
    small_dcae,
    small_transformer,
    small_umt5,
    small_vocoder,
)

LENGTHS = (1, 37, 200)
CLOSE = 3e-5
ROWS = 3

Batch = tuple[Tensor, ...]


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def ids(*shape: int) -> Tensor:
    return torch.randint(1, 64, shape, generator=torch.Generator().manual_seed(sum(shape)))


def counting(*lengths: int) -> Tensor:
    """Masks of rows with so many tokens that count."""
    return (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()


def log_mels(*shape: int) -> Tensor:
    return -4 + 2 * draw(*shape)


def conditions(length: int, rows: int = ROWS) -> Batch:
    """Text, its mask, a speaker, lyrics and their mask; rows of unlike lengths."""
    masked = counting(length, max(1, length // 2), max(1, length - 1))[:rows]
    return draw(rows, length, 32), masked, draw(rows, 16), ids(rows, length), masked


def contexts(length: int) -> Batch:
    return draw(ROWS, length, 64), counting(length, max(1, length // 2), length).float()


def decode(frames: int) -> tuple[Callable[..., Tensor], Batch]:
    every_frame = torch.ones(ROWS, frames)
    times = torch.tensor([900.0, 500.0, 20.0])
    return small_transformer().decode, (
        draw(ROWS, 8, 16, frames),
        every_frame,
        *contexts(23),
        times,
    )


def encode(length: int) -> tuple[Callable[..., Tensor], Batch]:
    return lambda *given: small_transformer().encode(*given)[0], conditions(length)


def lyrics(length: int) -> tuple[Callable[..., Tensor], Batch]:
    network = small_transformer()
    return network.lyric_encoder, (network.lyric_embs(ids(ROWS, length)), conditions(length)[-1])


def vocoder(frames: int) -> tuple[Callable[..., Tensor], Batch]:
    return small_vocoder(), (log_mels(ROWS, 128, frames),)


def dcae_encoder(frames: int) -> tuple[Callable[..., Tensor], Batch]:
    return partial(encode_mel, small_dcae().encoder), (log_mels(ROWS, 2, 128, 8 * frames),)


def dcae_decoder(frames: int) -> tuple[Callable[..., Tensor], Batch]:
    return partial(decode_latents, small_dcae().decoder), (draw(ROWS, 8, 16, frames),)


def umt5(length: int) -> tuple[Callable[..., Tensor], Batch]:
    network = small_umt5()
    return (
        lambda tokens, mask: network(input_ids=tokens, attention_mask=mask).last_hidden_state,
        (ids(ROWS, length), conditions(length)[-1]),
    )


def log_mel(frames: int) -> tuple[Callable[..., Tensor], Batch]:
    return small_vocoder().mel_transform, (0.1 * draw(ROWS, 512 * max(2, frames)),)


NETWORKS = (encode, decode, lyrics, vocoder, dcae_encoder, dcae_decoder, umt5, log_mel)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_batch_of_three_equals_its_rows_run_alone(network, length):
    run, batch = network(length)
    together = run(*batch)
    assert together.isfinite().all()
    for row in range(ROWS):
        alone = run(*(part[row : row + 1] for part in batch))
        assert distance(together[row : row + 1], alone) < CLOSE


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (encode, (ROWS, 1 + 2 * 37, 64)),
        (decode, (ROWS, 8, 16, 37)),
        (lyrics, (ROWS, 37, 32)),
        (vocoder, (ROWS, 1, 37 * 512)),
        (dcae_encoder, (ROWS, 8, 16, 37)),
        (dcae_decoder, (ROWS, 2, 128, 37 * 8)),
        (umt5, (ROWS, 37, 32)),
        (log_mel, (ROWS, 128, 37)),
    ],
)
def test_lengths_out_follow_lengths_in(network, shape):
    run, batch = network(37)
    assert run(*batch).shape == shape


def padded(part: Tensor, tokens: int, seed: int) -> Tensor:
    """Put tokens that mean something beside the others; only a mask says they do not count."""
    if part.dtype == torch.int64:
        return torch.cat((part, ids(part.shape[0], tokens)), 1)
    return torch.cat((part, draw(part.shape[0], tokens, *part.shape[2:], seed=seed)), 1)


def uncounted(mask: Tensor, tokens: int) -> Tensor:
    return torch.cat((mask, mask.new_zeros(mask.shape[0], tokens)), 1)


@pytest.mark.parametrize("length", [1, 37])
@pytest.mark.parametrize("spare", [1, 60])
def test_padding_of_text_and_lyrics_changes_no_context_that_counts(length, spare):
    transformer = small_transformer()
    text, text_mask, speaker, tokens, lyric_mask = conditions(length)
    plain, mask = transformer.encode(text, text_mask, speaker, tokens, lyric_mask)
    wide, wide_mask = transformer.encode(
        padded(text, spare, 1),
        uncounted(text_mask, spare),
        speaker,
        padded(tokens, spare, 2),
        uncounted(lyric_mask, spare),
    )
    for row in range(ROWS):
        kept, wide_kept = mask[row].bool(), wide_mask[row].bool()
        assert distance(wide[row][wide_kept], plain[row][kept]) < CLOSE


def decoded_beside(text_spare: int, lyric_spare: int) -> Tensor:
    transformer = small_transformer()
    text, text_mask, speaker, tokens, lyric_mask = conditions(12)
    context = transformer.encode(
        padded(text, text_spare, 1),
        uncounted(text_mask, text_spare),
        speaker,
        padded(tokens, lyric_spare, 2),
        uncounted(lyric_mask, lyric_spare),
    )
    times = torch.tensor([800.0, 400.0, 100.0])
    return transformer.decode(draw(ROWS, 8, 16, 20), torch.ones(ROWS, 20), *context, times)


@pytest.mark.parametrize("spare", [1, 60])
def test_padding_of_lyrics_changes_no_velocity(spare):
    assert distance(decoded_beside(0, spare), decoded_beside(0, 0)) < CLOSE


def test_padding_of_text_moves_the_lyrics_behind_it():
    """The context's keys are turned by their place, and lyrics stand behind the text's padding.

    So it is in the reference: rows of unlike prompts are the same alone and together only where
    they carry no lyrics.
    """
    assert distance(decoded_beside(1, 0), decoded_beside(0, 0)) > 10 * CLOSE


@pytest.mark.parametrize("length", [1, 37])
def test_padding_changes_nothing_that_counts_in_the_text_encoder(length):
    run, (tokens, mask) = umt5(length)
    plain, wide = run(tokens, mask), run(padded(tokens, 30, 1), uncounted(mask, 30))
    for row in range(ROWS):
        kept = mask[row].bool()
        assert distance(wide[row, :length][kept], plain[row][kept]) < CLOSE


def test_a_vocoded_piece_equals_the_same_piece_of_the_whole_away_from_its_border():
    network, border = small_vocoder(), 32
    mel = log_mels(1, 128, 260)
    whole = network(mel)
    piece = network(mel[..., 100:220])
    inside = piece[..., 512 * border : -512 * border]
    assert distance(inside, whole[..., 512 * (100 + border) : 512 * (220 - border)]) < CLOSE


def test_log_mels_of_two_halves_equal_the_whole_away_from_their_border():
    transform, border = small_vocoder().mel_transform, 2
    waveform = 0.1 * draw(2, 512 * 120)
    whole = transform(waveform)
    first, second = transform(waveform[:, : 512 * 60]), transform(waveform[:, 512 * 60 :])
    assert distance(first[..., :-border], whole[..., : 60 - border]) < CLOSE
    assert distance(second[..., border:], whole[..., 60 + border :]) < CLOSE
