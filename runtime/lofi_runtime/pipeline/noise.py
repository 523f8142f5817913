"""Starting noise: the same seed gives the same float32 latents on every machine, bit for bit.

The recipe, so that any other program can make the same noise:

1. **Words.** Philox4x64-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011)
   with key `(seed, stream)`. Block b (b = 0, 1, 2, ...) enciphers the counter `(b + 1, 0, 0, 0)`,
   least significant word first, and gives four 64-bit words, in order. This is what
   `numpy.random.Philox(key=seed + (stream << 64)).random_raw()` returns.
2. **Uniforms.** Words are taken in pairs (a, b): `u = ((a >> 11) + 1) / 2**53` lies in (0, 1],
   `v = (b >> 11) / 2**53` in [0, 1).
3. **Normals** (Box and Muller, 1958). `r = sqrt(-2 ln u)`; the pair gives `r cos(2 pi v)`, then
   `r sin(2 pi v)`.
4. **Layout.** Values fill the array in C order (the last axis runs fastest), rounded once from
   float64 to float32, to nearest, ties to even. An odd count drops the last sine.

`ln`, `cos` and `sin` of a system's library differ in the last bit from one machine to the next, so
they are computed here from additions, multiplications, divisions and square roots alone, which
IEEE 754 defines exactly: `_log` and `_cos_sin` state their order of operations.

Streams:

| stream | of which seed | what |
|---|---|---|
| 0 | a track's, or an edit's | starting latents (1, channels, height, frames) |
| 1 + i | the same | what a stochastic scheduler (PingPong) adds at step i |
| 2**63 | an edit's | the second noise of a retake, repaint or extension |

An edit draws from two seeds. A retake, repaint or extension starts from stream 0 of its source
track's seed (what the source was made from) and takes its second noise from its own seed: on a
stream of its own, so that the two are independent even where the seeds are equal. Audio to audio
starts from stream 0 of its own seed and has no second noise. `edit_latents.edit_noise` does this.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Float64s = npt.NDArray[np.float64]

START_STREAM = 0
EDIT_STREAM = 2**63

_LN2 = 0.6931471805599453  # float64 nearest to ln 2
_TWO_PI = 6.283185307179586  # float64 nearest to 2 pi
_SQRT_HALF = 0.7071067811865476
_LOG_TERMS = 12  # s**25 / 25 < 3e-21 for |s| <= 0.1716
_TRIG_TERMS = 10  # x**20 / 20! < 4e-21 for |x| <= pi / 4


def starting_noise(
    seed: int, shape: tuple[int, ...], *, stream: int = START_STREAM
) -> npt.NDArray[np.float32]:
    """Draw standard normal float32 values of `shape`; the module's text is the contract.

    Args:
        seed: 0 to 2**64 - 1.
        shape: of the answer, e.g. (1, 8, 16, frames).
        stream: 0 to 2**64 - 1; see the module's table.

    Raises:
        ValueError: the seed or the stream is out of range.
    """
    for name, value in (("seed", seed), ("stream", stream)):
        if not 0 <= value < 2**64:
            raise ValueError(f"{name} is {value}, must be from 0 to 2**64 - 1")
    count = math.prod(shape)
    pairs = (count + 1) // 2
    words = np.random.Philox(key=seed + (stream << 64)).random_raw(2 * pairs)
    u = ((words[0::2] >> np.uint64(11)) + np.uint64(1)).astype(np.float64) * 2.0**-53
    v = (words[1::2] >> np.uint64(11)).astype(np.float64) * 2.0**-53
    radius = np.sqrt(-2.0 * _log(u))
    cosine, sine = _cos_sin(v)
    normals = np.empty(2 * pairs, np.float64)
    normals[0::2] = radius * cosine
    normals[1::2] = radius * sine
    return normals[:count].astype(np.float32).reshape(shape)


def step_noise_of(seed: int, shape: tuple[int, ...]) -> Callable[[int], npt.NDArray[np.float32]]:
    """Give what a stochastic scheduler adds: `noise(i)` is stream 1 + i of `seed`."""
    return lambda index: starting_noise(seed, shape, stream=1 + index)


def _log(u: Float64s) -> Float64s:
    """Natural logarithm of values in (0, 1].

    u = m 2**e with m in [sqrt(1/2), sqrt(2)); s = (m - 1) / (m + 1);
    ln u = e ln 2 + 2 s (1 + z/3 + z**2/5 + ... + z**11/23), z = s s, by Horner from the last term.
    """
    m, e = np.frexp(u)
    small = m < _SQRT_HALF
    m = np.where(small, 2.0 * m, m)
    exponent = e.astype(np.float64) - small
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    series = np.zeros_like(z)
    for k in range(_LOG_TERMS - 1, -1, -1):
        series = series * z + 1.0 / (2 * k + 1)
    return exponent * _LN2 + 2.0 * s * series


def _cos_sin(v: Float64s) -> tuple[Float64s, Float64s]:
    """Cosine and sine of 2 pi v for v in [0, 1).

    q = v to the nearest quarter (ties to even), x = 2 pi (v - q/4), |x| <= pi/4; Taylor series of
    ten terms in x x by Horner from the last term; then turned by q quarters.
    """
    quarter = np.rint(4.0 * v)
    x = (v - 0.25 * quarter) * _TWO_PI
    z = x * x
    cosine = np.zeros_like(z)
    sine = np.zeros_like(z)
    for k in range(_TRIG_TERMS - 1, -1, -1):
        sign = -1.0 if k % 2 else 1.0
        cosine = cosine * z + sign / math.factorial(2 * k)
        sine = sine * z + sign / math.factorial(2 * k + 1)
    sine = sine * x
    turn = quarter.astype(np.int64) % 4
    turned_cosine = np.choose(turn, [cosine, -sine, -cosine, sine])
    turned_sine = np.choose(turn, [sine, cosine, -sine, -cosine])
    return turned_cosine, turned_sine
