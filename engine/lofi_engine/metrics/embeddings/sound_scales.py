"""Means and spreads of the measured properties over lofi music, found once and kept.

They were measured by `bench/bench_embedding.py --scales` over every window of three tracks of 20 s
of each of the 38 styles (1368 windows), made by the synthesiser, version 3.

The spreads of loudness and tuning are chosen, not measured: the synthesiser plays every track
equally loud and at A 440, which other music is not.

Changing one changes what every Fréchet distance means: give the embedding a new version with it.
"""

from __future__ import annotations

SCALES: dict[str, tuple[float, float]] = {
    "loudness": (-15.73, 6),
    "loudness-spread": (3.502, 1.838),
    "level-1": (-11.22, 4.516),
    "level-2": (-5.543, 1.67),
    "level-3": (-7.915, 1.97),
    "level-4": (-8.04, 2.325),
    "level-5": (-9.433, 2.749),
    "level-6": (-13.06, 3.815),
    "level-7": (-18.33, 3.994),
    "level-8": (-22.54, 3.297),
    "level-9": (-25.75, 4.675),
    "level-10": (-5.489, 3.963),
    "level-11": (-11.96, 3.212),
    "level-12": (-17.26, 2.678),
    "level-13": (-15.26, 5.667),
    "quiet-1": (-9.908, 7.872),
    "quiet-2": (-6.184, 4.128),
    "quiet-3": (-7.182, 3.778),
    "quiet-4": (-4.407, 2.836),
    "loud-1": (5.723, 3.494),
    "loud-2": (5.09, 2.401),
    "loud-3": (7.226, 3.753),
    "loud-4": (8.504, 3.916),
    "noise-1": (-5.856, 1.826),
    "noise-2": (-3.16, 1.241),
    "noise-3": (-1.315, 0.2656),
    "noise-4": (-1.222, 0.4481),
    "side-1": (-10.57, 2.513),
    "side-2": (-5.516, 1.742),
    "side-3": (-5.925, 3.217),
    "side-4": (-8.192, 4.988),
    "balance": (1.382, 1.081),
    "hits-1": (1.317, 0.4014),
    "hits-2": (0.8425, 0.1662),
    "hits-3": (0.9561, 0.2897),
    "hits-peak": (7.547, 1.193),
    "onsets": (4.124, 2.068),
    "movement-1": (-16.44, 4.054),
    "movement-2": (-12.18, 2.713),
    "movement-3": (-8.277, 1.656),
    "movement-4": (-4.837, 0.9845),
    "movement-centre": (2.785, 0.1776),
    "beat-period": (-0.3887, 0.1365),
    "beat-clarity": (0.4986, 0.23),
    "chroma-change": (-10.04, 2.657),
    "chroma-spread": (3.308, 0.1299),
    "third": (0.2126, 1.133),
    "pitch-height": (15.53, 3.15),
    "tuning-in": (0.3565, 0.25),
    "tuning-off": (0.002067, 0.25),
    "comb-1": (1.56, 1.099),
    "comb-2": (1.949, 0.5468),
    "comb-3": (2.08, 0.4715),
    "throb-vocoder": (2.207, 1.264),
    "throb-latents": (2.405, 0.8449),
    "peak-crowd": (-3.843, 0.2727),
    "crest": (13.08, 1.283),
    "clicks": (2.603, 1.031),
}
