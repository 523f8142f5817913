from __future__ import annotations

from lofi_engine.models.ace_step_v1.tiny import build_tiny


def test_what_no_graph_holds_is_counted_by_what_it_is():
    base = build_tiny()
    graphs = base.graphs()
    counts = base.left_out(graphs)
    config = base.transformer.config
    layer = 4 * (config.inner_dim**2 + config.inner_dim)
    assert counts["cross_attn.add_* and to_add_out"] == config.num_layers * layer
    assert counts["projectors"] == sum(p.numel() for p in base.transformer.projectors.parameters())
    assert counts["DCAE encoder"] == sum(p.numel() for p in base.dcae.encoder.parameters())
    assert set(counts) - {"lengths of weight norm"} == {
        "cross_attn.add_* and to_add_out",
        "projectors",
        "DCAE encoder",
    }


def test_what_is_left_out_and_what_the_graphs_hold_are_the_whole_base():
    base = build_tiny()
    graphs = base.graphs()
    networks = (base.transformer, base.dcae, base.vocoder, base.text.network)
    whole = sum(p.numel() for network in networks for p in network.parameters())
    held = sum(p.numel() for spec in graphs for p in spec.module.parameters())
    assert held + sum(base.left_out(graphs).values()) == whole
