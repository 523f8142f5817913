"""Text to sound with ACE-Step, in NumPy: everything that is not a neural network.

    text, lyrics      prompts and lyrics to token ids
    noise             the starting latents, from a seed
    schedulers        Euler, Heun, PingPong for flow matching
    guidance          CFG, APG, CFG-zero-star, double condition
    erg               which parts entropy-rectified guidance weakens, and how much
    costs             which evaluations of a run are guided, and what each costs
    denoise           the loop over a `velocity(latents, timestep, conditioning)` callable
    decode            latents to a waveform, in pieces
    resample          from one sample rate to another
    master            48 kHz, exact duration, the loudness of every track, fades

The networks are callables: the runtime passes ONNX sessions, the engine torch modules.
"""

from __future__ import annotations

VERSION: int = 2
"""Raise it when the same latents or request would render to other samples (denoising, decoding,
mastering): what was rendered before is then made anew. It is part of every id of a track that a
model makes, and of what the measure stage depends on."""
