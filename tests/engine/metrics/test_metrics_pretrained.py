from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from lofi_engine.errors import MetricError
from lofi_engine.metrics.embeddings.clap import ClapEmbedding
from lofi_engine.metrics.pretrained import find_model
from tests.support.tiny_metric_models import save_tiny_clap, save_tiny_ctc

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def clap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clap(tmp_path_factory.mktemp("models") / "tiny-clap")


@pytest.fixture
def folder(clap_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clap_folder, tmp_path / "tiny-clap"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_folder_is_found_from_where_relative_ones_start(folder: Path) -> None:
    assert find_model("tiny-clap", "CLAP model", folder.parent).folder == folder


def test_a_missing_folder_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match=r"CLAP model: the folder .*nowhere is not there"):
        find_model("nowhere", "CLAP model", tmp_path)


def test_a_model_that_is_not_in_the_cache_names_the_command_that_fetches_it(cache: Path) -> None:
    with pytest.raises(MetricError) as refusal:
        find_model("hf:laion/clap-htsat-unfused", "CLAP model")
    assert refusal.value.message == (
        f"CLAP model: laion/clap-htsat-unfused is not in the Hub's cache ({cache})"
    )
    assert refusal.value.hint == "fetch it with: hf download laion/clap-htsat-unfused"
    with pytest.raises(MetricError, match=r"hf download me/clap --revision v2$"):
        find_model("hf:me/clap@v2", "CLAP model")


@pytest.mark.parametrize("location", ["hf:clap", "hf:me/clap/file.bin", "hf:", "hf:me/../clap"])
def test_a_location_that_names_no_repository_is_refused(cache: Path, location: str) -> None:
    with pytest.raises(MetricError, match=r"names no repository - write hf:owner/name"):
        find_model(location, "CLAP model")


def test_a_model_in_the_cache_is_loaded_and_called_by_its_commit(cache: Path, folder: Path) -> None:
    repository = cache / "models--me--clap"
    shutil.copytree(folder, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    assert ClapEmbedding("hf:me/clap").name == "clap:me/clap@01234567"
    assert find_model(f"hf:me/clap@{COMMIT}", "CLAP model").name == "me/clap@01234567"


def test_a_half_fetched_model_names_the_command_that_fetches_the_rest(
    cache: Path, folder: Path
) -> None:
    repository = cache / "models--me--clap"
    shutil.copytree(folder, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "snapshots" / COMMIT / "model.safetensors").unlink()
    with pytest.raises(MetricError, match=rf"hf download me/clap --revision {COMMIT}$"):
        find_model("hf:me/clap", "CLAP model")


def test_a_folder_is_called_by_a_hash_that_changes_with_its_weights(folder: Path) -> None:
    before = find_model(folder, "CLAP model").name
    weights = load_file(folder / "model.safetensors")
    weights["logit_scale_a"] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    after = find_model(folder, "CLAP model").name
    assert before.startswith("tiny-clap@")
    assert len(before) == len("tiny-clap@") + 8
    assert before != after


def test_a_pickle_is_refused_and_never_read(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(MetricError, match=r"has pytorch_model.bin but no model.safetensors; pick"):
        find_model(folder, "CLAP model")


def test_a_pickle_under_the_name_of_safetensors_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"PK\x03\x04archive/data.pkl")
    with pytest.raises(MetricError, match=r"a pickle under the name of a .safetensors file"):
        ClapEmbedding(folder)


def test_weights_cut_short_are_refused(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(MetricError, match=r"CLAP model: .*cut short"):
        ClapEmbedding(folder)


def test_weights_that_are_missing_are_refused_rather_than_drawn_at_random(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: each for name, each in weights.items() if not name.startswith("text_projection")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        MetricError, match=r"lacks the weights text_projection.linear1.bias and 3 more, which would"
    ):
        ClapEmbedding(folder)


def test_weights_of_another_size_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "text_projection.linear1.weight"
    weights[name] = weights[name][:5].clone()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MetricError, match=r"CLAP model: .*tiny-clap cannot be loaded: "):
        ClapEmbedding(folder)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_configuration_is_refused_by_its_path(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(MetricError, match=r"config.json: "):
        find_model(folder, "CLAP model")


def test_a_model_without_its_tokenizer_is_refused(folder: Path) -> None:
    for file in folder.glob("*token*"):
        file.unlink()
    with pytest.raises(MetricError, match=r"tiny-clap has a tokenizer without words - preproc"):
        ClapEmbedding(folder)


def test_a_model_without_its_feature_extractor_is_refused(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(MetricError, match=r"no feature extractor can be loaded from .*tiny-clap"):
        ClapEmbedding(folder)


def test_both_ways_of_laying_out_what_lies_beside_the_weights_are_read(folder: Path) -> None:
    from transformers import ClapProcessor

    before = ClapEmbedding(folder).embed_texts(["rain"])
    processor = ClapProcessor.from_pretrained(folder)
    (folder / "preprocessor_config.json").unlink()
    processor.save_pretrained(folder)
    assert (folder / "processor_config.json").is_file()
    assert (ClapEmbedding(folder).embed_texts(["rain"]) == before).all()


def test_code_that_lies_beside_a_model_is_not_run(folder: Path) -> None:
    written = folder / "ran"
    (folder / "evil.py").write_text(f"open({str(written)!r}, 'w')\nclass Evil: ...\n")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(
        config.replace("{", '{"auto_map": {"AutoModel": "evil.Evil"},', 1)
    )
    ClapEmbedding(folder)
    assert not written.exists()


def test_a_model_of_another_type_is_refused_with_its_type(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match=r"is a model of type 'wav2vec2' - name one of type 'cl"):
        ClapEmbedding(save_tiny_ctc(tmp_path / "ctc"))


def test_a_torchaudio_that_does_not_fit_torch_is_done_without(tmp_path: Path) -> None:
    package = tmp_path / "torchaudio"
    package.mkdir()
    (package / "__init__.py").write_text("raise OSError('libc10_cuda.so: cannot open')\n")
    code = (
        "from lofi_engine.metrics.pretrained import do_without_broken_torchaudio\n"
        "from transformers.utils import is_torchaudio_available\n"
        "assert is_torchaudio_available()\n"
        "do_without_broken_torchaudio()\n"
        "from transformers import ClapFeatureExtractor\n"
        "print(ClapFeatureExtractor().sampling_rate)"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "48000", done.stderr
