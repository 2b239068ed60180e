"""The typed shape of a recipe: which keys there are, what they mean and which values they take.

Two kinds of key are told apart. Most shape the data; those marked `Machine` belong to the machine or the
moment (concurrency, timeouts, addresses) and may change between two starts of one run. To add a key, add a
field here: `check`, the refusal to continue a changed run and the documentation all follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from selfinstruct.where import Conditions


class Machine:
    """Marks a key that changes nothing but how and where a run is done."""


class OnDisk:
    """Marks a key that names a file or a folder; in a recipe it is one of the project (`paths`)."""


class SinceSet:
    """Marks a key that an earlier version did not have: it belongs to a run's shape only where it is set."""


AFTER, BEFORE = "after", "before"  # the keys of a stage or a filter that say where it goes


@dataclass(frozen=True)
class Asks:
    """Marks an option that says which model a part asks; the part gets its `ModelConfig`.

    Attributes:
        group: below `conf/`, the folder whose files a recipe may name; it may give a model's keys instead:
            those that differ from the recipe's model for one of `model`, else all that it needs.
        vectors: whether it is asked for the vectors of texts.
    """

    group: str = "model"
    vectors: bool = False


class Strict(BaseModel):
    """Refuses unknown keys and does not convert between types."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True, allow_inf_nan=False)


class Component(BaseModel):
    """A named part from a registry; what is not `kind` is an option of that part."""

    model_config = ConfigDict(extra="allow", strict=True)

    kind: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """The options, as the recipe has them."""
        return dict(self.model_extra or {})


def _sane(value: Any, where: str = "") -> Any:
    """Parameters of a request in which every number can be sent and none is beyond what a model may take.

    Raises:
        ValueError: naming the first that is not.
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


# The largest numbers that a parameter of a request may have; of the others, what 64 bits hold.
LARGEST = {
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "min_tokens", "num_predict"), 10_000_000),
    **dict.fromkeys(("n_predict", "num_ctx"), 10_000_000),
    **dict.fromkeys(("n", "best_of"), 1_000),
}
Sampling = Annotated[dict[str, Any], AfterValidator(_sane)]


class PriceConfig(Strict):
    """What a model costs, in US dollars for a million tokens."""

    input: float = Field(ge=0, le=1_000_000, description="of what is sent")
    output: float = Field(ge=0, le=1_000_000, description="of what comes back")


class ModelConfig(Strict):
    """A model and how to talk to it."""

    kind: str = Field("litellm", description="litellm, local (embedded) or scripted (tests only)")
    name: str = Field(description="the name LiteLLM knows it by, provider first: openai/gpt-4o-mini")
    mode: Literal["chat", "completion"] = Field("chat", description="which kind of request it takes")
    api_base: Annotated[str | None, Machine] = Field(None, description="address of its server")
    api_key_env: Annotated[str | None, Machine] = Field(
        None, description="environment variable that holds its key"
    )
    concurrency: Annotated[int, Machine] = Field(
        8,
        ge=1,
        le=10_000,
        description="requests in flight at most; fewer for a while when the provider asks for it",
    )
    requests_per_minute: Annotated[float | None, Machine] = Field(
        None, ge=0.01, le=1_000_000, description="never more in any minute"
    )
    tokens_per_minute: Annotated[float | None, Machine] = Field(
        None, ge=1, le=10_000_000_000, description="never more in any minute, of prompts and replies together"
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
        description="in order, the models that take over a request that this one has given up: names from "
        "conf/model, or the keys that differ",
    )
    price: Annotated[PriceConfig | None, Machine] = Field(
        None, description="for a model whose price LiteLLM does not know, or to correct it"
    )
    sampling: Sampling = Field(
        default_factory=dict,
        description="has the last word over each stage's own sampling; null leaves a parameter out",
    )
    seeded: bool = Field(False, description="send each request a seed of its own")
    options: dict[str, Any] = Field(default_factory=dict, description="what only this kind knows")
    _clearance: tuple[object, ...] = PrivateAttr(())

    def clear(self, known: bool = True) -> None:
        """Let the model have its key, as its keys are now; `trust` says when.

        Args:
            known: whether its server is its provider's, or one that the user named.
        """
        self._clearance = (self.name, self.api_base, self.api_key_env, known)

    @property
    def cleared(self) -> bool:
        """Whether it may have its key; not where its name, its address or its key is another by now."""
        return self._clearance[:3] == (self.name, self.api_base, self.api_key_env)

    @property
    def strange(self) -> bool:
        """Whether a recipe alone names its server, so that it gets nothing but what is asked."""
        return not (self.cleared and self._clearance[-1])


class SeedsConfig(Strict):
    """The seed tasks, and what to take from their file."""

    path: Annotated[str, OnDisk] = Field(
        description="a file (JSONL, JSON, CSV, TSV, Parquet or text; gzipped or not) or a folder (Parquet, "
        "or saved by datasets), looked for in your folder, then among ours"
    )
    columns: dict[str, str | list[str] | None] = Field(
        default_factory=dict,
        description="by field (instruction, input, output, or any other), the column that holds it, or those "
        "that may, the first that is there; messages: the column that holds a list of turns",
    )
    language: str = Field("en", description="language of the seeds, as a BCP 47 tag; picks what a word is")
    instances_key: str | None = Field(
        None,
        description="the list in a line that holds its instances: a prompt shows the first, an export all",
    )
    where: Conditions = Field(
        default_factory=dict,
        description="take only the lines whose fields fit: a value, a list, or {not: …}, {at_least: …}",
    )


class MixConfig(Strict):
    """How many examples a prompt shows, and from where."""

    examples: int = Field(8, ge=1, le=1_000, description="few-shot examples in a prompt")
    generated: int = Field(
        2, ge=0, le=1_000, description="of these, how many that the model wrote, once there are so many"
    )

    @property
    def machine(self) -> int:
        """What `generated` was called before, for plug-ins of then."""
        return self.generated


class PlacedConfig(Component):
    """A part that goes somewhere among others; what is not named here is an option of its kind."""

    after: Annotated[str | None, SinceSet] = Field(
        None, description="goes right after the one of this name, whatever file names it first"
    )
    before: Annotated[str | None, SinceSet] = Field(
        None, description="goes right before the one of this name"
    )


class FilterConfig(PlacedConfig):
    """One check; what is not named here is an option of its kind."""


class StageConfig(PlacedConfig):
    """One stage of the pipeline; what is not named here is an option of its kind."""

    model: str | dict[str, Any] | None = Field(
        None, description="a model of its own: a name from conf/model, or the keys that differ"
    )


class ExportConfig(Component):
    """One file to write; what is not named here is an option of its format."""

    of: str | None = Field(None, description="the stage whose records to write; the last that makes some")
    where: Conditions = Field(
        default_factory=dict,
        description="write only the records whose fields fit: a value, a list, or {not: …}, {at_least: …}; a "
        "seed task that lacks such a field is written",
    )
    seed_tasks: bool = Field(False, description="write the seed tasks too")
    shuffle: bool = Field(False, description="shuffle the rows")
    file: str | None = Field(
        None, description="name of the file in dataset/, which ends in .jsonl or .json; `<name>.jsonl`"
    )
    columns: list[str] = Field(
        default_factory=list,
        description="what goes into the rows beside the format's own: fields of the records, labels too; id, "
        "parent, request and model; what filters tell of a record (score, nearest, within_passage …). Null "
        "in a row whose record has none. A field comes before what else has its name",
    )


class PromptConfig(Strict):
    """A stage's text and how its reply is read."""

    style: Literal["completion", "chat"] = Field("completion", description="what it is written for")
    system: str | None = Field(None, description="template of the system message")
    template: str | None = Field(None, description="Jinja template of the text or the user's message")
    variables: dict[str, Any] = Field(default_factory=dict, description="names for the templates")
    sampling: Sampling = Field(
        default_factory=dict, description="max_tokens, temperature, stop …; stop strings are templates too"
    )
    parse: Component | None = Field(None, description="how the reply is read")
    when_too_long: Literal["reject", "shorten"] = Field(
        "reject",
        description="where prompt and reply are too long for the model together: reject the request, or ask "
        "again with max_tokens * 0.8, as often as model.retries says, as the original does",
    )
    constrain: bool = Field(
        False, description="ask the provider to hold a chat model to the JSON that is read (response_format)"
    )
    variants: dict[str, VariantConfig] = Field(
        default_factory=dict,
        description="ways to ask, picked by the field that the stage names in `by` or drawn",
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
    """Where a run stops; it goes on from there with a larger budget."""

    usd: float | None = Field(None, gt=0, le=1_000_000_000, description="US dollars")
    tokens: int | None = Field(None, gt=0, le=10**15, description="tokens sent and received")
    requests: int | None = Field(
        None, gt=0, le=10**12, description="prompts and requests for vectors sent, each attempt counted"
    )


class CacheConfig(Strict):
    """The replies that all your runs share."""

    path: Annotated[str | None, OnDisk] = Field(
        None, description="an SQLite file; in your cache folder unless given"
    )
    max_gb: float = Field(5, gt=0, le=1_000_000, description="its largest size; the oldest replies go first")
    wait: bool = Field(
        False,
        description="wait for a reply that another run is asking for, and pay for it once; always in a sweep "
        "whose jobs run side by side",
    )


def _listed(value: Any) -> Any:
    """`trust=HOST` for `trust=[HOST]`."""
    return [value] if isinstance(value, str) else value


def _off(value: Any) -> Any:
    """`cache=off`; YAML makes a boolean of an unquoted off."""
    return None if value is False or value == "off" else value


class RecipeConfig(Strict):
    """A whole recipe, as Hydra composed it."""

    seeds: SeedsConfig
    model: ModelConfig
    mix: MixConfig
    pipeline: dict[str, StageConfig] = Field(min_length=1, description="the stages, in order")
    prompts: dict[str, PromptConfig] = Field(description="one section a stage")
    filters: dict[str, dict[str, FilterConfig | None]] = Field(
        default_factory=dict, description="one section a stage: its checks by name, in order; null drops one"
    )
    schemas: dict[str, dict[str, Any]] = Field(
        alias="schema", description="one JSON Schema (2020-12) a stage, and one for the seeds"
    )
    export: dict[str, ExportConfig] = Field(default_factory=dict, description="the files to write, by name")
    target: int = Field(
        100, ge=1, le=100_000_000, description="records to accept in each bootstrap or documents stage"
    )
    seed: int = Field(0, ge=-(2**63), le=2**63 - 1, description="the seed of every random choice")
    budget: Annotated[BudgetConfig, Machine] = Field(
        BudgetConfig.model_validate({}), description="stop when so much was spent in this run"
    )
    cache: Annotated[CacheConfig | None, Machine, BeforeValidator(_off)] = Field(
        CacheConfig.model_validate({}), description="replies shared by all runs; off to pay for each again"
    )
    trust: Annotated[list[str], Machine, BeforeValidator(_listed)] = Field(
        default_factory=list,
        description="servers that may have the key which the recipe sends there, HOST or HOST:PORT; on the "
        "command line only",
    )
    run_dir: Annotated[str | None, Machine, OnDisk] = Field(None, description="run folder; `runs/<recipe>`")
    objective: Annotated[str, Machine] = Field(
        "acceptance_rate",
        description="what the jobs of a sweep are compared by: a figure, or a product of several (a*b)",
    )
    replay: Annotated[str | None, Machine, OnDisk] = Field(
        None, description="a run folder whose replies are read again under these settings; asks no model"
    )
    scratch: Annotated[str | None, Machine, OnDisk] = Field(
        None,
        description="a folder on local disk to work in, whose files go to the run folder at the end; needed "
        "where that is on a network file system, and then found by itself unless given",
    )
    fresh: Annotated[bool, Machine] = Field(False, description="set an old run aside and start anew")
    repair: Annotated[bool, Machine] = Field(
        False,
        description="mend a damaged journal: keep what is whole, and make or ask the rest again; the damaged "
        "file is kept too",
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
