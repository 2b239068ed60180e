"""The typed shape of a recipe: its keys, their meanings and the values they take.

There are two sorts of keys. Most shape the data; those marked `Machine` belong to the machine or the moment
(concurrency, timeouts, addresses) and may change between two starts of one run. To add a key, add a field
here: `check`, the refusal to continue a changed run and the documentation use it automatically.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from selfinstruct.where import Conditions


class Machine:
    """Marks a key that only affects how and where a run is done."""


class OnDisk:
    """Marks a key that names a file or a folder; in a recipe it must be in the project (`paths`)."""


class SinceSet:
    """Marks a key that earlier versions did not have: it is part of a run's shape only if it is set."""


AFTER, BEFORE = "after", "before"  # the keys that give a stage or a filter its place


@dataclass(frozen=True)
class Asks:
    """Marks an option that says which model a part asks; the part gets its `ModelConfig`.

    Attributes:
        group: the folder below `conf/` with the files that a recipe may name. Instead it may give a model's
            keys: for `model` those that differ from the recipe's model, otherwise all keys of the model.
        vectors: whether it is asked for vectors of texts.
    """

    group: str = "model"
    vectors: bool = False


class Strict(BaseModel):
    """Refuses unknown keys and does not convert between types."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True, allow_inf_nan=False)


class Component(BaseModel):
    """A named part from a registry; all its keys except `kind` are options of that part."""

    model_config = ConfigDict(extra="allow", strict=True)

    kind: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """The options, as in the recipe."""
        return dict(self.model_extra or {})


def _sane(value: Any, where: str = "") -> Any:
    """The parameters of a request, if every number in them can be sent and none is implausibly large.

    Raises:
        ValueError: with the first parameter that is wrong.
    """
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        _sane(one, f"{where}.{key}".lstrip("."))
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{where} is not a finite number")
    most = LARGEST.get(where, 2**63 - 1)
    if isinstance(value, int | float) and abs(value) > most:
        raise ValueError(f"{where} is more than {most:,}; give it a smaller number")
    return value


# The largest plausible values of some parameters of a request; the others may have any 64-bit number.
LARGEST = {
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "min_tokens", "num_predict"), 10_000_000),
    **dict.fromkeys(("n_predict", "num_ctx"), 10_000_000),
    **dict.fromkeys(("n", "best_of"), 1_000),
}
Sampling = Annotated[dict[str, Any], AfterValidator(_sane)]


class PriceConfig(Strict):
    """The price of a model, in US dollars for a million tokens."""

    input: float = Field(ge=0, le=1_000_000, description="for tokens sent")
    output: float = Field(ge=0, le=1_000_000, description="for tokens received")


class ModelConfig(Strict):
    """A model and how to talk to it."""

    kind: str = Field("litellm", description="litellm, local (embedded) or scripted (tests only)")
    name: str = Field(description="its name in LiteLLM, with the provider first: openai/gpt-4o-mini")
    mode: Literal["chat", "completion"] = Field("chat", description="the kind of request that it takes")
    api_base: Annotated[str | None, Machine] = Field(None, description="address of its server")
    api_key_env: Annotated[str | None, Machine] = Field(
        None, description="environment variable that holds its key"
    )
    concurrency: Annotated[int, Machine] = Field(
        8,
        ge=1,
        le=10_000,
        description="the most requests in flight; fewer for a while if the provider asks for it",
    )
    requests_per_minute: Annotated[float | None, Machine] = Field(
        None, ge=0.01, le=1_000_000, description="the most requests in any minute"
    )
    tokens_per_minute: Annotated[float | None, Machine] = Field(
        None,
        ge=1,
        le=10_000_000_000,
        description="the most tokens in any minute, in prompts and replies together",
    )
    prompts_per_request: Annotated[int, Machine] = Field(
        1, ge=1, le=1_000, description="prompts sent as one request, in completion mode"
    )
    timeout: Annotated[float, Machine] = Field(
        120, gt=0, le=86_400, description="seconds to wait for a whole reply"
    )
    retries: Annotated[int, Machine] = Field(8, ge=0, le=1_000, description="attempts after the first")
    fallbacks: Annotated[list[str | dict[str, Any]], Machine] = Field(
        default_factory=list,
        description="the models that get a request which this one has given up, in order: names from "
        "conf/model, or the keys that differ",
    )
    price: Annotated[PriceConfig | None, Machine] = Field(
        None, description="for a model whose price LiteLLM does not know, or to correct it"
    )
    sampling: Sampling = Field(
        default_factory=dict,
        description="overrides each stage's own sampling; null leaves a parameter out",
    )
    seeded: bool = Field(False, description="send a different seed with each request")
    options: dict[str, Any] = Field(default_factory=dict, description="options that only this kind has")
    _clearance: tuple[object, ...] = PrivateAttr(())

    def clear(self, known: bool = True) -> None:
        """Allow the model to use its key, for its present keys; `trust` decides when.

        Args:
            known: whether its server is its provider's, or one that the user named.
        """
        self._clearance = (self.name, self.api_base, self.api_key_env, known)

    @property
    def cleared(self) -> bool:
        """Whether it may use its key; not if its name, its address or its key has changed since."""
        return self._clearance[:3] == (self.name, self.api_base, self.api_key_env)

    @property
    def strange(self) -> bool:
        """Whether only a recipe names its server, which then gets nothing but the requests."""
        return not (self.cleared and self._clearance[-1])


class SeedsConfig(Strict):
    """The seed tasks, and which parts of their file to use."""

    path: Annotated[str, OnDisk] = Field(
        description="a file (JSONL, JSON, CSV, TSV, Parquet or text; gzipped or not) or a folder (Parquet, "
        "or saved by datasets), in your folder, or else among ours"
    )
    columns: dict[str, str | list[str] | None] = Field(
        default_factory=dict,
        description="the column for each field (instruction, input, output, or any other), or several "
        "columns, of which the first that exists is used; messages: the column with a list of turns",
    )
    language: str = Field(
        "en", description="language of the seeds, as a BCP 47 tag; decides how to split text into words"
    )
    instances_key: str | None = Field(
        None,
        description="the key of the list of instances in a line: a prompt shows the first one, an export all",
    )
    where: Conditions = Field(
        default_factory=dict,
        description="take only the lines whose fields fit: a value, a list, or {not: …}, {at_least: …}",
    )


class MixConfig(Strict):
    """How many examples a prompt shows, and from where."""

    examples: int = Field(8, ge=1, le=1_000, description="few-shot examples in a prompt")
    generated: int = Field(
        2, ge=0, le=1_000, description="how many of these the model wrote, as soon as there are enough"
    )

    @property
    def machine(self) -> int:
        """The old name of `generated`, for plug-ins that use it."""
        return self.generated


class PlacedConfig(Component):
    """A part with a place among others; all keys not named here are options of its kind."""

    after: Annotated[str | None, SinceSet] = Field(
        None, description="goes right after the one with this name, in any order of the files"
    )
    before: Annotated[str | None, SinceSet] = Field(
        None, description="goes right before the one with this name"
    )


class FilterConfig(PlacedConfig):
    """One check; all keys not named here are options of its kind."""


class StageConfig(PlacedConfig):
    """One stage of the pipeline; all keys not named here are options of its kind."""

    model: str | dict[str, Any] | None = Field(
        None, description="its own model: a name from conf/model, or the keys that differ"
    )


def _shares(split: dict[str, float]) -> dict[str, float]:
    """The shares of splits, if there can be such splits.

    Raises:
        ValueError: with what is wrong.
    """
    for name, share in split.items():
        if not re.fullmatch(r"\w+", name) or name == "all":
            raise ValueError(f"{name!r} cannot be the name of a split; use letters, digits and _, not all")
        if share <= 0:
            raise ValueError(f"the share of {name} is {share:g}; a share is more than 0")
    if split and abs(sum(split.values()) - 1) > 1e-6:
        raise ValueError(f"the shares add up to {sum(split.values()):g}, not to 1")
    if len({name.casefold() for name in split}) < len(split):
        raise ValueError("two splits have names that differ only in case, so their files would be the same")
    return split


Share = Annotated[float, Field(ge=0, le=1)]


class ExportConfig(Component):
    """One file to write; all keys not named here are options of its format."""

    of: str | None = Field(
        None, description="the stage whose records to write; by default the last that makes records"
    )
    where: Conditions = Field(
        default_factory=dict,
        description="write only the records whose fields fit: a value, a list, or {not: …}, {at_least: …}; a "
        "seed task without such a field is written",
    )
    seed_tasks: bool = Field(False, description="write the seed tasks too")
    shuffle: bool = Field(False, description="shuffle the rows")
    file: str | None = Field(
        None,
        description="name of the file in dataset/; by default the export's name. The ending is that of the "
        "format, and a split puts its name before it: chat-train.parquet",
    )
    format: Literal["jsonl", "parquet", "csv"] = Field(
        "jsonl",
        description="jsonl; parquet, with one schema for all files; or csv for people, which opens in a "
        "spreadsheet, where no text is run as a formula",
    )
    split: Annotated[dict[str, Share], AfterValidator(_shares)] = Field(
        default_factory=dict,
        description="splits with their shares, such as {train: 0.95, validation: 0.05}. All records made "
        "from one instruction are in one split, always the same as the run grows; seed tasks are in train",
    )
    provenance: bool = Field(
        False,
        description="add the columns id, recipe, model, scores (those that checks and judges gave), parents "
        "(the ids of the records that it was made from) and edited (whether a reviewer has changed it)",
    )
    max_tokens: int | None = Field(
        None,
        ge=1,
        le=1_000_000_000,
        description="leave out rows with more tokens, counted by `tokenizer` in all their texts",
    )
    tokenizer: Annotated[str | None, OnDisk] = Field(
        None,
        description="what counts them: an encoding or a model of tiktoken (cl100k_base, gpt-4o), a "
        "tokenizer.json, or a model of the Hugging Face hub whose tokenizer.json is in the cache",
    )
    columns: list[str] = Field(
        default_factory=list,
        description="more columns for the rows, besides the format's own: fields of the records, labels too; "
        "id, parent, request and model; details that filters keep (score, nearest, within_passage …). Null "
        "in a row whose record has none. If a field has the same name as another, the field is used",
    )


class PromptConfig(Strict):
    """A stage's prompt, and how its reply is read."""

    style: Literal["completion", "chat"] = Field(
        "completion", description="the kind of model it is written for"
    )
    system: str | None = Field(None, description="template of the system message")
    template: str | None = Field(None, description="Jinja template of the text or the user's message")
    variables: dict[str, Any] = Field(
        default_factory=dict, description="names for use in the templates, with their values"
    )
    sampling: Sampling = Field(
        default_factory=dict, description="max_tokens, temperature, stop …; stop strings are templates too"
    )
    parse: Component | None = Field(None, description="how the reply is read")
    when_too_long: Literal["reject", "shorten"] = Field(
        "reject",
        description="what to do if prompt and reply together are too long for the model: reject the "
        "request, or ask again with max_tokens * 0.8, at most model.retries times, as the original does",
    )
    constrain: bool = Field(
        False,
        description="ask the provider to make a chat model write the JSON that is read (response_format)",
    )
    variants: dict[str, VariantConfig] = Field(
        default_factory=dict,
        description="variants of the prompt, picked by the field in the stage's `by`, or drawn",
    )


class VariantConfig(PromptConfig):
    """One variant of a prompt: the keys that differ from the prompt's own."""

    when: str | int | bool | None = Field(
        None, description="the value of the field in `by` that picks this variant"
    )
    where: Conditions = Field(
        default_factory=dict,
        description="draw it only for records whose fields fit: a value, a list, or {not: …}, {at_least: …}",
    )


class BudgetConfig(Strict):
    """The limits at which a run stops; it continues from there with larger limits."""

    usd: float | None = Field(None, gt=0, le=1_000_000_000, description="US dollars")
    tokens: int | None = Field(None, gt=0, le=10**15, description="tokens sent and received")
    requests: int | None = Field(
        None, gt=0, le=10**12, description="prompts and requests for vectors sent; every attempt counts"
    )


class CacheConfig(Strict):
    """The replies that all your runs share."""

    path: Annotated[str | None, OnDisk] = Field(
        None, description="an SQLite file; by default in your cache folder"
    )
    max_gb: float = Field(
        5, gt=0, le=1_000_000, description="its largest size; the oldest replies are deleted first"
    )
    wait: bool = Field(
        False,
        description="wait for a reply that another run is asking for, and pay for it once; always on in a "
        "sweep with jobs that run side by side",
    )


class ReportConfig(Strict):
    """The page that explains a run."""

    figures: Literal["page", "svg", "png"] = Field(
        "page", description="also write each figure as a file of this form, to figures/"
    )
    rows: int = Field(
        2000, ge=0, le=100_000, description="the most records, and the most rejections, in its tables"
    )


PAGE_KEYS = {"u": "undo", "c": "comment", "e": "edit", "?": "help"}  # of the page of a review


def _pressable(key: str) -> str:
    if key.lower() in PAGE_KEYS:
        raise ValueError(
            f"{key!r} is a key of the page itself ({PAGE_KEYS[key.lower()]}); choose another key"
        )
    if not key.isprintable() or key.isspace():
        raise ValueError(f"{key!r} is not a key with a sign; choose a letter or a digit")
    return key


def _apart(choices: dict[str, ChoiceConfig]) -> dict[str, ChoiceConfig]:
    """Choices without two that have the same key; capitals and small letters are the same key."""
    seen: dict[str, str] = {}
    for value, choice in choices.items():
        other = seen.setdefault(choice.key.lower(), value)
        if other != value:
            raise ValueError(
                f"{other} and {value} have the same key {choice.key!r}; give one of them another"
            )
    return choices


class ChoiceConfig(Strict):
    """An answer to a question of a review."""

    key: Annotated[str, AfterValidator(_pressable)] = Field(
        min_length=1, max_length=1, description="the key to press; u, c, e and ? are the page's own"
    )
    text: str = Field(min_length=1, description="its text on the page")


class QuestionConfig(Strict):
    """A question that people answer about a record."""

    text: str = Field(min_length=1, description="the question")
    choices: Annotated[dict[str, ChoiceConfig], AfterValidator(_apart)] = Field(
        min_length=2, description="the answers, by the value that is stored; the first is the good one"
    )


class ReviewConfig(Strict):
    """The questions that people answer about records, on the page of `selfinstruct review`."""

    questions: dict[str, QuestionConfig] = Field(min_length=1, description="the questions, by name, in order")


def _listed(value: Any) -> Any:
    """`trust=HOST` for `trust=[HOST]`."""
    return [value] if isinstance(value, str) else value


def _off(value: Any) -> Any:
    """`cache=off`; YAML reads an unquoted off as a boolean."""
    return None if value is False or value == "off" else value


class RecipeConfig(Strict):
    """A whole recipe, as Hydra composed it."""

    seeds: SeedsConfig
    model: ModelConfig
    mix: MixConfig
    pipeline: dict[str, StageConfig] = Field(min_length=1, description="the stages, in order")
    prompts: dict[str, PromptConfig] = Field(description="one section per stage")
    filters: dict[str, dict[str, FilterConfig | None]] = Field(
        default_factory=dict,
        description="one section per stage: its checks by name, in order; null removes one",
    )
    schemas: dict[str, dict[str, Any]] = Field(
        alias="schema", description="one JSON Schema (2020-12) per stage, and one for the seeds"
    )
    export: dict[str, ExportConfig] = Field(default_factory=dict, description="the files to write, by name")
    target: int = Field(
        100, ge=1, le=100_000_000, description="records to accept in each bootstrap or documents stage"
    )
    seed: int = Field(0, ge=-(2**63), le=2**63 - 1, description="the seed of every random choice")
    budget: Annotated[BudgetConfig, Machine] = Field(
        BudgetConfig.model_validate({}), description="stop when this run has spent so much"
    )
    cache: Annotated[CacheConfig | None, Machine, BeforeValidator(_off)] = Field(
        CacheConfig.model_validate({}),
        description="the replies shared by all runs; off to pay for every reply again",
    )
    license: Annotated[str | None, Machine] = Field(
        None,
        description="its licence, for the header of dataset/README.md: cc-by-4.0, apache-2.0 …",
    )
    report: Annotated[ReportConfig | None, Machine, BeforeValidator(_off)] = Field(
        ReportConfig.model_validate({}),
        description="report.html at the end of a run; off to write none",
    )
    review: Annotated[ReviewConfig | None, Machine] = Field(
        None, description="the questions that people answer about records"
    )
    trust: Annotated[list[str], Machine, BeforeValidator(_listed)] = Field(
        default_factory=list,
        description="servers that may get the key which the recipe sends there, HOST or HOST:PORT; only on "
        "the command line",
    )
    run_dir: Annotated[str | None, Machine, OnDisk] = Field(
        None, description="run folder; by default `runs/<recipe>`"
    )
    objective: Annotated[str, Machine] = Field(
        "acceptance_rate",
        description="how the jobs of a sweep are compared: by a figure, or a product of several (a*b)",
    )
    replay: Annotated[str | None, Machine, OnDisk] = Field(
        None, description="a run folder whose replies are read again with these settings; asks no model"
    )
    scratch: Annotated[str | None, Machine, OnDisk] = Field(
        None,
        description="a folder on local disk to work in; its files go to the run folder at the end; needed "
        "if that is on a network file system, and then chosen automatically unless given",
    )
    fresh: Annotated[bool, Machine] = Field(
        False, description="set an old run aside and start from the beginning"
    )
    repair: Annotated[bool, Machine] = Field(
        False,
        description="mend a damaged journal: keep the undamaged part, and make or ask for the rest again; "
        "the damaged file is also kept",
    )


def shaping(config: BaseModel) -> dict[str, Any]:
    """The keys that shape the data, flattened to dotted names; `target` is left out since it may grow."""
    flat: dict[str, Any] = {}
    _flatten(config, "", flat)
    flat.pop("target", None)
    return flat


def _flatten(value: Any, prefix: str, into: dict[str, Any]) -> None:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        items = {
            field.alias or name: getattr(value, name)
            for name, field in fields.items()
            if Machine not in field.metadata
            and not (SinceSet in field.metadata and getattr(value, name) is None)
        }
        value = {**items, **(value.model_extra or {})}
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            _flatten(inner, f"{prefix}.{key}" if prefix else str(key), into)
    else:
        into[prefix] = value
