from __future__ import annotations

import torch
from torch import nn

from lofi_engine.onnx_graphs.matmuls import with_products


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    shared = nn.Linear(4, 4)
    inner = nn.Sequential(nn.ReLU(), shared, nn.Linear(4, 3, bias=False))
    return nn.Sequential(nn.Linear(5, 4), inner, nn.Conv1d(2, 2, 1), nn.Linear(3, 4), shared)


@torch.no_grad()
def test_a_twin_computes_the_same_from_the_same_memory():
    network = _network()
    twin = with_products(network)
    x = torch.randn(2, 2, 5)
    assert torch.allclose(twin(x), network(x), atol=1e-6)
    own = dict(network.named_parameters())
    for name, parameter in twin.named_parameters():
        assert parameter.data_ptr() == own[name].data_ptr()
    assert not any(isinstance(part, nn.Linear) for part in twin.modules())


def test_names_stay_and_weights_stand_the_way_a_product_reads_them():
    network = _network()
    twin = with_products(network)
    assert twin.state_dict().keys() == network.state_dict().keys()
    assert twin.state_dict()["3.weight"].shape == (3, 4)


def test_a_layer_used_twice_stays_one_layer():
    twin = with_products(_network())
    assert twin[4] is twin[1][1]


def test_the_module_itself_keeps_its_linear_layers():
    network = _network()
    kinds = [type(part) for part in network.modules()]
    with_products(network)
    assert [type(part) for part in network.modules()] == kinds
