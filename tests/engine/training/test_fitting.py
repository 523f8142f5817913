import pytest
import torch

from lofi_engine.training.fitting import GB, SPARE_BYTES, place_of, settle


@pytest.mark.parametrize(
    ("free_gb", "found"),
    [
        (None, ("cpu", "fp32")),
        (24, ("cuda", "fp32")),
        (16.2, ("cuda", "fp32")),
        (16.1, ("cuda", "bf16")),
        (12, ("cuda", "bf16")),
        (9.5, ("cpu", "fp32")),
        (0, ("cpu", "fp32")),
    ],
)
def test_the_full_size_transformer_is_judged_in_full_where_there_is_room(free_gb, found):
    free = None if free_gb is None else int(free_gb * GB)
    assert place_of(int(13.2 * GB), free) == found


def small_card(monkeypatch, free_bytes):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free_bytes, 8 * GB))


def test_a_card_without_room_is_named_and_the_cpu_taken(monkeypatch):
    small_card(monkeypatch, GB)
    layer, said = torch.nn.Linear(2, 3), []
    assert settle(layer, said.append) == "fp32"
    assert (layer.weight.device.type, layer.weight.dtype) == ("cpu", torch.float32)
    assert said == [
        "judged on the CPU, which takes far longer: float32 needs 3.0 GB of the accelerator's "
        "memory, 1.0 GB are free"
    ]


def test_half_precision_is_said(monkeypatch):
    layer, said, moved = torch.nn.Linear(1000, 100), [], []
    small_card(monkeypatch, SPARE_BYTES + 300_000)
    monkeypatch.setattr(layer, "to", lambda *to: moved.append(to))
    assert settle(layer, said.append) == "bf16"
    assert moved == [(torch.device("cuda"), torch.bfloat16)]
    assert said[0].startswith("judged in bf16: float32 needs 3.0 GB")


def test_without_an_accelerator_nothing_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = []
    assert settle(torch.nn.Linear(2, 3), said.append) == "fp32"
    assert said == []
