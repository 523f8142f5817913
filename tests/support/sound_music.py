"""Synthesised lofi as vectors of the built-in embedding, clean and degraded."""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np

from lofi_engine.metrics.embeddings.sound import SoundEmbedding
from lofi_engine.metrics.ladder.degradations import DEGRADATIONS
from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.synth import compose, render

RATE = 48_000
_WINDOW = 3 * RATE


@cache
def play(style, seed, windows):
    """Render so many windows of a style, and leave out the ending, which fades."""
    score = compose("", seed=seed, duration_sec=3.0 * (windows + 1), style=style)
    sound = np.ascontiguousarray(render(score)[:, : windows * _WINDOW])
    sound.setflags(write=False)
    return sound


def embedded(sound):
    """Embed windows that do not overlap."""
    count = sound.shape[1] // _WINDOW
    windows = sound[:, : count * _WINDOW].reshape(2, count, _WINDOW).transpose(1, 0, 2)
    return SoundEmbedding().embed(windows)


@cache
def heard(style, seed, windows):
    """Embed a clean track."""
    return embedded(play(style, seed, windows))


@cache
def degraded(style, seed, windows, name, level):
    """Embed a track after one degradation."""
    noise_seed = zlib.crc32(f"{style} {seed}".encode())
    sound = play(style, seed, windows)
    return embedded(DEGRADATIONS[name].apply(sound, RATE, level, noise_seed))


def every(step):
    """Give every so manieth style."""
    return list(load_styles())[::step]


def stack(parts):
    """Put windows of many clips together."""
    return np.concatenate(list(parts))
