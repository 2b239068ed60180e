"""JSON Schema: what the quick way says is what jsonschema says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import lines
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from omegaconf import OmegaConf

from selfinstruct.project.layout import packaged
from selfinstruct.schema.validation import compile_schema


def resolved(path: Path) -> dict[str, Any]:
    """The sections of a schema file, in which one may refer to another."""
    whole = OmegaConf.create({"schema": OmegaConf.load(path)})
    found = OmegaConf.to_container(whole, resolve=True)
    assert isinstance(found, dict)
    return {stage: schema for stage, schema in found["schema"].items() if stage != "defaults"}


SHIPPED = [
    pytest.param(schema, id=f"{path.stem}.{stage}")
    for path in sorted((packaged() / "conf/schema").glob("*.yaml"))
    for stage, schema in resolved(path).items()
]
OTHERS: list[Any] = [
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 5}}},
    {"type": "object", "properties": {"a": {"pattern": r"\w"}, "b": {"pattern": r"^\d+$"}}},
    {"type": "object", "properties": {"a": {"enum": ["x", 1, True, None]}, "b": {"const": 0}}},
    {"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "b": {"const": "x"}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}, "minItems": 1}}},
    {
        "type": "object",
        "allOf": [{"required": ["a"]}, {"properties": {"b": {"type": "string", "pattern": r"\S"}}}],
    },
    {"type": "object", "properties": {"a": {"contains": {"const": "x"}}}, "additionalProperties": False},
    {"type": "object", "properties": {"a": {"uniqueItems": True}, "b": {"multipleOf": 0.1}}},
]
# Spaces to one library and not to the other, characters beyond the first plane, halves of characters.
CHARACTERS = " \t\n\x1c\x1d\x85\u2003\ufeffaé字😀\ud83d1x"
TEXTS = st.sampled_from(CHARACTERS) | st.text(st.sampled_from(CHARACTERS), max_size=4)
VALUES = st.one_of(
    TEXTS,
    st.booleans(),
    st.none(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(TEXTS, max_size=3),
    st.just({}),
)


def rows(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the schema's fields, most of them texts, some of them missing, now and then a stranger."""
    fields = [*schema.get("properties", {"a": {}, "b": {}}), "stranger"]
    return st.dictionaries(st.sampled_from(fields), TEXTS | VALUES, max_size=len(fields))


@pytest.mark.parametrize("schema", [*SHIPPED, *OTHERS])
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_the_verdict_is_that_of_jsonschema(schema: dict[str, Any], data: st.DataObject) -> None:
    """Whichever library says so, a record is valid if and only if it is to jsonschema."""
    row = data.draw(rows(schema))
    validate = compile_schema(schema, "schema", [])
    assert validate
    assert (validate(row) is None) == Draft202012Validator(schema).is_valid(row)


def test_real_records_are_valid(shared: Path) -> None:
    """The paper's seeds satisfy the schema of seeds."""
    schema = resolved(packaged() / "conf/schema/paper.yaml")["seeds"]
    validate = compile_schema(schema, "schema", [])
    assert validate
    assert not [row for row in lines(shared / "seed_tasks.jsonl") if validate(row)]
