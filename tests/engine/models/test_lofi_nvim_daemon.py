"""The exported bundle played as lofi.nvim's daemon plays it, call by call."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import uses_external_data

from lofi_engine.models.ace_step_v1.published import PUBLISHED, TEXT, TRANSFORMER
from lofi_engine.onnx_graphs.oldest import newest, oldest_onnxruntime
from tests.support import lofi_nvim_daemon as daemon
from tests.support.exported_tiny import exported_tiny

TINY_WIDTH = 64
PROMPT = "lofi hip hop, rainy night, mellow"

FLOAT, INT64 = "tensor(float)", "tensor(int64)"
FREE = None
INPUTS = {
    "text_encoder.onnx": [
        ("input_ids", INT64, [FREE, FREE]),
        ("attention_mask", INT64, [FREE, FREE]),
    ],
    "transformer_encoder.onnx": [
        ("encoder_text_hidden_states", FLOAT, [FREE, FREE, TINY_WIDTH]),
        ("text_attention_mask", INT64, [FREE, FREE]),
        ("speaker_embeds", FLOAT, [FREE, 512]),
        ("lyric_token_idx", INT64, [FREE, FREE]),
        ("lyric_mask", INT64, [FREE, FREE]),
    ],
    "transformer_decoder.onnx": [
        ("hidden_states", FLOAT, [FREE, 8, 16, FREE]),
        ("attention_mask", FLOAT, [FREE, FREE]),
        ("encoder_hidden_states", FLOAT, [FREE, FREE, TINY_WIDTH]),
        ("encoder_hidden_mask", FLOAT, [FREE, FREE]),
        ("timestep", FLOAT, [FREE]),
    ],
    "dcae_decoder.onnx": [("latents", FLOAT, [FREE, 8, 16, FREE])],
    "vocoder.onnx": [("mel_spectrogram", FLOAT, [FREE, 128, FREE])],
}
FIRST_OUTPUTS = {
    "text_encoder.onnx": [("last_hidden_state", FLOAT, 3)],
    "transformer_encoder.onnx": [
        ("encoder_hidden_states", FLOAT, 3),
        ("encoder_hidden_mask", FLOAT, 2),
    ],
    "transformer_decoder.onnx": [("sample", FLOAT, 4)],
    "dcae_decoder.onnx": [("mel_spectrogram", FLOAT, 4)],
    "vocoder.onnx": [("waveform", FLOAT, 3)],
}


@pytest.fixture(scope="module")
def folder():
    return exported_tiny()[0]


@pytest.fixture(scope="module")
def player(folder):
    return daemon.Daemon(folder, text_width=TINY_WIDTH, context_width=TINY_WIDTH)


def test_every_file_the_daemon_will_not_start_without_is_there(folder, tmp_path):
    assert all((folder / file).stat().st_size > 0 for file in daemon.REQUIRED_FILES)
    with pytest.raises(FileNotFoundError, match=r"text_encoder\.onnx, .*tokenizer\.json"):
        daemon.Daemon(tmp_path)


@pytest.mark.parametrize("file", daemon.GRAPHS)
def test_a_graph_takes_what_the_daemon_gives_in_its_order(player, file):
    found = [
        (value.name, value.type, [size if isinstance(size, int) else FREE for size in value.shape])
        for value in player.sessions[file].get_inputs()
    ]
    assert found == INPUTS[file]


@pytest.mark.parametrize("file", daemon.GRAPHS)
def test_a_graph_answers_first_what_the_daemon_reads(player, file):
    wanted = FIRST_OUTPUTS[file]
    found = [
        (value.name, value.type, len(value.shape))
        for value in player.sessions[file].get_outputs()[: len(wanted)]
    ]
    assert found == wanted


def test_only_the_decoder_keeps_its_weights_beside_it(folder):
    for file in daemon.GRAPHS:
        model = onnx.load(folder / file, load_external_data=False)
        places = {
            entry.value
            for tensor in model.graph.initializer
            if uses_external_data(tensor)
            for entry in tensor.external_data
            if entry.key == "location"
        }
        beside = (
            {"transformer_decoder_weights.bin"} if file == "transformer_decoder.onnx" else set()
        )
        assert places == beside, file


def test_the_runtime_in_the_daemon_is_new_enough(folder):
    import onnx_ir as ir

    releases = [oldest_onnxruntime(ir.load(folder / file)) for file in daemon.GRAPHS]
    assert newest([*releases, daemon.ONNX_RUNTIME]) == daemon.ONNX_RUNTIME


def test_the_published_base_has_the_widths_the_daemon_has_written_down():
    transformer, text = PUBLISHED[TRANSFORMER], PUBLISHED[TEXT]
    assert text["d_model"] == transformer["text_embedding_dim"] == daemon.TEXT_WIDTH
    assert transformer["inner_dim"] == daemon.CONTEXT_WIDTH
    assert transformer["speaker_embedding_dim"] == daemon.SPEAKER_WIDTH
    assert (transformer["in_channels"], transformer["max_height"]) == (
        daemon.CHANNELS,
        daemon.HEIGHT,
    )


def test_the_five_inputs_it_gives_the_decoder_mean_plain_guidance(player):
    session = player.sessions["transformer_decoder.onnx"]
    optional = [value.name for value in session.get_overridable_initializers()]
    assert "query_scale" in optional
    given = {
        "hidden_states": np.random.default_rng(0).standard_normal((1, 8, 16, 9), dtype=np.float32),
        "attention_mask": np.ones((1, 9), np.float32),
        "encoder_hidden_states": np.ones((1, 4, TINY_WIDTH), np.float32),
        "encoder_hidden_mask": np.ones((1, 4), np.float32),
        "timestep": np.array([500], np.float32),
    }
    (five,) = session.run(None, given)
    (plain,) = session.run(None, {**given, "query_scale": np.ones(1, np.float32)})
    (weak,) = session.run(None, {**given, "query_scale": np.full(1, 0.01, np.float32)})
    assert np.array_equal(five, plain)
    assert not np.allclose(five, weak)


def test_an_empty_prompt_is_a_token_at_least(player):
    states, mask = player.encode_text("")
    assert mask.tolist() == [[1]]
    assert np.isfinite(states).all()


def test_a_context_is_one_speaker_the_text_and_one_lyric_that_does_not_count(player):
    states, mask = player.encode_text(PROMPT)
    _, context_mask = player.encode_context(states, mask)
    assert context_mask.tolist() == [[1.0] * (1 + mask.shape[1]) + [0.0]]


@pytest.mark.parametrize(
    ("duration_sec", "frames"),
    [(3.0, 33), (11.8, 128), (14.0, 151)],
    ids=["a part of one chunk", "one chunk exactly", "one chunk and a part"],
)
def test_a_generation_ends_in_a_finite_waveform_of_its_length(player, duration_sec, frames):
    audio = player.generate(PROMPT, duration_sec=duration_sec, steps=2)
    assert audio.shape == (frames * daemon.SAMPLES_PER_FRAME,)
    assert audio.dtype == np.float32
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() <= 1
    assert audio.std() > 1e-4
