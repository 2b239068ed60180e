"""The JSON Schema of the recipe format, for editors: they complete keys, and underline typos.

It is made from `description` and shipped as `conf/recipe.schema.json`. After a change to the types in
`config` or to a factory, write it again with `python -m selfinstruct.describe.recipe_schema`; a test fails
until then. It uses draft 7, which most editors support. What several places have in common is defined once;
the other places refer to it: to a definition, or to a key of one (`#/definitions/Stage/properties/model`).

A recipe only has what it changes, so no key is required. The kind of a part without `kind` is not known from
the file, so it may have the options of any one kind. Anything may be `${another.key}` instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from selfinstruct.describe import description
from selfinstruct.describe.description import REGISTRIES, Entry, Key, Offer, Schema, Section
from selfinstruct.describe.json_text import json_text
from selfinstruct.project import configfiles
from selfinstruct.project.layout import FOLDERS, GROUPS, listing, packaged
from selfinstruct.project.parts import PARTS
from selfinstruct.project.renamed import options as renamed_options

FILE = "conf/recipe.schema.json"
OFFERS = {offer.word: offer for offer in REGISTRIES if offer.word}

_LINK = r"\$\{"  # ${another.key}
_OPEN: Schema = {
    "type": ["object", "string"],
    "pattern": _LINK,
    "propertyNames": {"not": {"const": "_target_"}},
}
_OF_ONE = ("title", "required", "default")  # these do not apply to a partial recipe
_TYPES = ["string", "number", "integer", "boolean", "object", "array", "null"]
_JSON_SCHEMA: Schema = {  # only what helps while typing; check knows all of it
    "description": "a JSON Schema (2020-12)",
    "type": ["object", "boolean", "string", "null"],
    "properties": {
        "type": {"anyOf": [{"enum": _TYPES}, {"type": "array", "items": {"enum": _TYPES}}]},
        "properties": {
            "type": "object",
            "additionalProperties": {"$ref": "#/definitions/JsonSchema"},
        },
        "required": {"type": "array", "items": {"type": "string"}},
        "enum": {"type": "array"},
        "items": {"$ref": "#/definitions/JsonSchema"},
        "minLength": {"type": "integer", "minimum": 0},
        "maxLength": {"type": "integer", "minimum": 0},
        "pattern": {"type": "string"},
    },
}


def recipe_schema() -> Schema:
    """The schema, made now."""
    there = description.sections()
    top = there.pop("")
    known: Schema = {"JsonSchema": _JSON_SCHEMA}
    for offer in OFFERS.values():
        known |= _parts(offer, there.pop(offer.section) if offer.section else None)
    for place, section in there.items():
        known[section.name] = _section(section, place, there.get(section.base or ""))
    known["Checks"] = {"type": ["object", "string"], "pattern": _LINK, **_by_name(OFFERS["Filter"])}
    known["PromptConfig"]["properties"]["parse"]["anyOf"] = [_ref("Parser"), {"type": "null"}]
    known["Stage"]["properties"]["model"]["anyOf"] = _A_MODEL
    known["Parts"] = _names_of(PARTS)
    _options_of_models(known)
    about = "A selfinstruct recipe: what differs from the recipes and groups that its defaults list names."
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "made by python -m selfinstruct.describe.recipe_schema; do not edit",
        "title": "selfinstruct recipe",
        "description": about,
        "type": "object",
        "properties": {**_groups(top, known), PARTS: _added(), "defaults": _defaults()},
        "additionalProperties": False,
        "definitions": dict(sorted(known.items())),
    }


def written() -> str:
    """The schema as it is shipped."""
    return json_text(recipe_schema())


def _groups(top: Section, known: Schema) -> Schema:
    """The keys at the top; for sections with a key per stage, the names of our stages are completed."""
    groups = {key.name: _key(key) for key in top.keys}
    of_stages = {"pipeline": "Stage", "prompts": "PromptConfig", "filters": "Checks", "schema": "JsonSchema"}
    for name, part in of_stages.items():
        groups[name]["properties"] = dict.fromkeys(_stages(), _ref(part))
        groups[name]["additionalProperties"] = _ref(part)
    groups["pipeline"]["propertyNames"] = {"pattern": r"^\w[\w-]*$", "not": {"enum": ["seeds", "rejected"]}}
    groups["export"] |= _by_name(OFFERS["Export"])
    for name in ("cache", "report"):
        groups[name]["anyOf"].append({"enum": [False, "off"]})
    for name in GROUPS:  # a mapping in a recipe; the defaults list chooses a file for it
        whole = groups[name].get("allOf")
        kept = {key: value for key, value in groups[name].items() if not key.startswith("pattern")}
        groups[name] = whole[0] if whole else {**kept, "type": "object"}
    return groups


def _section(section: Section, place: str, base: Section | None) -> Schema:
    """A section; for a group it must be a mapping, since a name here would not choose a file."""
    inherited = {key.name: _ref(f"{base.name}/properties/{key.name}") for key in base.keys} if base else {}
    keys = {**inherited, **{key.name: _key(key) for key in section.keys}, **_renamed(place)}
    made = {"description": section.words, "type": "object", "properties": keys, "additionalProperties": False}
    return made if place in GROUPS else _interpolated(made)


def _parts(offer: Offer, section: Section | None) -> Schema:
    """A part whose `kind` picks from a registry (without it, the options of any one kind), and each kind."""
    made = description.entries(offer.registry)
    refs = {entry.name: _ref(f"{offer.word}.{entry.name}") for entry in made}
    picked = [{"if": {"properties": {"kind": {"const": name}}}, "then": ref} for name, ref in refs.items()]
    own = {key.name: _key(key) for key in section.keys} if section else {}
    kind = {"description": f"which {offer.registry.kind}", **_interpolated({"enum": list(refs)})}
    part = {
        "type": ["object", "string", *offer.instead],
        "pattern": _LINK,
        "properties": {**own, "kind": kind},
        "if": _has("kind"),
        "then": {"allOf": picked},
        "else": {"anyOf": list(refs.values())},
    }
    known = {offer.word: part}
    for entry in made:
        known |= {name: _loosened(shape) for name, shape in entry.shapes.items()}
        known[f"{offer.word}.{entry.name}"] = _entry(entry, offer, ["kind", *own])
    return known


def _entry(entry: Entry, offer: Offer, own: Iterable[str]) -> Schema:
    """The options of one entry, and those that all entries of its registry have."""
    shared = {name: _ref(f"{offer.word}/properties/{name}") for name in own}
    return {
        "description": " ".join(entry.words.split()),
        "type": ["object", "string", *offer.instead],
        "pattern": _LINK,
        "additionalProperties": False,
        "properties": {
            **shared,
            **{key.name: _key(key) for key in entry.keys},
            **_renamed(offer.section.split(".")[0], entry.name),
        },
    }


def _renamed(section: str, kind: str = "") -> Schema:
    """The old names of keys, which an editor then shows as deprecated and not as unknown."""
    return {
        old: {"description": f"called {new} now", "deprecated": True}
        for old, new in renamed_options(section, kind).items()
    }


def _by_name(offer: Offer) -> Schema:
    """Parts whose key is also their kind unless they have a `kind`."""
    part = _ref(offer.word)
    there = {
        entry.name: {
            "description": entry.summary,
            "if": _has("kind"),
            "then": part,
            "else": _ref(f"{offer.word}.{entry.name}"),
        }
        for entry in description.entries(offer.registry)
    }
    return {"properties": there, "additionalProperties": part}


def _options_of_models(known: Schema) -> None:
    """A model's options are those of its kind."""
    kinds = known.pop("Model")
    for ref in kinds["else"]["anyOf"]:  # they are in `options`, which has no kind
        del known[_name(ref)]["properties"]["kind"]
    picked = [
        {"if": one["if"], "then": {"properties": {"options": one["then"]}}} for one in kinds["then"]["allOf"]
    ]
    anyone = {"properties": {"options": kinds["else"]}}
    model = known["ModelConfig"]
    model["properties"]["kind"] |= {"anyOf": kinds["properties"]["kind"]["anyOf"]}
    model["properties"]["fallbacks"]["items"] = {"anyOf": _A_MODEL}
    model |= {"if": kinds["if"], "then": {"allOf": picked}, "else": anyone}


def _added() -> Schema:
    """The parts that a recipe adds."""
    return {"description": "files of conf/parts, each of which adds a stage or a filter", "allOf": [_PARTS]}


def _names_of(folder: str) -> Schema:
    """One or several names of our files; others may exist."""
    name: Schema = {"anyOf": [{"enum": sorted(_ours(f"conf/{folder}"))}, {"type": "string"}]}
    return {"anyOf": [name, {"type": "array", "items": name}]}


def _defaults() -> Schema:
    """The list of recipes and group files that a recipe starts from."""
    file = {"type": ["string", "array"]}
    choices = {
        f"override /{group}": {"anyOf": [{"enum": sorted(_ours(f"conf/{group}"))}, file]} for group in GROUPS
    }
    stages_own = r"^/model@pipeline\.[\w-]+\.model$"  # a file of conf/model for one stage
    choices[f"/{PARTS}"] = _PARTS
    own = rf"^(optional )?/(?!({'|'.join(FOLDERS)}|hydra)($|[/@]))"
    chosen = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": choices,
        "patternProperties": {own: {"type": ["string", "array", "null"]}, stages_own: {"type": "string"}},
        "additionalProperties": False,
    }
    recipes = {"enum": ["_self_", *sorted(_ours("recipes"))]}
    name = {"type": "string", "pattern": r"^(?!hydra($|[/@])|/hydra)"}
    return {
        "description": "recipes to start from, 'override /GROUP: NAME' to choose files, and _self_",
        "type": "array",
        "items": {"anyOf": [recipes, name, chosen]},
    }


def _loosened(node: Any) -> Any:
    """What pydantic says about a type, changed for a partial recipe."""
    if not isinstance(node, dict):
        return [_loosened(inner) for inner in node] if isinstance(node, list) else node
    made: Schema = {}
    for key, value in node.items():
        if key in ("properties", "$defs"):
            made[key] = {name: _loosened(inner) for name, inner in value.items()}
        elif key in ("anyOf", "items", "additionalProperties"):
            made[key] = _loosened(value)
        elif key not in _OF_ONE:
            made[key] = value
    if "$ref" in made:  # in draft 7 the keys beside it are ignored
        whole = _ref(_name(made))
        del made["$ref"]
        made = {"allOf": [whole], **made} if made else whole
    if made.get("additionalProperties") is True:
        made = {**made, **_OPEN}
        del made["additionalProperties"]
    return _interpolated(made)


def _interpolated(node: Schema) -> Schema:
    """The same, or an interpolation as text."""
    kind = node.get("type")
    if "enum" in node or "const" in node:
        plain = {key: node[key] for key in ("enum", "const") if key in node}
        rest = {key: value for key, value in node.items() if key not in (*plain, "type")}
        return {**rest, "anyOf": [plain, {"type": "string", "pattern": _LINK}]}
    if kind in ("integer", "number", "boolean", "object", "array"):
        words = f"Expected {kind}, or ${{another.key}}."
        return {**node, "type": [kind, "string"], "pattern": _LINK, "patternErrorMessage": words}
    return node


def _key(key: Key) -> Schema:
    """The values of a key, and its description."""
    made = _loosened(key.schema)
    return {"description": key.words, **({"allOf": [made]} if "$ref" in made else made)}


def _has(key: str) -> Schema:
    return {"type": "object", "required": [key]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _name(ref: Schema) -> str:
    return str(ref["$ref"].rpartition("/")[2])


_PARTS = _ref("Parts")
_A_MODEL = [{"type": ["string", "null"]}, _ref("ModelConfig")]  # a name from conf/model, or the keys


def _ours(folder: str) -> list[str]:
    return list(listing(folder, packaged()))


def _stages() -> list[str]:
    """The names of our stages, for completion; others may exist."""
    files = listing("conf/pipeline", packaged()).values()
    return list(dict.fromkeys(str(stage) for file in files for stage in configfiles.load(file)))


if __name__ == "__main__":
    (packaged() / FILE).write_text(written(), encoding="utf-8")
