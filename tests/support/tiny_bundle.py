"""A bundle small enough to build in a test: real ONNX graphs that keep the contract, no training.

The graphs compute nothing musical, but everything is connected: the prompt, the lyrics, the seed
and the steps all change the sound. `make_tiny_bundle` takes about 0.1 s and leaves about 1 MB.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lofi_runtime.bundle import LYRIC_VOCABULARY, MANIFEST_NAME, OPTIONAL_GRAPHS, file_records

TEXT_WIDTH, SPEAKER_WIDTH, CONTEXT_WIDTH = 8, 4, 12
CHANNELS, HEIGHT, MEL_CHANNELS, HOP = 8, 16, 128, 512
LYRIC_IDS = 300
OPSET = 17
NAME = "lofi-tiny-fp32"

WEAKENED = {
    "text_encoder.onnx": ("found", [-1, 1, 1]),
    "transformer_encoder.onnx": ("lyric", [-1, 1, 1]),
    "transformer_decoder.onnx": ("raw", [-1, 1, 1, 1]),
}
"""What `query_scale` acts on: the value, and the shape in which the scale meets it."""
CROSSINGS = {"context": "cross_key_0", "count": "context_bias"}
"""What the decoder's two parts hand over, by the names it has in the whole one."""

Node = onnx.NodeProto
Shape = Sequence[int | str]


def make_tiny_bundle(
    folder: Path,
    *,
    lyrics: bool = True,
    manifest: bool = True,
    seed: int = 7,
    query_scale: bool = False,
    step: bool = False,
) -> Path:
    """Make `folder` a bundle and return it.

    Args:
        folder: made where it does not exist.
        lyrics: whether it has a lyric vocabulary.
        manifest: whether it has a manifest.
        seed: of the weights; name and release stay the same.
        query_scale: whether three graphs take that optional input.
        step: whether the decoder is there in two parts as well.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer_json()
    (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    if lyrics:
        (folder / LYRIC_VOCABULARY).write_text(tiny_lyric_vocabulary_json(), encoding="utf-8")
    weights = np.random.default_rng(seed)
    graphs = {
        "text_encoder.onnx": _text_encoder(weights, len(json.loads(tokenizer)["model"]["vocab"])),
        "transformer_encoder.onnx": _transformer_encoder(weights),
        "transformer_decoder.onnx": _transformer_decoder(weights),
        "dcae_decoder.onnx": _dcae_decoder(),
        "vocoder.onnx": _vocoder(weights),
    }
    if query_scale:
        for file, gained in WEAKENED.items():
            _take_query_scale(graphs[file], *gained)
    for file, model in graphs.items():
        _save(model, folder / file)
    if step:
        # Cut from the saved decoder, whose weights already are references.
        decoder = onnx.load(folder / "transformer_decoder.onnx", load_external_data=False)
        for file, model in zip(OPTIONAL_GRAPHS, _cut(decoder), strict=True):
            onnx.save_model(model, folder / file)
            graphs[file] = model
    records = {file: _interface(model) for file, model in graphs.items()}
    if manifest:
        write_manifest(folder, records)
    return folder


def write_manifest(folder: Path, graphs: dict[str, Any], **changes: Any) -> None:
    """Write a manifest of the folder's present files; `changes` replace its top-level keys."""
    recipe = "version: 1\nname: lofi-tiny\n"
    record = {
        "format": 1,
        "name": NAME,
        "version": "0.0.1",
        "family": "ace-step-v1",
        "base": {"model": "builtin:tiny", "revision": "", "identity": "test:tiny-graphs"},
        "variant": "fp32",
        "recipe": {"sha256": sha256(recipe.encode()).hexdigest(), "text": recipe},
        "files": file_records(folder),
        "graphs": graphs,
        "oldest_onnxruntime": "1.20",
        "opset": {"version": OPSET},
        "widths": {"transformer_decoder": {"32": CONTEXT_WIDTH * CHANNELS * HEIGHT}},
        "coverage": 1.0,
        "quality": {},
        "license": "apache-2.0",
        "attributions": [],
        "ledger": {"tracks": 0, "duration_sec": 0, "licenses": {}},
        "config": {
            "latent_channels": CHANNELS,
            "latent_height": HEIGHT,
            "text_width": TEXT_WIDTH,
            "speaker_width": SPEAKER_WIDTH,
            "context_width": CONTEXT_WIDTH,
            "mel_channels": MEL_CHANNELS,
            "mel_frames_per_latent": 8,
            "hop": HOP,
            "sample_rate": 44_100,
            "min_duration_sec": 1,
        },
    }
    text = json.dumps(record | changes, indent=1)
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")


def tiny_tokenizer_json() -> str:
    """Give a Unigram tokenizer shaped as UMT5's: <pad> 0, </s> 1, <unk> 2, </s> at the end."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["▁lofi", "▁rain", "▁piano", "▁beats", "▁night", "▁vinyl", ","]
    letters = ["▁", *"abcdefghijklmnopqrstuvwxyz0123456789"]
    pieces = [(piece, -1.0) for piece in words] + [(letter, -9.0) for letter in letters]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(special + pieces, unk_id=2, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    text: str = tokenizer.to_str()
    return text


def tiny_lyric_vocabulary_json() -> str:
    """Give a letter-by-letter lyric vocabulary with ACE-Step's ids for its special tokens."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    special = {0: "[STOP]", 1: "[UNK]", 2: "[SPACE]", 259: "[en]", 261: "[START]", 262: "[ja]"}
    special |= {270: "[verse]", 271: "[chorus]"}
    letters = dict(enumerate("abcdefghijklmnopqrstuvwxyz'.,?!-()", start=10))
    filler = {index: f"<{index}>" for index in range(LYRIC_IDS)}  # ids must have no holes
    vocabulary = {token: index for index, token in (filler | letters | special).items()}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in special.values()]
    )
    text: str = tokenizer.to_str()
    return text


def _text_encoder(weights: np.random.Generator, tokens: int) -> onnx.ModelProto:
    """Look every token up, and blank the padding."""
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["found"]),
        *_mask_3d("attention_mask", "mask"),
        helper.make_node("Mul", ["found", "mask"], ["hidden_states"]),
    ]
    return _model(
        nodes,
        [_int("input_ids", ["B", "S"]), _int("attention_mask", ["B", "S"])],
        [_float("hidden_states", ["B", "S", TEXT_WIDTH])],
        {"table": weights.normal(size=(tokens, TEXT_WIDTH)), "last_axis": np.array([2])},
    )


def _transformer_encoder(weights: np.random.Generator) -> onnx.ModelProto:
    """Project speaker, text and lyrics to one width and put them in a row."""
    nodes = [
        helper.make_node("MatMul", ["speaker_embeds", "speaker_weight"], ["speaker_flat"]),
        helper.make_node("Unsqueeze", ["speaker_flat", "first_axis"], ["speaker"]),
        helper.make_node("MatMul", ["encoder_text_hidden_states", "text_weight"], ["text"]),
        helper.make_node("Gather", ["lyric_table", "lyric_token_idx"], ["lyric"]),
        helper.make_node("Concat", ["speaker", "text", "lyric"], ["encoder_hidden_states"], axis=1),
        helper.make_node("Shape", ["lyric_mask"], ["batch"], start=0, end=1),
        helper.make_node("Concat", ["batch", "first_axis"], ["speaker_shape"], axis=0),
        helper.make_node(
            "ConstantOfShape",
            ["speaker_shape"],
            ["speaker_mask"],
            value=helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        ),
        helper.make_node(
            "Concat", ["speaker_mask", "text_attention_mask", "lyric_mask"], ["mask"], axis=1
        ),
        helper.make_node("Cast", ["mask"], ["encoder_hidden_mask"], to=TensorProto.FLOAT),
    ]
    return _model(
        nodes,
        [
            _float("encoder_text_hidden_states", ["B", "S", TEXT_WIDTH]),
            _int("text_attention_mask", ["B", "S"]),
            _float("speaker_embeds", ["B", SPEAKER_WIDTH]),
            _int("lyric_token_idx", ["B", "L"]),
            _int("lyric_mask", ["B", "L"]),
        ],
        [
            _float("encoder_hidden_states", ["B", "C", CONTEXT_WIDTH]),
            _float("encoder_hidden_mask", ["B", "C"]),
        ],
        {
            "speaker_weight": weights.normal(size=(SPEAKER_WIDTH, CONTEXT_WIDTH)),
            "text_weight": weights.normal(size=(TEXT_WIDTH, CONTEXT_WIDTH)),
            "lyric_table": weights.normal(size=(LYRIC_IDS, CONTEXT_WIDTH)),
            "first_axis": np.array([1]),
        },
    )


def _transformer_decoder(weights: np.random.Generator) -> onnx.ModelProto:
    """Pull latents towards a pattern that the masked mean of the context decides."""
    nodes = [
        helper.make_node("Unsqueeze", ["encoder_hidden_mask", "last_axis"], ["context_mask"]),
        helper.make_node("Mul", ["encoder_hidden_states", "context_mask"], ["context"]),
        helper.make_node("ReduceSum", ["context_mask", "time_axis"], ["count"], keepdims=0),
        helper.make_node("ReduceSum", ["context", "time_axis"], ["sum"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
        helper.make_node("MatMul", ["mean", "pattern_weight"], ["pattern_flat"]),
        helper.make_node("Tanh", ["pattern_flat"], ["pattern_bounded"]),
        helper.make_node("Reshape", ["pattern_bounded", "pattern_shape"], ["pattern"]),
        helper.make_node("Sub", ["hidden_states", "pattern"], ["distance"]),
        helper.make_node("Mul", ["timestep", "timestep_gain"], ["sigma"]),
        helper.make_node("Add", ["sigma", "one"], ["divisor_flat"]),
        helper.make_node("Reshape", ["divisor_flat", "row_shape"], ["divisor"]),
        helper.make_node("Div", ["distance", "divisor"], ["raw"]),
        helper.make_node("Unsqueeze", ["attention_mask", "frame_axes"], ["frame_mask"]),
        helper.make_node("Mul", ["raw", "frame_mask"], ["sample"]),
    ]
    return _model(
        nodes,
        [
            _float("hidden_states", ["B", CHANNELS, HEIGHT, "T"]),
            _float("attention_mask", ["B", "T"]),
            _float("encoder_hidden_states", ["B", "C", CONTEXT_WIDTH]),
            _float("encoder_hidden_mask", ["B", "C"]),
            _float("timestep", ["R"]),
        ],
        [_float("sample", ["B", CHANNELS, HEIGHT, "T"])],
        {
            "pattern_weight": weights.normal(size=(CONTEXT_WIDTH, CHANNELS * HEIGHT)),
            "pattern_shape": np.array([-1, CHANNELS, HEIGHT, 1]),
            "row_shape": np.array([-1, 1, 1, 1]),
            "timestep_gain": np.array(0.001, np.float32),
            "one": np.array(1.0, np.float32),
            "last_axis": np.array([2]),
            "time_axis": np.array([1]),
            "frame_axes": np.array([1, 2]),
        },
    )


def _take_query_scale(model: onnx.ModelProto, value: str, shape: list[int]) -> None:
    """Multiply `value` by (1 + query_scale) / 2: by 1, unless a caller says otherwise."""
    graph = model.graph
    readers = [node for node in graph.node if value in node.input]
    at = list(graph.node).index(readers[0])
    for node in readers:
        node.input[:] = [f"{value}_gained" if name == value else name for name in node.input]
    gain = [
        helper.make_node("Reshape", ["query_scale", "gain_shape"], ["scale"]),
        helper.make_node("Add", ["scale", "gain_one"], ["doubled"]),
        helper.make_node("Mul", ["doubled", "gain_half"], ["gain"]),
        helper.make_node("Mul", [value, "gain"], [f"{value}_gained"]),
    ]
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*rest[:at], *gain, *rest[at:]])
    graph.input.append(_float("query_scale", ["Q"]))
    for name, array in {
        "query_scale": np.ones(1, np.float32),
        "gain_one": np.array(1.0, np.float32),
        "gain_half": np.array(0.5, np.float32),
        "gain_shape": np.array(shape),
    }.items():
        graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.checker.check_model(model)


def _cut(decoder: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Cut the decoder at `CROSSINGS`: what makes them, and what reads them."""
    context, step = onnx.ModelProto(), onnx.ModelProto()
    for part in (context, step):
        part.CopyFrom(decoder)
        for node in part.graph.node:
            node.input[:] = [CROSSINGS.get(name, name) for name in node.input]
            node.output[:] = [CROSSINGS.get(name, name) for name in node.output]
    makers = 3  # the decoder's nodes begin with the context's
    handed = [
        _float("cross_key_0", ["B", "C", CONTEXT_WIDTH]),
        _float("context_bias", ["B", 1]),
    ]
    inputs = {value.name: value for value in decoder.graph.input}
    whole = ("encoder_hidden_states", "encoder_hidden_mask")
    _become(context.graph, slice(0, makers), [inputs[name] for name in whole], handed)
    own = [value for name, value in inputs.items() if name not in (*whole, "query_scale")]
    optional = [inputs["query_scale"]] if "query_scale" in inputs else []
    _become(step.graph, slice(makers, None), [*own, *handed, *optional], list(step.graph.output))
    return context, step


def _become(
    graph: onnx.GraphProto,
    nodes: slice,
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
) -> None:
    kept = list(graph.node)[nodes]
    read = {name for node in kept for name in node.input}
    weights = [weight for weight in graph.initializer if weight.name in read]
    for field, values in (
        (graph.node, kept),
        (graph.initializer, weights),
        (graph.input, inputs),
        (graph.output, outputs),
    ):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        del field[:]
        field.extend(copies)


def _dcae_decoder() -> onnx.ModelProto:
    """Spread 8 x 16 latents over 2 x 128 mel bands, 8 frames for each."""
    nodes = [
        helper.make_node("Reshape", ["latents", "halves"], ["stereo"]),
        helper.make_node("Resize", ["stereo", "", "scales"], ["mel_spectrogram"], mode="nearest"),
    ]
    return _model(
        nodes,
        [_float("latents", ["B", CHANNELS, HEIGHT, "T"])],
        [_float("mel_spectrogram", ["B", 2, MEL_CHANNELS, "F"])],
        {
            "halves": np.array([0, 2, 64, -1]),
            "scales": np.array([1.0, 1.0, 2.0, 8.0], np.float32),
        },
    )


def _vocoder(weights: np.random.Generator) -> onnx.ModelProto:
    """Sound every mel band as a short windowed tone."""
    samples = np.arange(2 * HOP)
    pitches = 60.0 * 2.0 ** (np.arange(MEL_CHANNELS) / 16.0) / 44_100
    phases = weights.uniform(0.0, 2.0 * np.pi, size=(MEL_CHANNELS, 1))
    tones = np.sin(2.0 * np.pi * pitches[:, None] * samples + phases) * np.hanning(2 * HOP)
    nodes = [
        helper.make_node(
            "ConvTranspose",
            ["mel", "tones"],
            ["loud"],
            strides=[HOP],
            pads=[HOP // 2, HOP // 2],
        ),
        helper.make_node("Tanh", ["loud"], ["waveform"]),
    ]
    return _model(
        nodes,
        [_float("mel", ["B", MEL_CHANNELS, "F"])],
        [_float("waveform", ["B", 1, "N"])],
        {"tones": 0.02 * tones[:, None, :]},
    )


def _mask_3d(mask: str, result: str) -> list[Node]:
    """Turn an int64 (B,S) mask into a float32 (B,S,1) one; needs the initializer `last_axis`."""
    return [
        helper.make_node("Cast", [mask], [f"{result}_flat"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", [f"{result}_flat", "last_axis"], [result]),
    ]


def _float(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _int(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT64, shape)


def _model(
    nodes: list[Node],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: dict[str, np.ndarray],
) -> onnx.ModelProto:
    initializers = [
        numpy_helper.from_array(
            array if array.dtype in (np.int64, np.float32) else array.astype(np.float32), name
        )
        for name, array in weights.items()
    ]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _save(model: onnx.ModelProto, path: Path) -> None:
    """Save a graph; the decoder's weights go beside it, as the contract says."""
    external = path.name == "transformer_decoder.onnx"
    location = "transformer_decoder_weights.bin"
    if external:  # onnx appends to what is there
        path.with_name(location).unlink(missing_ok=True)
    onnx.save_model(
        model,
        path,
        save_as_external_data=external,
        location=location if external else None,
        size_threshold=256,
    )


def _interface(model: onnx.ModelProto) -> dict[str, Any]:
    """Describe a graph as a manifest does."""

    def described(value: onnx.ValueInfoProto) -> dict[str, Any]:
        tensor = value.type.tensor_type
        dtype = "int64" if tensor.elem_type == TensorProto.INT64 else "float32"
        shape = [axis.dim_param or axis.dim_value for axis in tensor.shape.dim]
        return {"name": value.name, "dtype": dtype, "shape": shape}

    defaults = {weight.name: weight for weight in model.graph.initializer}
    required = [value for value in model.graph.input if value.name not in defaults]
    optional = [
        {
            "name": value.name,
            "dtype": described(value)["dtype"],
            "default": numpy_helper.to_array(defaults[value.name]).tolist(),
        }
        for value in model.graph.input
        if value.name in defaults
    ]
    record: dict[str, Any] = {
        "inputs": [described(value) for value in required],
        "outputs": [described(value) for value in model.graph.output],
    }
    return record | ({"optional_inputs": optional} if optional else {})
