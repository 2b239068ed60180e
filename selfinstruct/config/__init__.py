"""The typed shape of a recipe: its keys, their meanings and the values they take.

There are two sorts of keys. Most shape the data; those marked `Machine` belong to the machine or the moment
(concurrency, timeouts, addresses) and may change between two starts of one run. To add a key, add a field
here: `check`, the refusal to continue a changed run and the documentation use it automatically.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from selfinstruct.config.keys import (
    AFTER,
    BEFORE,
    LARGEST,
    Asks,
    Component,
    Machine,
    OnDisk,
    Sampling,
    SinceSet,
    Strict,
    off,
)
from selfinstruct.config.output import (
    PAGE_KEYS,
    ChoiceConfig,
    ExportConfig,
    QuestionConfig,
    ReportConfig,
    ReviewConfig,
)
from selfinstruct.config.parts import (
    ExampleConfig,
    FilterConfig,
    MessageConfig,
    MixConfig,
    ModelConfig,
    ParseConfig,
    PlacedConfig,
    PriceConfig,
    PromptConfig,
    SeedsConfig,
    StageConfig,
    VariantConfig,
)
from selfinstruct.config.tuning import EvalConfig, FinetuneConfig, JudgeConfig, TrainConfig

__all__ = [
    "AFTER",
    "BEFORE",
    "LARGEST",
    "PAGE_KEYS",
    "Asks",
    "BudgetConfig",
    "CacheConfig",
    "ChoiceConfig",
    "Component",
    "EvalConfig",
    "ExampleConfig",
    "ExecutorConfig",
    "ExportConfig",
    "FilterConfig",
    "FinetuneConfig",
    "JudgeConfig",
    "Machine",
    "MessageConfig",
    "MixConfig",
    "ModelConfig",
    "OnDisk",
    "ParseConfig",
    "PlacedConfig",
    "PriceConfig",
    "PromptConfig",
    "QuestionConfig",
    "RecipeConfig",
    "ReportConfig",
    "ReviewConfig",
    "Sampling",
    "SeedsConfig",
    "SinceSet",
    "StageConfig",
    "Strict",
    "TrainConfig",
    "VariantConfig",
    "shaping",
]


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


class ExecutorConfig(Strict):
    """Where a run's requests are sent from, and where its models run."""

    kind: Literal["local", "ray"] = Field(
        "local", description="local: this process; ray: workers on a Ray cluster"
    )
    address: str | None = Field(
        None,
        min_length=1,
        description="HOST:PORT of a Ray cluster; by default that of RAY_ADDRESS, or else one on this machine "
        "that the run starts and ends",
    )
    workers: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="how many; by default one on each machine, or as many as have GPUs if each needs some",
    )
    cpus: float = Field(1, ge=0, le=10_000, description="CPUs for each worker")
    gpus: float = Field(0, ge=0, le=1_000, description="GPUs for each worker, if the model runs in it")


def _listed(value: Any) -> Any:
    """`trust=HOST` for `trust=[HOST]`."""
    return [value] if isinstance(value, str) else value


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
        100,
        ge=1,
        le=100_000_000,
        description="records to accept in each bootstrap, documents or records stage",
    )
    seed: int = Field(0, ge=-(2**63), le=2**63 - 1, description="the seed of every random choice")
    budget: Annotated[BudgetConfig, Machine] = Field(
        BudgetConfig.model_validate({}), description="stop when this run has spent so much"
    )
    cache: Annotated[CacheConfig | None, Machine, BeforeValidator(off)] = Field(
        CacheConfig.model_validate({}),
        description="the replies shared by all runs; off to pay for every reply again",
    )
    executor: Annotated[ExecutorConfig, Machine] = Field(
        ExecutorConfig.model_validate({}), description="where requests are sent from and models run"
    )
    license: Annotated[str | None, Machine] = Field(
        None,
        description="its licence, for the header of dataset/README.md: cc-by-4.0, apache-2.0 …",
    )
    report: Annotated[ReportConfig | None, Machine, BeforeValidator(off)] = Field(
        ReportConfig.model_validate({}),
        description="report.html at the end of a run; off to write none",
    )
    review: Annotated[ReviewConfig | None, Machine] = Field(
        None, description="the questions that people answer about records"
    )
    train: Annotated[TrainConfig | None, Machine] = Field(
        None, description="how `finetune` tunes a model on the dataset"
    )
    finetune: Annotated[FinetuneConfig, Machine] = Field(
        FinetuneConfig.model_validate({}), description="which examples `finetune` takes"
    )
    eval: Annotated[EvalConfig | None, Machine] = Field(
        None, description="the tasks that a model answers, for `evaluate` and `finetune`"
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
    elif isinstance(value, list):
        into[prefix] = [item.model_dump() if isinstance(item, BaseModel) else item for item in value]
    else:
        into[prefix] = value
