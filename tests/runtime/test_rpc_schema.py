"""Parameters are checked against the schema; a refusal names parameter, value and limits."""

from __future__ import annotations

import math

import jsonschema
import pytest

from lofi_runtime.rpc.definitions import limits, load_schema, notification_names, parameters
from lofi_runtime.rpc.errors import CODES, RpcError
from lofi_runtime.rpc.methods import missing_methods
from lofi_runtime.rpc.schema import check_params


def refusal(method: str, **params: object) -> RpcError:
    with pytest.raises(RpcError) as caught:
        check_params(method, params)
    return caught.value


def test_the_schema_is_itself_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(load_schema())


def test_schema_and_method_table_define_the_same_methods() -> None:
    assert missing_methods() == set()


def test_every_error_code_in_the_schema_exists() -> None:
    names = {rule.get("x-error_code", "INVALID_PARAMS") for rule in parameters("generate").values()}
    assert names <= set(CODES)
    assert "INVALID_DURATION" in names


def test_the_numbers_of_the_error_table_are_the_contracts() -> None:
    assert CODES["QUEUE_FULL"] == -32004
    assert CODES["INVALID_SCHEDULER"] == -32011
    assert len(set(CODES.values())) == len(CODES)


def test_defaults_come_from_the_schema() -> None:
    assert check_params("generate", {"prompt": "rain"}) == {
        "prompt": "rain",
        "duration_sec": 30,
        "lyrics": "",
        "style": "",
        "priority": "normal",
        "precision": "auto",
        "lora": "",
        "inference_steps": 27,
        "scheduler": "euler",
        "guidance_scale": 15.0,
    }


def test_a_whole_float_counts_as_an_integer() -> None:
    checked = check_params("generate", {"prompt": "x", "duration_sec": 20.0})
    assert checked["duration_sec"] == 20
    assert type(checked["duration_sec"]) is int


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({"prompt": ""}, -32006, "prompt: the text is empty"),
        ({"prompt": " \t"}, -32006, "prompt: the text is empty"),
        ({"prompt": "é" * 501}, -32006, "prompt: 1002 bytes is more than 1000"),
        ({"prompt": "\udcff"}, -32006, "prompt: the text is not valid UTF-8"),
        ({"duration_sec": 0}, -32005, "duration_sec: 0 is outside 1 to 600"),
        ({"duration_sec": 7000}, -32005, "duration_sec: 7000 is outside 1 to 600"),
        ({"duration_sec": 30.5}, -32602, "duration_sec: 30.5 is not of type integer"),
        ({"duration_sec": "30"}, -32602, "duration_sec: '30' is not of type integer"),
        ({"duration_sec": True}, -32602, "duration_sec: True is not of type integer"),
        ({"duration_sec": None}, -32602, "duration_sec: None is not of type integer"),
        ({"backend": "musicgen"}, -32007, "backend: 'musicgen' is not one of procedural, ace_step"),
        ({"inference_steps": 201}, -32009, "inference_steps: 201 is outside 1 to 200"),
        ({"guidance_scale": 31}, -32010, "guidance_scale: 31 is outside 1 to 30"),
        ({"guidance_scale": math.nan}, -32602, "guidance_scale: nan is not of type number"),
        ({"scheduler": "ddim"}, -32011, "scheduler: 'ddim' is not one of euler, heun, pingpong"),
        ({"style": "lofi"}, -32022, "style: 'lofi' does not look like ^([A-Z]+-[0-9]{2})?$"),
        ({"seed": 2**53}, -32602, "seed: 9007199254740992 is outside 0 to 9007199254740991"),
        ({"seed": -1}, -32602, "seed: -1 is outside 0 to 9007199254740991"),
        ({"priority": "urgent"}, -32602, "priority: 'urgent' is not one of normal, high"),
        ({"lyrics": "\udc80"}, -32602, "lyrics: the text is not valid UTF-8"),
        (
            {"duration": 30},
            -32602,
            "generate has no parameter 'duration'; did you mean 'duration_sec'?",
        ),
    ],
)
def test_a_wrong_parameter_is_refused_by_name_value_and_limits(
    params: dict[str, object], code: int, message: str
) -> None:
    error = refusal("generate", **({"prompt": "rain"} | params))
    assert (error.code, error.message) == (code, message)


def test_a_missing_parameter_is_named() -> None:
    assert refusal("generate").message == "generate needs the parameter 'prompt'"
    assert refusal("cancel").message == "cancel needs the parameter 'track_id'"


def test_a_method_without_parameters_says_so() -> None:
    error = refusal("ping", loud=True)
    assert error.message == "ping has no parameter 'loud'"
    assert error.to_wire()["data"] == {"error_code": "INVALID_PARAMS", "details": "it takes none"}


def test_a_long_value_is_cut_in_the_refusal() -> None:
    assert len(refusal("generate", prompt="x", scheduler="s" * 5000).message) < 150


def test_an_unknown_kind_of_event_is_refused_by_its_place() -> None:
    message = refusal("subscribe", events=["generation_start", "nonsense"]).message
    assert message.startswith("events[1]: 'nonsense' is not one of generation_start,")


def test_subscribe_knows_every_notification() -> None:
    assert parameters("subscribe")["events"]["items"]["enum"] == notification_names()


def test_limits_are_told_as_the_schema_states_them() -> None:
    told = limits()["generate"]
    assert told["duration_sec"] == {"type": "integer", "default": 30, "minimum": 1, "maximum": 600}
    assert told["prompt"] == {"type": "string", "max_bytes": 1000}
    assert told["scheduler"]["choices"] == ["euler", "heun", "pingpong"]
    assert told["seed"]["maximum"] == 2**53 - 1


def test_a_whole_number_that_no_float_holds_is_refused_by_name() -> None:
    with pytest.raises(RpcError, match="guidance_scale"):
        check_params("generate", {"prompt": "x", "guidance_scale": 10**400})


def test_a_long_list_is_refused_for_its_length_before_its_items_are_compared() -> None:
    with pytest.raises(RpcError, match="is too long"):
        check_params("subscribe", {"events": [{"a": number} for number in range(2000)]})


def test_an_endless_name_is_refused_with_its_beginning() -> None:
    with pytest.raises(RpcError, match=r"ping has no parameter 'a{70,80}\.\.\."):
        check_params("ping", {"a" * 60_000: 1})


def test_an_id_with_a_newline_behind_it_is_none() -> None:
    with pytest.raises(RpcError, match="track_id") as caught:
        check_params("cancel", {"track_id": "0123456789abcdef\n"})
    assert caught.value.name == "INVALID_TRACK_ID"
