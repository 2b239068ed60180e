"""The JSON Schema of the recipe format: current, content with every recipe that works, awake to faults."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from slips import FORBIDDEN, PAPER, RECIPE_SLIPS, TYPED_SLIPS

from selfinstruct.describe.description import SECTIONS
from selfinstruct.describe.recipe_schema import FILE, written
from selfinstruct.project.layout import GROUPS, headline, packaged

ROOT = packaged()
SCHEMA = json.loads((ROOT / FILE).read_text(encoding="utf-8"))
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
HEAD = "# yaml-language-server: $schema=../conf/recipe.schema.json"

# What no editor can see in the file alone, by what it would have to know.
BEYOND = {
    "other files": [
        "defaults: [mine]",
        "defaults: [papre]",
        "pipeline.instances.model=opnai",
        "+export.csv={file: a.csv}",  # a kind of its own, if a file of conf says which
        "+filters.instructions.rouge={field: instruction}",
    ],
    "the composed recipe": [
        "prompts: {instructions: {variants: {a: {when: 1}}}}",
        "filters.instructions.empty.field=instrution",
        "pipeline.instances.by=topic",
        "pipeline.instances.by=instruction",
        "pipeline.instances.of=instruction",
        "mix.generated=9",
        "export.alpaca.of=instance",
        "export.chat.file=alpaca.jsonl",
    ],
    "names and texts": [
        "export.chat.file=../run.sqlite",
        "+export.chat.user='{{ instrution }}'",
        "prompts.classification.template='{{ instrction }}'",
        "prompts.classification.template='{% if %}'",
        "prompts: {classification: {template: '{{ instruction'}}",
        "prompts: {instructions: {template: 'It costs ${5}'}}",
        "prompts: {instructions: {template: 'It costs ${{ 5 }}'}}",
    ],
}


def faults(recipe: Any) -> list[str]:
    """What the schema says of a recipe."""
    return [f"{error.json_path}: {error.message}" for error in Draft7Validator(SCHEMA).iter_errors(recipe)]


def as_recipe(override: str) -> Any:
    """What an override would be in a recipe."""
    from omegaconf import OmegaConf

    key, _, value = override.lstrip("+").partition("=")
    return OmegaConf.to_container(OmegaConf.from_dotlist([f"{key}={value}"]))


def mistakes() -> dict[str, Any]:
    """Every fault of a recipe's text that the tests of `check` know, as recipes by what they are called."""
    texts = [*RECIPE_SLIPS, *FORBIDDEN]
    found = {text.strip(): yaml.safe_load(text) for text, _ in texts if text != "a: [1\n"}
    for arguments, _ in TYPED_SLIPS:
        if arguments[:2] == list(PAPER):
            found |= {override: as_recipe(override) for override in arguments[2:] if override[0] != "~"}
    return found


def test_the_shipped_file_is_current() -> None:
    """After a change of the types or of a registry: python -m selfinstruct.describe.recipe_schema."""
    assert (ROOT / FILE).read_text(encoding="utf-8") == written()
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.stem))
def test_every_recipe_of_ours_fits_and_names_it(path: Path) -> None:
    """The first line leads an editor to it, and is not what `--help` shows."""
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0] == HEAD
    assert (path.parent / HEAD.partition("=")[2]).resolve() == ROOT / FILE
    assert "yaml-language-server" not in headline(path)
    assert faults(yaml.safe_load(text)) == []


@pytest.mark.parametrize("group", GROUPS)
def test_every_file_of_a_group_fits_as_a_part_of_a_recipe(group: str) -> None:
    """Whatever stands in our conf may stand in a recipe."""
    for path in sorted((ROOT / f"conf/{group}").glob("*.yaml")):
        keys = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        keys.pop("defaults", None)
        assert faults({group: keys}) == [], path


def test_every_fault_that_check_knows_is_underlined_or_named_here() -> None:
    """Each mistake in the tests of `check` is seen while typing, but for what takes more than the file."""
    beyond = {name for names in BEYOND.values() for name in names}
    unseen = {name for name, recipe in mistakes().items() if not faults(recipe)}
    assert len(mistakes()) > 40
    assert unseen == beyond


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("targt: 5", "$: Additional properties"),
        ("target: 0", "$.target"),
        ("target: '5'", "$.target"),
        ("target: true", "$.target"),
        ("seeds: {paht: a}", "$.seeds"),
        ("seeds: {path: null}", "$.seeds.path"),
        ("model: {mode: chatty}", "$.model.mode"),
        ("model: {kind: litelm}", "$.model.kind"),
        ("model: {kind: local, options: {contxt: 9}}", "$.model.options"),
        ("model: {price: {inptu: 1}}", "$.model.price"),
        ("model: {fallbacks: [{nmae: x}]}", "$.model.fallbacks[0]"),
        ("pipeline: {instructions: {windw: 3}}", "$.pipeline.instructions"),
        ("pipeline: {mine: {kind: label, window: 3}}", "$.pipeline.mine"),
        ("pipeline: {mine: {kind: label, model: {nmae: 3}}}", "$.pipeline.mine.model"),
        ("prompts: {mine: {sytem: a}}", "$.prompts.mine"),
        ("prompts: {mine: {parse: {kind: json, feilds: {}}}}", "$.prompts.mine.parse"),
        ("prompts: {mine: {variants: {a: {wehn: 1}}}}", "$.prompts.mine.variants.a"),
        ("filters: {mine: {word_count: {minimun: 3}}}", "$.filters.mine.word_count"),
        ("filters: {mine: {word_count: {tokenizer: rogue}}}", "$.filters.mine.word_count"),
        ("filters: {mine: {short: {kind: word_count, minimun: 3}}}", "$.filters.mine.short"),
        ("filters: {mine: {short: {kind: wordcount}}}", "$.filters.mine.short"),
        ("filters: {mine: {rouge_l: {threshold: 1.5}}}", "$.filters.mine.rouge_l"),
        ("export: {alpaca: {shufle: true}}", "$.export.alpaca"),
        ("export: {mine: {kind: alpca}}", "$.export.mine"),
        ("defaults: [{override /modle: openai}]", "$.defaults[0]"),
        ("cache: {max: 5}", "$.cache"),
    ],
)
def test_a_typo_is_underlined_where_it_stands(text: str, where: str) -> None:
    """At every depth, and for every sort of part."""
    assert [fault for fault in faults(yaml.safe_load(text)) if fault.startswith(where)], faults(text)


@pytest.mark.parametrize(
    "text",
    [
        "target: ${seed}",
        "mix: {examples: '${oc.select:mix.generated,3}'}",
        "model: {mode: '${mode}', sampling: '${prompts.a.sampling}'}",
        "filters: {instructions: {rouge_l: {threshold: '${seed}'}, banned_words: null}}",
        "filters: {instructions: {write_a_program: {ignore_case: false}}}",
        "filters: {mine: {short: {kind: matches, pattern: '^a', field: instruction}}}",
        "prompts: {mine: {variables: {anything: [1, {of: any}]}, sampling: {top_k: 5, stop: null}}}",
        "prompts: {mine: {variants: {a: {when: 1, parse: {capitals: lower}}}}}",
        "seeds: {where: {topic: 5}}",
        "pipeline: {mine: {kind: label, model: {name: openai/x}}, instances: {model: openai}}",
        "pipeline: {instances: {model: null}}",
        "defaults: [chat, {override /model: openai}, {override /export: [alpaca, chat]}, {/foo: bar}]",
        "cache: off",
        "schema: {mine: {type: object, allOf: [{if: {}}], properties: {a: {type: [string, integer]}}}}",
        "export: {mine: {kind: chat, user: '{{ a }}', file: a.jsonl}}",
    ],
)
def test_what_may_be_written_is_not_underlined(text: str) -> None:
    """Partial parts, open mappings, links to other keys, and parts of one's own."""
    assert faults(yaml.safe_load(text)) == []


def references(node: Any) -> Iterator[str]:
    """What the parts of a schema refer to."""
    if isinstance(node, dict) and isinstance(node.get("$ref"), str):
        yield node["$ref"]
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from references(inner)


def referred(node: Any) -> Any:
    """A part of the schema, or the one that it refers to."""
    while set(node) == {"$ref"}:
        names = node["$ref"].removeprefix("#/").split("/")
        node = SCHEMA
        for name in names:
            node = node[name]
    return node


def parts(node: Any) -> Iterator[str]:
    """A schema and all parts of it, as text."""
    if isinstance(node, dict | list):
        yield json.dumps(node)
        for inner in node.values() if isinstance(node, dict) else node:
            yield from parts(inner)


def test_what_is_alike_is_defined_once() -> None:
    """The file stays small enough to review: no longer part of it comes twice."""
    times = Counter(part for part in parts(SCHEMA) if len(part) > 400)
    assert times.total() > 50
    assert [part for part, count in times.items() if count > 1] == []


def test_references_lead_somewhere() -> None:
    """To a definition, or to a key of one; and each definition is used."""
    used = set(references(SCHEMA))
    assert all(referred({"$ref": reference}) for reference in used)
    assert {f"#/definitions/{name}" for name in SCHEMA["definitions"]} <= used


def test_every_key_has_a_text_to_hover_over() -> None:
    """Its own, or that of what it refers to."""
    sections = {section.__name__ for section in SECTIONS.values()}
    parts = [schema for name, schema in SCHEMA["definitions"].items() if "." in name or name in sections]
    assert len(parts) > 60
    keys = [item for part in (SCHEMA, *parts) for item in part["properties"].items()]
    assert [name for name, schema in keys if not referred(schema).get("description")] == []


def test_options_come_with_their_docstrings() -> None:
    """What an editor shows beside a key is what the code says of it."""
    known = SCHEMA["definitions"]
    assert known["Filter.rouge_l"]["properties"]["threshold"]["description"].startswith(
        "a score above it is too similar"
    )
    assert "pool" in known["Stage.bootstrap"]["properties"]["window"]["description"]
    assert known["ModelConfig"]["properties"]["timeout"]["description"] == "seconds to wait for a whole reply"
