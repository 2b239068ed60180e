"""What a provider is asked to hold a chat model to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from selfinstruct.errors import RecipeError
from selfinstruct.parse import Outline
from selfinstruct.prompts.constrain import response_format
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Request

CHAT = ("recipe=chat", "model=scripted", "model.mode=chat")


def recipe(project: Path, *overrides: str) -> Recipe:
    """The chat recipe with overrides."""
    return compose([*CHAT, *overrides], project).recipe()


def request(made: Recipe, stage: str, prompt: int = 0) -> Request:
    """A request of a stage."""
    names: dict[str, Any] = {"examples": [{"instruction": "Name it."}], "instruction": "Sort it."}
    part = made.stage(stage)
    return part.request(part.prompts[prompt], 1, names, 0)


def asked(made: Recipe, stage: str, prompt: int = 0) -> Any:
    """The schema that a stage asks for."""
    format = request(made, stage, prompt).sampling["response_format"]
    assert format["type"] == "json_schema"
    assert format["json_schema"]["strict"] is True
    return format["json_schema"]["schema"]


def strings(*names: str) -> dict[str, Any]:
    """An object of strings, in this order, their descriptions left out."""
    return dict.fromkeys(names, "string")


def types(schema: Any) -> dict[str, Any]:
    """The keys of an object and their types, in order; all are required, and no others may come."""
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    assert schema["required"] == list(schema["properties"])
    return {key: spec["type"] for key, spec in schema["properties"].items()}


def test_a_list_of_objects(project: Path) -> None:
    """The parser's key and fields, with the types and descriptions of the stage's schema and no more."""
    schema = asked(recipe(project), "instructions")
    assert types(schema) == {"tasks": "array"}
    inner = schema["properties"]["tasks"]["items"]
    assert types(inner) == strings("instruction")
    assert set(inner["properties"]["instruction"]) == {"type", "description"}


def test_the_order_of_fields(project: Path) -> None:
    """A classification task's label comes before its input, any other output after it."""
    made = recipe(project)
    for place, fields in enumerate((["output", "input"], ["input", "output"])):
        schema = asked(made, "instances", place)
        assert list(types(schema["properties"]["instances"]["items"])) == fields


def test_one_object(project: Path) -> None:
    """A label stage asks for one object."""
    assert types(asked(recipe(project), "classification")) == {"is_classification": "boolean"}


def test_a_schema_in_strict_mode() -> None:
    """Closed sets, nested objects and lists stay; keywords that strict mode does not know go."""
    outline = Outline(
        {"kind": "k", "tags": "tags", "more": "more", "free": "free"}, "rows", {"kind": ("a", "b")}
    )
    nested = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    tags = {"type": "array", "items": {"const": "x", "title": "t"}, "maxItems": 3}
    schema = {"properties": {"kind": {"type": "string", "pattern": "a"}, "tags": tags, "more": nested}}
    made = response_format("rating ä.1", outline, schema)["json_schema"]
    assert made["name"] == "rating___1"
    assert made["schema"]["properties"]["rows"]["items"]["properties"] == {
        "k": {"type": "string", "enum": ["a", "b"]},
        "tags": {"type": "array", "items": {"enum": ["x"]}},
        "more": {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
            "additionalProperties": False,
        },
        "free": {"type": "string"},
    }


@pytest.mark.parametrize(
    "override",
    ["model.sampling.response_format=null", "model.mode=completion", "prompts.instructions.constrain=false"],
)
def test_left_out(project: Path, override: str) -> None:
    """It can be left out for a model or a stage, and a model that completes text is never asked for it."""
    assert "response_format" not in request(recipe(project, override), "instructions").sampling


def test_a_definition() -> None:
    """A field that refers to a definition takes it along."""
    schema = {
        "properties": {"n": {"$ref": "#/$defs/level"}},
        "$defs": {"level": {"type": "integer", "minimum": 1}},
    }
    made = response_format("rating", Outline({"n": "n"}, None, {}), schema)["json_schema"]["schema"]
    assert made["properties"] == {"n": {"$ref": "#/$defs/level"}}
    assert made["$defs"] == {"level": {"type": "integer"}}


def test_what_the_recipe_says_itself_goes_first(project: Path) -> None:
    """A response_format in a stage's sampling stands."""
    made = recipe(project, "prompts.instructions.sampling.response_format={type: json_object}")
    assert request(made, "instructions").sampling["response_format"] == {"type": "json_object"}


def test_a_parser_that_cannot_be_asked_for(project: Path) -> None:
    """To constrain a reply that is read otherwise is a fault of the recipe."""
    changed = ["kind=numbered_list", "items", "fields"]
    overrides = [f"{'' if '=' in key else '~'}prompts.instructions.parse.{key}" for key in changed]
    with pytest.raises(RecipeError) as raised:
        recipe(project, *overrides)
    assert "instructions.constrain: the parser 'numbered_list' does not define the JSON" in str(raised.value)


def test_all_are_valid_schemas(project: Path) -> None:
    """What is sent is JSON Schema."""
    made = recipe(project)
    for stage, prompt in (("instructions", 0), ("classification", 0), ("instances", 0), ("instances", 1)):
        Draft202012Validator.check_schema(asked(made, stage, prompt))
