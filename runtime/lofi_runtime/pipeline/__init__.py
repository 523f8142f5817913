"""Text to sound with ACE-Step, in NumPy: everything that is not a neural network.

    text, lyrics      prompts and lyrics to token ids
    noise             the starting latents, from a seed
    schedulers        Euler, Heun, PingPong for flow matching
    guidance          CFG, APG, CFG-zero-star, double condition
    denoise           the loop over a `velocity(latents, timestep, conditioning)` callable
    decode            latents to a waveform, in pieces
    loudness, master  48 kHz, exact duration, loudness, peaks, fades

The networks are callables: the runtime passes ONNX sessions, the engine torch modules.
"""
