"""What a recipe can say, as plain data: the keys of its sections, and what its registries offer.

Keys come from the models of `config`, options from the signatures and docstrings of the factories. Four
readers show it to people: the reference page (`reference`), the schema for editors (`recipe_schema`), and in
`catalogue` the lists of `check --list` and the help on one entry, `check --list filters.rouge_l`. To add a
section of a recipe or a registry, add a line to `SECTIONS` or `REGISTRIES`: every reader then has it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticUndefined

from selfinstruct import config
from selfinstruct.errors import Fault
from selfinstruct.export import EXPORTS
from selfinstruct.filters import FILTERS
from selfinstruct.llm import MODELS
from selfinstruct.parse import PARSERS
from selfinstruct.plugins import PluginError
from selfinstruct.registry import Registry, options_of
from selfinstruct.stages import STAGES
from selfinstruct.text.tokenizers import TOKENIZERS

Schema = dict[str, Any]

SECTIONS: dict[str, type[BaseModel]] = {  # by their place in a recipe
    "": config.RecipeConfig,
    "seeds": config.SeedsConfig,
    "model": config.ModelConfig,
    "model.price": config.PriceConfig,
    "mix": config.MixConfig,
    "pipeline.STAGE": config.StageConfig,
    "filters.STAGE.NAME": config.FilterConfig,
    "prompts.STAGE": config.PromptConfig,
    "prompts.STAGE.variants.VARIANT": config.VariantConfig,
    "export.NAME": config.ExportConfig,
    "budget": config.BudgetConfig,
    "cache": config.CacheConfig,
}


@dataclass(frozen=True)
class Offer:
    """A registry as a recipe sees it.

    Attributes:
        registry: what it offers.
        title: what its entries are called together, in a heading.
        place: where a recipe names one, in words.
        word: what one of them is called in the schema; empty where no `kind` picks one.
        section: the section that holds the options; empty where they are alone.
        instead: the JSON types that a recipe may have in the place of its mapping.
    """

    registry: Registry[Any]
    title: str
    place: str
    word: str = ""
    section: str = ""
    instead: tuple[str, ...] = ()


REGISTRIES = (
    Offer(
        STAGES,
        "Kinds of stage",
        "`pipeline.STAGE.kind`; its options stand beside `kind`.",
        word="Stage",
        section="pipeline.STAGE",
    ),
    Offer(
        PARSERS,
        "Parsers",
        "`prompts.STAGE.parse.kind`; its options stand beside `kind`.",
        word="Parser",
    ),
    Offer(
        FILTERS,
        "Filters",
        "`filters.STAGE.NAME`. The name of a check is its kind too, unless `kind` says another. "
        "Options stand beside `kind`; null in the place of a check drops it.",
        word="Filter",
        section="filters.STAGE.NAME",
        instead=("null",),
    ),
    Offer(
        EXPORTS,
        "Export formats",
        "`export.NAME`. The name is the format too, unless `kind` says another. Options stand beside `kind`.",
        word="Export",
        section="export.NAME",
    ),
    Offer(
        MODELS,
        "Kinds of model",
        "`model.kind`; its options stand in `model.options`.",
        word="Model",
    ),
    Offer(
        TOKENIZERS,
        "Tokenizers",
        "The option `tokenizer` of a filter; without it the language picks one.",
    ),
)


@dataclass(frozen=True)
class Key:
    """A key of a section, or an option of an entry.

    Attributes:
        name: as a recipe has it.
        schema: the values that it takes, as a JSON Schema; `#/$defs/NAME` is a section, or one of the shapes
            of an entry.
        required: whether it has no default.
        default: its value where a recipe does not set it, as JSON has it.
        machine: whether it may change when a run goes on.
        words: what it is.
    """

    name: str
    schema: Schema
    required: bool
    default: Any
    machine: bool
    words: str


Keys = tuple[Key, ...]


@dataclass(frozen=True)
class Section:
    """A section of a recipe.

    Attributes:
        name: the name of its model.
        words: what it is.
        keys: its own keys.
        base: the place of the section whose keys it has too; None where there is none.
    """

    name: str
    words: str
    keys: Keys
    base: str | None = None


@dataclass(frozen=True)
class Entry:
    """What a name of a registry stands for.

    Attributes:
        name: as a recipe has it.
        origins: where it comes from: `built in`, or the distribution and its version.
        words: what it is: the docstring up to its arguments.
        keys: its options.
        shapes: what options hold that has keys of its own: a JSON Schema by its name.
        fault: why it cannot be used, where it cannot; then its words and its options are not known.
    """

    name: str
    origins: tuple[str, ...]
    words: str = ""
    keys: Keys = ()
    shapes: Mapping[str, Schema] = field(default_factory=dict)
    fault: Fault | None = None

    @property
    def summary(self) -> str:
        """The first line of its words."""
        return self.words.split("\n")[0]


def sections() -> dict[str, Section]:
    """The sections of a recipe by their place."""
    return {place: _section(model) for place, model in SECTIONS.items()}


def entries(registry: Registry[Any]) -> list[Entry]:
    """What a registry has built in, by name."""
    return [_entry(name, ["built in"], registry.factory(name)) for name in registry.names()]


def installed(registry: Registry[Any]) -> list[Entry]:
    """What a recipe can name here and now, by name: what plug-ins bring too, which are imported."""
    return [found(registry, name) for name in registry.known()]


def found(registry: Registry[Any], name: str) -> Entry:
    """What a name stands for here and now; a plug-in that brings it is imported.

    Raises:
        KeyError: if there is none of that name.
    """
    origins = registry.origins(name)
    try:
        return _entry(name, origins, registry.find(name))
    except PluginError as error:
        return Entry(name, tuple(origins), fault=Fault(registry.group, error.what, error.remedy))


def _entry(name: str, origins: Iterable[str], factory: Callable[..., Any]) -> Entry:
    words, about = _docstring(factory)
    model = options_of(factory)
    made = _json_schema(model)
    return Entry(name, tuple(origins), words, _keys(model, made, about), made.get("$defs", {}))


def _section(model: type[BaseModel]) -> Section:
    base = next((place for place, other in SECTIONS.items() if other in model.__bases__), None)
    inherited = SECTIONS[base].model_fields if base else {}
    keys = tuple(key for key in _keys(model, _json_schema(model)) if key.name not in inherited)
    return Section(model.__name__, _words(model), keys, base)


def _docstring(factory: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """What a docstring says, and what it says of each argument."""
    words, _, arguments = _words(factory).partition("\nArgs:\n")
    arguments = re.split(r"\n\S", arguments)[0]  # up to the next section
    about = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", arguments, re.MULTILINE)
    return words.strip(), {name: " ".join(said.split()) for name, said in about}


def _keys(model: type[BaseModel], made: Schema, about: Mapping[str, str] = MappingProxyType({})) -> Keys:
    """The fields of a model; `about` says of each what it is, where it does not say so itself."""
    named = {field.alias or name: field for name, field in model.model_fields.items()}
    properties = made.get("properties", {})
    return tuple(_key(name, field, properties[name], about.get(name, "")) for name, field in named.items())


def _key(name: str, made: FieldInfo, schema: Schema, about: str) -> Key:
    default = made.get_default(call_default_factory=True, validated_data={})
    required = default is PydanticUndefined or (name == "kind" and default == "")
    plain = None if required else {} if isinstance(default, BaseModel) else default
    bare = {key: value for key, value in schema.items() if key not in ("title", "default", "description")}
    words = made.description or about or ("which one, by name" if name == "kind" else "")
    if not words and "$ref" in bare:
        words = _words(made.annotation).split("\n")[0]
    return Key(name, bare, required, plain, config.Machine in made.metadata, words)


def _words(thing: Any) -> str:
    return inspect.getdoc(thing) or ""


def _json_schema(model: type[BaseModel]) -> Schema:
    made = model.model_json_schema(schema_generator=_Lenient)
    own = made["$defs"][made["$ref"].rpartition("/")[2]] if "$ref" in made else made  # it holds itself
    return {**made, **own}


class _Lenient(GenerateJsonSchema):
    """Lets a type be anything that JSON has no words for; the option of a plug-in may have one."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Schema:
        """No bounds."""
        return {}
