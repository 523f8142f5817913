"""Weights of a small network on disk: whole, sharded, in every precision, and damaged."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lofi_engine.errors import StageError
from lofi_engine.models import weights as room
from lofi_engine.models.weight_files import read_headers, weight_files
from lofi_engine.models.weights import check_network, read_weights

NAME = "model.safetensors"
INDEX = f"{NAME}.index.json"
TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Net(nn.Module):
    """Parameters of several ranks, and a buffer."""

    window: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.gain = nn.Parameter(torch.ones(()))
        self.empty = nn.Parameter(torch.zeros(0, 4))
        self.register_buffer("window", torch.hann_window(8))
        self.register_buffer("steps", torch.tensor(3))


def weights(seed=1):
    torch.manual_seed(seed)
    return {key: value.clone() for key, value in Net().state_dict().items()}


def write(folder: Path, tensors) -> Path:
    save_file(tensors, folder / NAME)
    return folder


def write_shards(folder: Path, tensors, count=2) -> Path:
    names = sorted(tensors)
    shards = {
        f"model-{number + 1:05}-of-{count:05}.safetensors": names[number::count]
        for number in range(count)
    }
    for shard, held in shards.items():
        save_file({name: tensors[name] for name in held}, folder / shard)
    index = {
        "metadata": {"total_size": sum(part.nbytes for part in tensors.values())},
        "weight_map": {name: shard for shard, held in shards.items() for name in held},
    }
    (folder / INDEX).write_text(json.dumps(index))
    return folder


def load(place: Path, **options) -> Net:
    return check_network(Net, place, NAME, **options).load()


def refusal(place: Path, **options) -> str:
    with pytest.raises(StageError) as caught:
        load(place, **options)
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("writer", [write, write_shards])
@pytest.mark.parametrize("wanted", TYPES)
@pytest.mark.parametrize("stored", TYPES)
def test_every_precision_is_read_as_every_other(tmp_path, writer, stored, wanted):
    tensors = {
        key: part.to(TYPES[stored]) if part.is_floating_point() else part
        for key, part in weights().items()
    }
    found = load(writer(tmp_path, tensors), precision=wanted).state_dict()
    for key, part in tensors.items():
        buffer = key in ("window", "steps")
        dtype = weights()[key].dtype if buffer else TYPES[wanted]
        assert found[key].dtype == dtype
        assert torch.equal(found[key], part.to(dtype)), key


def test_tensors_larger_than_the_window_are_read_in_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "WINDOW_BYTES", 50)
    opened = []
    open_weights = room.open_weights
    monkeypatch.setattr(
        room, "open_weights", lambda file: opened.append(file) or open_weights(file)
    )
    tensors = weights()
    found = load(write(tmp_path, tensors)).state_dict()
    assert all(torch.equal(found[key], part) for key, part in tensors.items())
    assert len(opened) > 9  # three layers of six rows of 24 bytes, two rows at a time


def test_the_network_is_ready_to_answer_and_can_be_trained(tmp_path):
    network = load(write(tmp_path, weights()))
    assert not network.training
    assert all(part.requires_grad for part in network.parameters())
    assert not any(part.is_meta for part in network.state_dict().values())


def test_the_files_are_not_used_once_loaded(tmp_path):
    tensors = weights()
    network = load(write(tmp_path, tensors))
    (tmp_path / NAME).write_bytes(b"\xff" * (tmp_path / NAME).stat().st_size)
    assert torch.equal(network.layers[0].weight, tensors["layers.0.weight"])


def test_a_place_may_be_a_folder_a_file_or_an_index(tmp_path):
    whole, sharded = tmp_path / "whole", tmp_path / "sharded"
    whole.mkdir()
    sharded.mkdir()
    write(whole, weights())
    write_shards(sharded, weights())
    shards = [sharded / f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    assert weight_files(whole, NAME) == weight_files(whole / NAME, "other") == (whole / NAME,)
    for place in (sharded, sharded / NAME, sharded / INDEX):
        assert weight_files(place, NAME) == (sharded / INDEX, *shards)
        assert len(load(place).layers) == 3


def test_headers_are_read_without_the_data(tmp_path):
    write_shards(tmp_path, weights())
    found = read_headers(weight_files(tmp_path, NAME))
    assert found["layers.1.weight"].shape == (6, 6)
    assert found["layers.1.weight"].dtype == "F32"
    assert {tensor.file.name for tensor in found.values()} == {
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    }


def test_tied_names_share_one_tensor_and_ignored_ones_are_not_read(tmp_path):
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)

    ones = torch.ones(2, 2)
    names = {"tied": ("a.weight", "b.weight"), "ignored": ("decoder.",)}
    for held in (["a.weight"], ["b.weight"], ["a.weight", "b.weight"]):
        tensors = {name: ones.clone() for name in held}
        save_file({**tensors, "decoder.x": torch.full((1,), torch.nan)}, tmp_path / NAME)
        found = check_network(Tied, tmp_path, NAME, **names).load()
        assert torch.equal(found.a.weight, ones)
        assert found.a.weight.data_ptr() == found.b.weight.data_ptr()
    save_file({"decoder.x": ones}, tmp_path / NAME)
    with pytest.raises(StageError, match=r"1 missing: a\.weight -"):
        check_network(Tied, tmp_path, NAME, **names)


@pytest.mark.parametrize("writer", [write, write_shards])
def test_everything_that_does_not_fit_is_listed_before_any_data_is_read(
    tmp_path, monkeypatch, writer
):
    tensors = weights()
    for number in range(3):
        del tensors[f"layers.{number}.bias"]
        tensors[f"heads.{number}.weight"] = torch.zeros(1)
    tensors["layers.1.weight"] = torch.zeros(6, 5)
    writer(tmp_path, tensors)
    monkeypatch.setattr(room, "_Window", None)
    source = tmp_path / (NAME if writer is write else INDEX)
    assert refusal(tmp_path) == (
        f"{source}: its tensors are not this network's: 3 missing: layers.{{0-2}}.bias (3); "
        "3 unknown: heads.{0-2}.weight (3); 1 of shape (6, 5), not (6, 6): layers.1.weight"
        " - are these the weights that belong to config.json?"
    )


def test_types_that_are_no_weights_are_refused(tmp_path):
    tensors = weights()
    for number in range(3):
        tensors[f"layers.{number}.weight"] = tensors[f"layers.{number}.weight"].to(torch.int8)
    write(tmp_path, tensors)
    assert refusal(tmp_path) == (
        f"{tmp_path / NAME}: layers.{{0-2}}.weight (3) is I8 - weights are read as F32, F16, BF16"
    )


@pytest.mark.parametrize("stored", TYPES)
@pytest.mark.parametrize("wanted", TYPES)
def test_values_that_are_not_finite_are_counted_and_named(tmp_path, monkeypatch, stored, wanted):
    monkeypatch.setattr(room, "WINDOW_BYTES", 50)  # they lie in several pieces
    tensors = {
        key: part.to(TYPES[stored]) if part.is_floating_point() else part
        for key, part in weights().items()
    }
    tensors["layers.1.weight"][0, 0] = torch.nan
    tensors["layers.1.weight"][5, 3] = torch.nan
    tensors["layers.1.weight"][3, 1] = -torch.inf
    write(tmp_path, tensors)
    assert refusal(tmp_path, precision=wanted) == (
        f"{tmp_path / NAME}: layers.1.weight holds 2 NaN and 1 infinite values of 36"
        " - fetch it again, or make it again"
    )


def test_values_too_large_for_half_precision_are_named(tmp_path):
    tensors = weights()
    tensors["layers.0.bias"][:2] = 70_000.0
    write(tmp_path, tensors)
    assert refusal(tmp_path, precision="fp16") == (
        f"{tmp_path / NAME}: 2 values of 6 in layers.0.bias are too large for fp16"
        " - load it as bf16 or fp32"
    )
    assert float(load(tmp_path, precision="bf16").layers[0].bias[0].detach()) == 70_144.0


def test_an_unknown_precision_is_refused(tmp_path):
    said = refusal(tmp_path, precision="int8")
    assert said == "precision 'int8' is unknown - use one of fp32, fp16, bf16"


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda data: data[:-100], "it is cut short, or longer than its header says"),
        (lambda data: data + b"more", "it is cut short, or longer than its header says"),
        (lambda data: data[:50], "it is cut short within its header"),
        (lambda data: b"", "it is cut short within its header"),
        (lambda data: data[:8] + b"}" + data[9:], "its header is damaged (invalid JSON in header"),
        (lambda data: b"\xff" * 100, "its header is damaged (header too large)"),
        (
            lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
            "a Git LFS pointer, not the weights it stands for",
        ),
        (
            lambda data: pickle.dumps({"a": [1.0] * 9}),
            "a pickle under the name of a .safetensors file, which is refused: it can run any code",
        ),
    ],
)
def test_a_damaged_file_or_shard_is_named_with_what_to_do(tmp_path, damage, text):
    write_shards(tmp_path, weights())
    shard = tmp_path / "model-00002-of-00002.safetensors"
    shard.write_bytes(damage(shard.read_bytes()))
    said = refusal(tmp_path)
    assert said.startswith(f"{shard}: {text}")
    assert said.endswith(" - fetch it again, or make it again")


def test_a_checkpoint_torch_saved_is_refused_under_any_name(tmp_path):
    torch.save(weights(), tmp_path / "pytorch_model.bin")
    pickled = re.escape(f"{tmp_path}: has pytorch_model.bin but no {NAME}; pickles are not loaded")
    assert re.match(pickled, refusal(tmp_path))
    direct = refusal(tmp_path / "pytorch_model.bin")
    assert direct.startswith(f"{tmp_path / 'pytorch_model.bin'}: a pickle, not .safetensors - ")
    (tmp_path / "pytorch_model.bin").rename(tmp_path / NAME)
    assert "a pickle under the name of a .safetensors file" in refusal(tmp_path)


def test_missing_weights_are_named(tmp_path):
    assert refusal(tmp_path).startswith(f"{tmp_path / NAME}: there is no such file")


def test_a_shard_the_index_names_but_is_not_there_is_named(tmp_path):
    write_shards(tmp_path, weights())
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    assert refusal(tmp_path) == (
        f"{tmp_path / INDEX}: names model-00002-of-00002.safetensors, which is not there"
        " - fetch it again, or make it again"
    )


def edit_index(folder: Path, **changes) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"] |= changes
    kept = {key: shard for key, shard in index["weight_map"].items() if shard is not None}
    (folder / INDEX).write_text(json.dumps({"weight_map": kept}))


def test_an_index_that_names_keys_its_shards_do_not_hold_is_refused(tmp_path):
    write_shards(tmp_path, weights())
    first = "model-00001-of-00002.safetensors"
    edit_index(tmp_path, **{f"heads.{number}": first for number in range(3)})
    assert refusal(tmp_path) == (
        f"{tmp_path / INDEX}: {first} does not hold heads.{{0-2}} (3)"
        " - fetch the index and its shards again"
    )


def test_an_index_that_places_a_key_in_the_wrong_shard_is_refused(tmp_path):
    write_shards(tmp_path, weights())
    edit_index(tmp_path, gain="model-00001-of-00002.safetensors")
    edit_index(tmp_path, empty="model-00002-of-00002.safetensors")
    said = refusal(tmp_path)
    assert "does not hold empty" in said or "does not hold gain" in said


def test_a_key_the_index_leaves_out_is_refused(tmp_path):
    write_shards(tmp_path, weights())
    edit_index(tmp_path, **{"layers.0.bias": None, "layers.1.bias": None})
    assert "does not name layers.{0-1}.bias (2), which its shards hold" in refusal(tmp_path)


def test_a_key_in_two_shards_is_refused(tmp_path):
    tensors = weights()
    write_shards(tmp_path, tensors)
    shard = tmp_path / "model-00002-of-00002.safetensors"
    save_file(tensors, shard)
    assert "holds " in refusal(tmp_path)
    assert "and so does model-00001-of-00002.safetensors" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "not an index with a weight_map"),
        ("[]", "not an index with a weight_map"),
        ('{"weight_map": {}}', "its weight_map names no tensors"),
        (
            '{"weight_map": {"a": "../a.pt"}}',
            "'../a.pt' is not a file in the same folder",
        ),
        ('{"weight_map": {"a": 1}}', "'1' is not a file in the same folder"),
        ('{"weight_map": {"a": "model.bin"}}', "names model.bin, which is not .safetensors"),
    ],
)
def test_a_damaged_index_is_named(tmp_path, content, text):
    (tmp_path / INDEX).write_text(content)
    assert refusal(tmp_path).startswith(f"{tmp_path / INDEX}: {text}")


def test_weights_of_no_known_network_are_read_all(tmp_path):
    tensors = {"a": torch.randn(3).half(), "b": torch.randn(2, 2).bfloat16()}
    found = read_weights(write(tmp_path, tensors), NAME)
    assert {key: part.dtype for key, part in found.items()} == dict.fromkeys("ab", torch.float32)
    assert all(torch.equal(found[key], part.float()) for key, part in tensors.items())


MEASURE = """
import sys
from pathlib import Path
import torch
from torch import nn
from lofi_engine.models.weights import check_network

class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50_000, 512)
        self.layers = nn.ModuleList(nn.Linear(2048, 2048) for _ in range(9))

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

torch.set_num_threads(1)
with torch.device("meta"):
    Wide()  # the first brings more of torch into memory
before = status("VmRSS")
network = check_network(Wide, Path(sys.argv[1]), "", precision=sys.argv[2]).load()
print(sum(part.nbytes for part in network.parameters()), status("VmHWM") - before)
"""
SLACK_BYTES = 16 * 2**20
"""One window of mapped pages, whatever the size of the weights."""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's own figures")
@pytest.mark.parametrize(
    ("stored", "wanted"),
    [(torch.bfloat16, "fp32"), (torch.bfloat16, "bf16"), (torch.float32, "fp16")],
)
def test_the_peak_of_memory_is_the_weights_and_a_tenth(tmp_path, stored, wanted):
    place = tmp_path / "wide.safetensors"
    tensors = {"table.weight": torch.ones(50_000, 512, dtype=stored)}
    for number in range(9):
        tensors[f"layers.{number}.weight"] = torch.ones(2048, 2048, dtype=stored)
        tensors[f"layers.{number}.bias"] = torch.ones(2048, dtype=stored)
    save_file(tensors, place)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, place, wanted], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    taken, peak = map(int, done.stdout.split())
    count = sum(part.numel() for part in tensors.values())
    assert taken == count * TYPES[wanted].itemsize
    assert taken <= peak <= 1.1 * taken + SLACK_BYTES
