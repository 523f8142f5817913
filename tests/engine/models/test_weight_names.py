from __future__ import annotations

from lofi_engine.models.weight_names import describe_misfit, summarize_names


def layers(*numbers, ends=("attn.to_q.weight",)):
    return [f"transformer_blocks.{number}.{end}" for number in numbers for end in ends]


def test_a_run_of_layers_is_written_once_with_their_count():
    assert summarize_names(layers(*range(24))) == "transformer_blocks.{0-23}.attn.to_q.weight (24)"


def test_gaps_in_a_run_are_shown():
    assert summarize_names(layers(0, 1, 2, 5, 7, 8)) == (
        "transformer_blocks.{0-2,5,7-8}.attn.to_q.weight (6)"
    )


def test_layers_that_lack_different_things_are_not_mixed_up():
    names = [*layers(0, 1, ends=("a.weight", "a.bias")), *layers(2, ends=("a.bias",))]
    assert summarize_names(names) == (
        "transformer_blocks.2.a.bias, transformer_blocks.{0-1}.a.{bias,weight} (4)"
    ) or summarize_names(names) == (
        "transformer_blocks.{0-1}.a.weight (2), transformer_blocks.{0-2}.a.bias (3)"
    )


def test_every_name_is_listed_exactly_once():
    names = {
        *layers(*range(3), ends=("a.0.x", "a.1.x", "b.x")),
        *layers(3, 5, ends=("a.1.x", "c")),
        "speaker.weight",
        "10.weight",
        "9.weight",
    }
    assert expand(summarize_names(names)) == sorted(names)


def expand(text: str) -> list[str]:
    """Write out what a summary says, as a shell would."""
    names = []
    for item in text.split(", "):
        item, _, count = item.partition(" (")
        found = [""]
        for place, part in enumerate(item.split(".")):
            words = []
            for word in part.strip("{}").split(","):
                low, dash, high = word.partition("-")
                words += map(str, range(int(low), int(high) + 1)) if dash else [word]
            found = [f"{name}{'.' if place else ''}{word}" for name in found for word in words]
        assert len(found) == int(count.rstrip(")") or 1)
        names += found
    return sorted(names)


def test_what_fits_is_not_described():
    assert describe_misfit({"a": (1, 2)}, {"a": (1, 2)}) is None


def test_all_kinds_of_misfit_are_counted_and_listed_on_one_line():
    expected = dict.fromkeys(layers(0, 1), (4, 4)) | {"a": (1,), "gone.0": (2,), "gone.1": (2,)}
    found = dict.fromkeys(layers(0, 1), (8, 4)) | {"a": (), "extra.weight": (1,)}
    assert describe_misfit(expected, found) == (
        "2 missing: gone.{0-1} (2); 1 unknown: extra.weight; 1 of shape (), not (1,): a; "
        "2 of shape (8, 4), not (4, 4): transformer_blocks.{0-1}.attn.to_q.weight (2)"
    )
