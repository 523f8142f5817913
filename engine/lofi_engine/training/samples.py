"""Clips rendered while training, so that one hears what the loss does not say.

Through the runtime's own denoising loop, with the torch transformer in the graph's place. Rendering
leaves training as it was: no random state moves and the transformer goes back to training mode.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.models.family import Base, Conditioning

PROMPT = "lofi hip hop, chill, piano, 80 bpm, vinyl crackle, late night, instrumental"
DURATION_SEC = 5
INFERENCE_STEPS = 27
SEED = 0


def render_sample(base: Base, path: Path, *, model_name: str) -> None:
    """Render the fixed prompt with the transformer as it is now, and write a tagged WAV.

    Args:
        base: its transformer may carry an adapter.
        path: written whole or not at all.
        model_name: what the file says made it.
    """
    import torch

    from lofi_runtime.audio_file import generated_tags, write_audio
    from lofi_runtime.pipeline.master import master

    was_training = base.transformer.training
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices), torch.inference_mode():
        base.transformer.eval()
        latents = _denoise(base)
        waveform = base.decode_audio(torch.from_numpy(latents))[0]
        base.transformer.train(was_training)
    audio = master(waveform, base.sample_rate, DURATION_SEC)
    path.parent.mkdir(parents=True, exist_ok=True)
    tags = generated_tags(model=model_name, license="unpublished", title=PROMPT)
    write_audio(path, audio.samples, tags=tags)


def _denoise(base: Base) -> npt.NDArray[np.float32]:
    import torch

    from lofi_runtime.pipeline.denoise import DenoiseSettings, denoise
    from lofi_runtime.pipeline.noise import starting_noise

    device = next(base.transformer.parameters()).device
    frames = -(-DURATION_SEC * base.sample_rate // base.frame_samples)

    def velocity(
        latents: npt.NDArray[np.float32],
        timestep: npt.NDArray[np.float32],
        conditioning: Conditioning,
    ) -> npt.NDArray[np.float32]:
        found = base.velocity(
            torch.from_numpy(latents).to(device),
            torch.from_numpy(timestep).to(device),
            conditioning.to(device),
        )
        result: npt.NDArray[np.float32] = found.float().cpu().numpy()
        return result

    asked = _asked(base)
    return denoise(
        velocity,
        starting_noise(SEED, (1, 8, 16, frames)),
        asked,
        _with_empty_twin(asked),
        settings=DenoiseSettings(inference_steps=INFERENCE_STEPS),
        seed=SEED,
    )


def _asked(base: Base) -> Conditioning:
    import torch

    from lofi_engine.models.family import Conditioning

    states, mask = base.encode_text([PROMPT])
    lyric_ids = torch.tensor([base.lyric_ids("")])
    # The reference gives an instrumental's one lyric token a mask of 0.
    lyric_mask = torch.zeros_like(lyric_ids)
    return Conditioning(states, mask, torch.zeros(1, base.speaker_width), lyric_ids, lyric_mask)


def _with_empty_twin(asked: Conditioning) -> Conditioning:
    """Add the unconditional row: zero text states and lyric ids under the same masks."""
    import torch

    from lofi_engine.models.family import Conditioning

    def twice(tensor: torch.Tensor) -> torch.Tensor:
        return torch.cat([tensor, tensor])

    def with_zeros(tensor: torch.Tensor) -> torch.Tensor:
        return torch.cat([tensor, torch.zeros_like(tensor)])

    return Conditioning(
        with_zeros(asked.text_states),
        twice(asked.text_mask),
        twice(asked.speaker),
        with_zeros(asked.lyric_ids),
        twice(asked.lyric_mask),
    )
