"""What happens after a run: a model is tuned on its dataset, and models are evaluated.

No key here shapes the data of a run. `finetune` and `evaluate` read these sections.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from selfinstruct.config.keys import OnDisk, Strict, off
from selfinstruct.where import Conditions

Metric = Literal["rouge_l", "rouge_l_characters", "chrf", "exact_match"]


class FinetuneConfig(Strict):
    """Which examples a model is tuned on."""

    of: str | None = Field(
        None, description="the stage whose records to use; by default the last that makes records"
    )
    where: Conditions = Field(
        default_factory=dict,
        description="use only the records whose fields fit: a value, a list, or {not: …}, {at_least: …}",
    )
    records: Literal["accepted", "all", "none"] = Field(
        "accepted",
        description="accepted; all: also those that checks rejected, to see what the filters do; or none, "
        "to tune on the seed tasks alone",
    )
    seed_tasks: bool = Field(False, description="use the seed tasks too")
    examples: int | None = Field(
        None,
        ge=1,
        le=100_000_000,
        description="the most examples, drawn with the recipe's seed; a smaller number takes a part of the "
        "same ones. null uses all",
    )
    evaluate: bool = Field(True, description="evaluate the base and the tuned model, before and after")


class TrainConfig(Strict):
    """How a model is tuned."""

    kind: Literal["lora", "full", "files", "hosted"] = Field(
        description="lora or full: tune it here; files: write configs for other trainers; hosted: at a "
        "provider, through LiteLLM"
    )
    base: Annotated[str, OnDisk] = Field(
        "embedded",
        description="the model to tune: embedded, a GGUF file, a folder or a name of the Hugging Face hub; "
        "for hosted, the provider's name of it: openai/gpt-4.1-mini-2025-04-14",
    )
    epochs: float = Field(2.0, gt=0, le=1_000, description="how often each example is used")
    learning_rate: float = Field(2e-4, gt=0, le=1, description="the highest learning rate")
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="how the learning rate falls"
    )
    warmup: float = Field(0.03, ge=0, le=1, description="share of the steps in which the rate rises")
    weight_decay: float = Field(0.0, ge=0, le=1, description="weight decay of AdamW")
    batch_size: int = Field(8, ge=1, le=100_000, description="examples in a step")
    micro_batch: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="examples in memory at once, a divisor of batch_size; null: as many as have about a "
        "thousand tokens together. With less memory, set it lower",
    )
    max_tokens: int = Field(
        1024, ge=16, le=10_000_000, description="longer examples are left out, and counted"
    )
    packing: bool = Field(False, description="put several short examples into one row")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 on a GPU that has it, else float32"
    )
    rank: int = Field(16, ge=1, le=4_096, description="rank of the LoRA matrices")
    alpha: int = Field(32, ge=1, le=65_536, description="their weight; alpha / rank scales what they add")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout of the LoRA layers")
    layers: str | list[str] = Field(
        "all-linear", description="the layers that get LoRA matrices, as PEFT names them"
    )
    save_minutes: float = Field(
        5.0, gt=0, le=100_000, description="minutes between two checkpoints, from which it continues"
    )
    threads: int | None = Field(None, ge=1, le=10_000, description="threads; null: one for each core")
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="more arguments of TRL's SFTConfig, or a provider's hyperparameters",
    )
    api_base: str | None = Field(None, description="for hosted: address of the provider's server")
    api_key_env: str | None = Field(
        None, description="for hosted: environment variable that holds the provider's key"
    )
    price: float | None = Field(
        None, ge=0, le=1_000_000, description="for hosted: US dollars for a million tokens of training"
    )


class JudgeConfig(Strict):
    """Who judges the answers besides the metrics: a model, people, or both."""

    model: str | dict[str, Any] | None = Field(
        None,
        description="the judge: a name of conf/model, a GGUF file or the folder of a tuned model; or the "
        "keys in which it differs from conf/model/openai. null: no model judges",
    )
    people: bool = Field(
        False,
        description="prepare the answers for people, who judge them by `selfinstruct review`; with a model "
        "as the judge they always are",
    )
    rate: Annotated[str | None, BeforeValidator(off)] = Field(
        "rate", description="the recipe that rates each answer; off: answers are not rated"
    )
    compare: Annotated[str | None, BeforeValidator(off)] = Field(
        "compare", description="the recipe that compares each two models; off: they are not compared"
    )
    tasks: int | None = Field(
        None,
        ge=1,
        le=100_000_000,
        description="the most tasks whose answers are judged, drawn with the seed; null: all",
    )


class EvalConfig(Strict):
    """The tasks that a model answers, and how its answers are scored."""

    path: Annotated[str, OnDisk] = Field(
        description="the tasks, each with an instruction and one or more references: JSONL, JSON, CSV or "
        "Parquet, or a folder of such files; the paper's 252 user tasks and the files of "
        "Super-NaturalInstructions as they are"
    )
    columns: dict[str, str | list[str] | None] = Field(
        default_factory=dict,
        description="the column for each field (instruction, input, references, category, task, "
        "classification), or several columns: the references are those of all of them, and another field is "
        "the first that exists",
    )
    language: str = Field("en", description="language of the tasks, as a BCP 47 tag; decides on the metrics")
    tasks: int | None = Field(
        None, ge=1, le=100_000_000, description="the most tasks, drawn with the seed; null uses all"
    )
    instances: int | None = Field(
        None,
        ge=1,
        le=100_000_000,
        description="the most instances of a row that lists some, the first ones; null uses all",
    )
    system: str | None = Field(None, description="template of a system message")
    template: str = Field(
        "{{ instruction }}{% if input %}\n\n{{ input }}{% endif %}",
        description="Jinja template of what the model is asked",
    )
    max_tokens: int = Field(256, ge=1, le=10_000_000, description="the longest answer")
    temperature: float = Field(0.0, ge=0, le=100, description="temperature of the answers")
    metrics: list[Metric] | None = Field(
        default_factory=list,
        description="what is scored; empty: rouge_l for English, rouge_l_characters and chrf for a language "
        "without spaces, chrf for another, and exact_match for tasks of classification; null: nothing",
    )
    resamples: int = Field(
        10_000, ge=100, le=10_000_000, description="resamples of the bootstrap, for the intervals"
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="the share of the intervals")
    judge: JudgeConfig = Field(
        JudgeConfig.model_validate({}), description="who judges the answers, besides the metrics"
    )
