"""The DCAE over a bundle's sessions."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lofi_runtime.bundle import Bundle
from lofi_runtime.dcae import SessionDcae
from lofi_runtime.pipeline.decode import Overlap, decode_latents
from lofi_runtime.sessions import Sessions
from tests.support.tiny_bundle import make_tiny_bundle


def sessions_of(folder):
    return Sessions(Bundle(folder, None, verified=False), threads=1)


def latents(frames):
    return np.random.default_rng(frames).normal(size=(1, 8, 16, frames)).astype(np.float32)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A bundle whose DCAE takes latents alone."""
    return make_tiny_bundle(tmp_path_factory.mktemp("plain"))


def float_input(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def attention_nodes(index, after):
    """Average one attention's line over the frames that count, here and in the other pieces."""
    own = f"own_{index}"
    return [
        helper.make_node("Gather", ["own_frames", f"index_{index}"], [own], axis=0),
        helper.make_node("Slice", [own, "zero", "one", "zero"], [f"start_{index}"]),
        helper.make_node("Slice", [own, "one", "two", "zero"], [f"end_{index}"]),
        helper.make_node(
            "Slice",
            [f"line_{index}", f"start_{index}", f"end_{index}", "last"],
            [f"seen_{index}"],
        ),
        helper.make_node("ReduceSum", [f"seen_{index}", "last"], [f"total_{index}"], keepdims=1),
        helper.make_node("Mul", [f"seen_{index}", "nought"], [f"none_{index}"]),
        helper.make_node("Add", [f"none_{index}", "unit"], [f"each_{index}"]),
        helper.make_node("ReduceSum", [f"each_{index}", "last"], [f"count_{index}"], keepdims=1),
        helper.make_node(
            "Concat", [f"total_{index}", f"count_{index}"], [f"inside_{index}"], axis=2
        ),
        helper.make_node("Gather", ["others", f"index_{index}"], [f"told_{index}"], axis=1),
        helper.make_node("ReduceSum", [f"told_{index}", "zero"], [f"more_{index}"], keepdims=0),
        helper.make_node("Add", [f"inside_{index}", f"more_{index}"], [f"all_{index}"]),
        helper.make_node(
            "Split", [f"all_{index}", "halves"], [f"top_{index}", f"bottom_{index}"], axis=2
        ),
        helper.make_node("Div", [f"top_{index}", f"bottom_{index}"], [f"mean_{index}"]),
        helper.make_node("Slice", ["kept_frames", *KEPT[index], "zero"], [f"kept_{index}"]),
        helper.make_node(
            "Slice", [f"line_{index}", "zero", f"kept_{index}", "last"], [f"left_{index}"]
        ),
        helper.make_node("Add", [f"left_{index}", f"mean_{index}"], [f"plus_{index}"]),
        helper.make_node("Tanh", [f"plus_{index}"], [after]),
    ]


def averaging_dcae(folder, *, left_out=()):
    """Write a DCAE whose two attentions give every kept frame the average of all they know of.

    The latents' first channel and row is all it looks at. Sums are (1, 1, 2, 1): of values, and of
    frames.
    """
    nodes = [helper.make_node("Slice", ["latents", "zeros2", "ones2", "axes2"], ["line_0"])]
    nodes += attention_nodes(0, "line_1") + attention_nodes(1, "mel_line")
    nodes.append(
        helper.make_node("Resize", ["mel_line", "", "scales"], ["mel_spectrogram"], mode="nearest")
    )
    big = 2**31 - 1
    constants = {
        "zeros2": [0, 0],
        "ones2": [1, 1],
        "axes2": [1, 2],
        "zero": [0],
        "one": [1],
        "two": [2],
        "last": [3],
        "halves": [1, 1],
        "index_0": 0,
        "index_1": 1,
    }
    weights = [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in constants.items()]
    weights += [
        numpy_helper.from_array(np.array(v, np.float32), k)
        for k, v in {"nought": 0.0, "unit": 1.0, "scales": [1, 2, 128, 8]}.items()
    ]
    optional = {
        "own_frames": np.array([[0, big], [0, big]]),
        "others": np.zeros((0, 2, 1, 2, 1), np.float32),
        "kept_frames": np.array([big, big]),
    }
    weights += [numpy_helper.from_array(value, name) for name, value in optional.items()]
    inputs = [
        float_input("latents", [1, 8, 16, "frames"]),
        helper.make_tensor_value_info("own_frames", TensorProto.INT64, [2, 2]),
        float_input("others", ["pieces", 2, 1, 2, 1]),
        helper.make_tensor_value_info("kept_frames", TensorProto.INT64, [2]),
    ]
    outputs = [float_input(name, None) for name in ("mel_spectrogram", "inside_0", "inside_1")]
    kept = [value for value in inputs if value.name not in left_out]
    graph = helper.make_graph(nodes, "averaging", kept, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "dcae_decoder.onnx")
    return folder


KEPT = {0: ("zero", "one"), 1: ("one", "two")}


def silent(mel):
    return np.zeros(512 * mel.shape[-1], np.float32)


def log_mel(folder, z, overlap):
    heard = []

    def listen(mel):
        heard.append(mel)
        return silent(mel)

    decode_latents(
        z,
        SessionDcae(sessions_of(folder)),
        listen,
        dcae_overlap=overlap,
        vocoder_overlap=Overlap(10**6, 0, 0),
    )
    return np.stack(heard)


WHOLE, PIECES = Overlap(10**6, 0, 0), Overlap(16, 2, 1)


def test_a_graph_that_takes_latents_alone_is_decoded_without_sums(plain):
    sessions = sessions_of(plain)
    dcae = SessionDcae(sessions)
    assert dcae.attentions == 0
    z = latents(20)
    (expected,) = sessions.run("dcae_decoder.onnx", z)
    np.testing.assert_array_equal(dcae.decode(z, ()), expected)
    assert log_mel(plain, latents(50), PIECES).shape == (2, 1, 128, 400)


def test_every_attention_hears_of_the_whole_track(tmp_path):
    folder = averaging_dcae(tmp_path)
    dcae = SessionDcae(sessions_of(folder))
    assert dcae.attentions == 2
    z = latents(90) + np.linspace(0, 3, 90, dtype=np.float32)
    np.testing.assert_allclose(
        log_mel(folder, z, PIECES), log_mel(folder, z, WHOLE), rtol=0, atol=1e-6
    )


def test_sums_are_those_of_the_frames_asked_for(tmp_path):
    dcae = SessionDcae(sessions_of(averaging_dcae(tmp_path)))
    z = latents(10)
    first = dcae.count(z, (2, 7), ())
    np.testing.assert_allclose(first.reshape(-1), [z[0, 0, 0, 2:7].sum(), 5], rtol=1e-5)
    # The second attention sees what the first makes of all it knows, here 20 frames of mean 1.
    known = np.array([20, 20], np.float32).reshape(1, 1, 2, 1)
    second = dcae.count(z, (0, 4), (known,))
    expected = np.tanh(z[0, 0, 0] + 1)[:4].sum()
    np.testing.assert_allclose(second.reshape(-1), [expected, 4], rtol=1e-5)


def test_a_graph_that_offers_only_some_of_it_is_decoded_without_sums(tmp_path):
    folder = averaging_dcae(tmp_path, left_out=("kept_frames",))
    assert SessionDcae(sessions_of(folder)).attentions == 0
