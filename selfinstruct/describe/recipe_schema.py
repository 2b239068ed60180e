"""The JSON Schema of the recipe format, for editors: keys complete, and typos are underlined while typing.

It is made from the types in `config` and the factories of the registries, and shipped as
`conf/recipe.schema.json`. After a change to either, write it anew with
`python -m selfinstruct.describe.recipe_schema`; a test fails until then.
It is of draft 7, which editors know best.

Recipes are partial, since they override: no key is required. What a part without `kind` is cannot be seen in
the file, so it may have the options of any kind, all of one. Anything may be `${another.key}` instead.
"""

from __future__ import annotations

import json
import re
from typing import Any

from selfinstruct.config import ExportConfig, FilterConfig, RecipeConfig, StageConfig
from selfinstruct.export import EXPORTS
from selfinstruct.filters import FILTERS
from selfinstruct.llm import MODELS
from selfinstruct.parse import PARSERS
from selfinstruct.project import configfiles
from selfinstruct.project.layout import FOLDERS, GROUPS, listing, packaged
from selfinstruct.project.parts import PARTS
from selfinstruct.project.renamed import options as renamed_options
from selfinstruct.registry import Registry
from selfinstruct.stages import STAGES

FILE = "conf/recipe.schema.json"
Schema = dict[str, Any]

_REF = "#/definitions/{model}"
_LINK = r"\$\{"  # ${another.key}
_OPEN: Schema = {
    "type": ["object", "string"],
    "pattern": _LINK,
    "propertyNames": {"not": {"const": "_target_"}},
}
_OF_ONE = ("title", "required", "default")  # what a partial recipe does not have to heed
_TYPES = ["string", "number", "integer", "boolean", "object", "array", "null"]
_JSON_SCHEMA: Schema = {  # as far as it helps while typing; check has the whole of it
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
    """The schema, made anew."""
    whole = _loosened(RecipeConfig.model_json_schema(ref_template=_REF))
    known: Schema = whole.pop("$defs")
    for name in ("Component", "ExportConfig", "FilterConfig", "StageConfig"):  # their registries know more
        del known[name]
    known["JsonSchema"] = _JSON_SCHEMA
    known["Filter"] = _parts(FILTERS, _own(FilterConfig), known, "null")  # which takes a filter away
    known["Parser"] = _parts(PARSERS, {}, known)
    known["Stage"] = _parts(STAGES, _own(StageConfig), known)
    known["Export"] = _parts(EXPORTS, _own(ExportConfig), known)
    known["Stage"]["properties"]["model"] = _model("a model of its own: a name from conf/model, or the keys")
    for name in STAGES.names():
        known[f"Stage.{name}"]["properties"]["model"] = known["Stage"]["properties"]["model"]
    for prompt in ("PromptConfig", "VariantConfig"):
        known[prompt]["properties"]["parse"] = _to("Parser", "how the reply is read")
    _options_of_models(known)
    groups: Schema = whole["properties"]
    groups["filters"]["additionalProperties"] = _by_name(FILTERS, "Filter")
    groups["export"] |= {
        key: _by_name(EXPORTS, "Export")[key] for key in ("properties", "additionalProperties")
    }
    groups["pipeline"]["additionalProperties"] = _ref("Stage")
    groups["schema"]["additionalProperties"] = _ref("JsonSchema")
    groups["cache"]["anyOf"].append({"enum": [False, "off"]})
    for group in ("pipeline", "prompts", "filters", "schema"):
        groups[group]["properties"] = dict.fromkeys(_stages(), groups[group]["additionalProperties"])
    groups["pipeline"]["propertyNames"] = {"pattern": r"^\w[\w-]*$", "not": {"enum": ["seeds", "rejected"]}}
    for group in GROUPS:  # a mapping in a recipe; a file for it is chosen in the defaults list
        groups[group] = _mapping(groups[group], known)
    groups["defaults"] = _defaults()
    adds = "files of conf/parts, each of which adds a stage or a filter"
    groups[PARTS] = {**_names_of(PARTS), "description": adds}
    for group, model in (("seeds", "SeedsConfig"), ("mix", "MixConfig")):
        for keys in (known[model], groups[group]):
            keys["properties"] = {**keys["properties"], **_renamed(group)}
    about = "A selfinstruct recipe: what differs from the recipes and groups that its defaults list names."
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "made by python -m selfinstruct.describe.recipe_schema; do not edit",
        "title": "selfinstruct recipe",
        "description": about,
        "type": "object",
        "properties": groups,
        "additionalProperties": False,
        "definitions": dict(sorted(known.items())),
    }


def written() -> str:
    """The schema as it is shipped."""
    return json.dumps(recipe_schema(), indent=1, ensure_ascii=False) + "\n"


def _parts(registry: Registry[Any], base: Schema, known: Schema, *also: str) -> Schema:
    """A part that `kind` picks from a registry, or a value of another type; without it, any one's options."""
    refs = []
    for name in registry.names():
        title = f"{registry.kind.split()[0].capitalize()}.{name}"
        known[title] = {**_entry(registry, name, base, known), "type": ["object", "string", *also]}
        refs.append((name, _ref(title)))
    picked = [{"if": _has("kind", {"const": name}), "then": ref} for name, ref in refs]
    kinds = {"description": f"which {registry.kind}", **_interpolated({"enum": [name for name, _ in refs]})}
    return {
        "type": ["object", "string", *also],
        "pattern": _LINK,
        "properties": {"kind": kinds, **base},
        "if": _has("kind"),
        "then": {"allOf": picked},
        "else": {"anyOf": [ref for _, ref in refs]},
    }


def _entry(registry: Registry[Any], name: str, base: Schema, known: Schema) -> Schema:
    """The options of one entry, described as in its docstring."""
    made = _loosened(registry.options(name).model_json_schema(ref_template=_REF))
    known.update(made.pop("$defs", {}))
    summary, options = _described(registry.doc(name))
    for option, words in options.items():
        made["properties"][option] = {**made["properties"][option], "description": words}
    own = {"kind": {"type": "string"}, **base}
    section = {"stages": "pipeline"}.get(registry.group, registry.group)
    made["properties"] = {**own, **made.get("properties", {}), **_renamed(section, name)}
    return {"description": summary, **made}


def _renamed(section: str, kind: str = "") -> Schema:
    """The old names of keys, so that an editor strikes them through rather than underlines them."""
    return {
        old: {"description": f"called {new} now", "deprecated": True}
        for old, new in renamed_options(section, kind).items()
    }


def _names_of(folder: str) -> Schema:
    """One or several names of files of ours; there may be others."""
    name: Schema = {"anyOf": [{"enum": sorted(_ours(f"conf/{folder}"))}, {"type": "string"}]}
    return {"anyOf": [name, {"type": "array", "items": name}]}


def _described(doc: str) -> tuple[str, dict[str, str]]:
    """A docstring's first paragraph, and what it says of each argument."""
    before, _, after = doc.partition("Args:\n")
    found: dict[str, str] = {}
    for name, words in re.findall(r"^    (\w+): ((?:.|\n(?!    \w+: |\S))*)", after, re.MULTILINE):
        found[name] = " ".join(words.split())
    return " ".join(before.split()), found


def _by_name(registry: Registry[Any], title: str) -> Schema:
    """Parts whose key names their kind unless they have one."""
    entries = {
        name: {
            "description": registry.summary(name),
            "if": _has("kind"),
            "then": _ref(title),
            "else": _ref(f"{title}.{name}"),
        }
        for name in registry.names()
    }
    return {
        "type": ["object", "string"],
        "pattern": _LINK,
        "properties": entries,
        "additionalProperties": _ref(title),
    }


def _options_of_models(known: Schema) -> None:
    """A model's options are those of its kind."""
    options = _parts(MODELS, {}, known)
    model = known["ModelConfig"]
    names = MODELS.names()
    for name in names:  # they stand in `options`, which has no kind
        del known[f"Kind.{name}"]["properties"]["kind"]
    model["properties"]["kind"] = {**model["properties"]["kind"], **options["properties"]["kind"]}
    picked = [
        {"if": _has("kind", {"const": name}), "then": {"properties": {"options": _ref(f"Kind.{name}")}}}
        for name in names
    ]
    anyone = {"properties": {"options": {"anyOf": [_ref(f"Kind.{name}") for name in names]}}}
    model |= {"if": _has("kind"), "then": {"allOf": picked}, "else": anyone}
    model["properties"]["fallbacks"]["items"] = _model("a name from conf/model, or the keys that differ")


def _model(words: str) -> Schema:
    return {"description": words, "anyOf": [{"type": ["string", "null"]}, _ref("ModelConfig")]}


def _mapping(group: Schema, known: Schema) -> Schema:
    """A group as it stands in a recipe, where its whole cannot be another key's."""
    for whole in [*group.pop("allOf", []), *([{"$ref": group.pop("$ref")}] if "$ref" in group else [])]:
        group = {**known[whole["$ref"].rpartition("/")[2]], **group}
    return {**{key: value for key, value in group.items() if not key.startswith("pattern")}, "type": "object"}


def _defaults() -> Schema:
    """The list of what a recipe starts from: recipes, and files for groups."""
    file = {"type": ["string", "array"]}
    choices = {
        f"override /{group}": {"anyOf": [{"enum": sorted(_ours(f"conf/{group}"))}, file]} for group in GROUPS
    }
    stages_own = r"^/model@pipeline\.[\w-]+\.model$"  # a file of conf/model for one stage
    choices[f"/{PARTS}"] = _names_of(PARTS)
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
    """What pydantic says of a type, for a partial recipe."""
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
    if "$ref" in made:  # draft 7 heeds nothing beside it
        made = {"allOf": [{"$ref": made.pop("$ref")}], **made} if len(made) > 1 else made
    if made.get("additionalProperties") is True:
        made = {**made, **_OPEN}
        del made["additionalProperties"]
    return _interpolated(made)


def _interpolated(node: Schema) -> Schema:
    """The same, or the text of an interpolation."""
    kind = node.get("type")
    if "enum" in node or "const" in node:
        plain = {key: node[key] for key in ("enum", "const") if key in node}
        rest = {key: value for key, value in node.items() if key not in (*plain, "type")}
        return {**rest, "anyOf": [plain, {"type": "string", "pattern": _LINK}]}
    if kind in ("integer", "number", "boolean", "object", "array"):
        told = f"Expected {kind}, or ${{another.key}}."
        return {**node, "type": [kind, "string"], "pattern": _LINK, "patternErrorMessage": told}
    return node


def _own(config: Any) -> Schema:
    """The keys that a part has beside its options."""
    properties: Schema = _loosened(config.model_json_schema(ref_template=_REF))["properties"]
    return {key: value for key, value in properties.items() if key != "kind"}


def _has(key: str, value: Schema | None = None) -> Schema:
    return {"type": "object", "required": [key], **({"properties": {key: value}} if value else {})}


def _ref(name: str) -> Schema:
    return {"$ref": _REF.format(model=name)}


def _to(name: str, words: str) -> Schema:
    return {"description": words, "anyOf": [_ref(name), {"type": "null"}]}


def _ours(folder: str) -> list[str]:
    return list(listing(folder, packaged()))


def _stages() -> list[str]:
    """The stages of our pipelines, to complete; there may be others."""
    files = listing("conf/pipeline", packaged()).values()
    return list(dict.fromkeys(str(stage) for file in files for stage in configfiles.load(file)))


if __name__ == "__main__":
    (packaged() / FILE).write_text(written(), encoding="utf-8")
