"""What a recipe can say, as plain data: the keys of its sections, and the entries of its registries.

Keys come from the models in `config`, options from the signatures and docstrings of the factories. Four
readers show this to people: the reference page (`reference`), the schema for editors (`recipe_schema`), and
in `catalogue` the lists of `check --list` and the help on one entry, `check --list filters.rouge_l`. To add a
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
    "prompts.STAGE.messages.N": config.MessageConfig,
    "prompts.STAGE.messages.N.examples": config.ExampleConfig,
    "prompts.STAGE.variants.VARIANT": config.VariantConfig,
    "prompts.STAGE.parse": config.ParseConfig,
    "export.NAME": config.ExportConfig,
    "budget": config.BudgetConfig,
    "cache": config.CacheConfig,
    "executor": config.ExecutorConfig,
    "report": config.ReportConfig,
    "train": config.TrainConfig,
    "finetune": config.FinetuneConfig,
    "eval": config.EvalConfig,
    "eval.judge": config.JudgeConfig,
    "review": config.ReviewConfig,
    "review.questions.NAME": config.QuestionConfig,
    "review.questions.NAME.choices.VALUE": config.ChoiceConfig,
}


@dataclass(frozen=True)
class Offer:
    """A registry, from a recipe's point of view.

    Attributes:
        registry: the registry.
        title: the name for its entries together, in a heading.
        place: the place in a recipe that names one, in words.
        word: the name for one of them in the schema; empty if no `kind` picks one.
        section: the section that holds the options; empty if the options are not in a section.
        instead: the JSON types that a recipe may have in place of its mapping.
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
        "`pipeline.STAGE.kind`; its options are beside `kind`.",
        word="Stage",
        section="pipeline.STAGE",
    ),
    Offer(
        PARSERS,
        "Parsers",
        "`prompts.STAGE.parse.kind`; its options are beside `kind`.",
        word="Parser",
        section="prompts.STAGE.parse",
    ),
    Offer(
        FILTERS,
        "Filters",
        "`filters.STAGE.NAME`. The name of a check is also its kind, unless `kind` sets another. "
        "Options are beside `kind`; null in place of a check removes it.",
        word="Filter",
        section="filters.STAGE.NAME",
        instead=("null",),
    ),
    Offer(
        EXPORTS,
        "Export formats",
        "`export.NAME`. The name is also the format, unless `kind` sets another. Options are beside `kind`.",
        word="Export",
        section="export.NAME",
    ),
    Offer(
        MODELS,
        "Kinds of model",
        "`model.kind`; its options are in `model.options`.",
        word="Model",
    ),
    Offer(
        TOKENIZERS,
        "Tokenizers",
        "The option `tokenizer` of a filter; without it the language decides.",
    ),
)


@dataclass(frozen=True)
class Key:
    """A key of a section, or an option of an entry.

    Attributes:
        name: its name in a recipe.
        schema: the values that it takes, as a JSON Schema; `#/$defs/NAME` is a section, or one of the shapes
            of an entry.
        required: whether it has no default.
        default: its value if a recipe does not set it, as JSON.
        machine: whether it may change when a run continues.
        words: its description.
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
        words: its description.
        keys: its own keys.
        base: the place of another section whose keys it also has; None if there is none.
    """

    name: str
    words: str
    keys: Keys
    base: str | None = None


@dataclass(frozen=True)
class Entry:
    """What a name of a registry means.

    Attributes:
        name: its name in a recipe.
        origins: where it comes from: `built in`, or a distribution and its version.
        words: its description: the docstring up to its arguments.
        keys: its options.
        shapes: the JSON Schemas, by name, of option values that have keys of their own.
        fault: why it cannot be used, if so; then its words and its options are not known.
    """

    name: str
    origins: tuple[str, ...]
    words: str = ""
    keys: Keys = ()
    shapes: Mapping[str, Schema] = field(default_factory=dict)
    fault: Fault | None = None

    @property
    def summary(self) -> str:
        """The first line of its description."""
        return self.words.split("\n")[0]


def sections() -> dict[str, Section]:
    """The sections of a recipe by their place."""
    return {place: _section(model) for place, model in SECTIONS.items()}


def entries(registry: Registry[Any]) -> list[Entry]:
    """The built-in entries of a registry, by name."""
    return [_entry(name, ["built in"], registry.factory(name)) for name in registry.names()]


def installed(registry: Registry[Any]) -> list[Entry]:
    """The entries that a recipe can name here and now, by name; plug-ins are imported."""
    return [found(registry, name) for name in registry.known()]


def found(registry: Registry[Any], name: str) -> Entry:
    """The entry of a name here and now; a plug-in that provides it is imported.

    Raises:
        KeyError: if there is no such name.
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
    """A docstring's text, and its text about each argument."""
    words, _, arguments = _words(factory).partition("\nArgs:\n")
    arguments = re.split(r"\n\S", arguments)[0]  # up to the next section
    about = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", arguments, re.MULTILINE)
    return words.strip(), {name: " ".join(said.split()) for name, said in about}


def _keys(model: type[BaseModel], made: Schema, about: Mapping[str, str] = MappingProxyType({})) -> Keys:
    """The fields of a model; `about` describes those that have no description."""
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
    own = made["$defs"][made["$ref"].rpartition("/")[2]] if "$ref" in made else made  # if it refers to itself
    return {**made, **own}


class _Lenient(GenerateJsonSchema):
    """Accepts any type that JSON Schema cannot express; a plug-in's option may have one."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Schema:
        """No bounds."""
        return {}
