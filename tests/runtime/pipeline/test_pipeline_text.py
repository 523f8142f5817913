from __future__ import annotations

import json

import numpy as np
import pytest

from lofi_runtime.pipeline.text import TextTokenizer
from tests.support.tiny_bundle import tiny_tokenizer_json

END, PAD = 1, 0


def test_prompts_are_closed_by_the_end_token_and_padded_to_the_longest():
    ids, mask = TextTokenizer(tiny_tokenizer_json()).encode(["lofi rain", "lofi rain, piano beats"])
    assert ids.dtype == mask.dtype == np.int64
    assert ids.shape == mask.shape
    first = mask.sum(axis=1)[0]
    assert first < ids.shape[1]
    assert ids[0, first - 1] == END
    assert (ids[0, first:] == PAD).all()
    assert (mask[0] == [1] * first + [0] * (ids.shape[1] - first)).all()
    assert ids[1, -1] == END
    assert (ids[0, : first - 1] == ids[1, : first - 1]).all()


def test_a_long_prompt_is_cut_to_the_limit_with_its_end_token():
    ids, mask = TextTokenizer(tiny_tokenizer_json()).encode(["rain " * 1000])
    assert ids.shape == (1, 256)
    assert ids[0, -1] == END
    assert mask.all()


def test_tokens_are_counted_before_the_cut_with_the_end_token():
    tokenizer = TextTokenizer(tiny_tokenizer_json(), max_tokens=8)
    assert tokenizer.count("") == 1
    short = tokenizer.encode(["rain"])[0].shape[1]
    assert tokenizer.count("rain") == short
    long = tokenizer.count("rain " * 50)
    assert long > 50
    assert tokenizer.encode(["rain " * 50])[0].shape[1] == 8
    plain = json.loads(tiny_tokenizer_json())
    plain["post_processor"] = None
    assert TextTokenizer(json.dumps(plain)).count("rain " * 50) == long


def test_a_tokenizer_without_a_post_processor_gets_its_end_token_here():
    plain = json.loads(tiny_tokenizer_json())
    plain["post_processor"] = None
    prompts = ["lofi", "rain " * 1000]
    found = TextTokenizer(json.dumps(plain)).encode(prompts)
    expected = TextTokenizer(tiny_tokenizer_json()).encode(prompts)
    np.testing.assert_array_equal(found[0], expected[0])


def test_settings_inside_the_file_for_padding_and_cutting_are_not_used():
    fixed = json.loads(tiny_tokenizer_json())
    fixed["truncation"] = {
        "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0,
    }  # fmt: skip
    found = TextTokenizer(json.dumps(fixed)).encode(["lofi rain piano"])
    np.testing.assert_array_equal(
        found[0], TextTokenizer(tiny_tokenizer_json()).encode(["lofi rain piano"])[0]
    )


def test_something_else_is_refused():
    with pytest.raises(ValueError, match="not a tokenizer"):
        TextTokenizer("{}")
    other = tiny_tokenizer_json().replace("</s>", "<end>")
    with pytest.raises(ValueError, match="has no token '</s>'"):
        TextTokenizer(other)
