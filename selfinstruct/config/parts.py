"""The parts of a recipe: models, seeds, the mix, stages, filters and prompts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr

from selfinstruct.config.keys import Component, Machine, OnDisk, Sampling, SinceSet, Strict, switch
from selfinstruct.where import Conditions

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]  # LiteLLM's reasoning_effort


class PriceConfig(Strict):
    """The price of a model, in US dollars for a million tokens."""

    input: float = Field(ge=0, le=1_000_000, description="for tokens sent")
    output: float = Field(ge=0, le=1_000_000, description="for tokens received")
    cached: float | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="for tokens sent that the provider has in its cache; by default the price of input",
    )
    cache_write: float | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="for tokens sent that the provider stores in its cache; by default the price of input",
    )


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
    prompt_cache: Annotated[Literal["auto", "on", "off"], Machine, BeforeValidator(switch)] = Field(
        "auto",
        description="mark the end of what all prompts begin with, for the provider's cache: auto for the "
        "models that need the mark, if it is long enough to be cached; on for any model; off for none",
    )
    prompts_per_request: Annotated[int, Machine] = Field(
        1, ge=1, le=1_000, description="prompts sent as one request, in completion mode"
    )
    batch: Annotated[bool, Machine] = Field(
        False,
        description="ask in batches, at half the price: the provider may take a day to answer one (openai, "
        "azure, anthropic, gemini)",
    )
    batch_size: Annotated[int, Machine] = Field(
        50_000,
        ge=1,
        le=100_000,
        description="the most requests in a batch; those of up to four open batches are in memory",
    )
    batch_lost: Annotated[Literal["stop", "ask_again"], Machine] = Field(
        "stop",
        description="what to do if the provider does not know a batch of this run any more: stop the run, or "
        "ask its requests again, which costs again",
    )
    timeout: Annotated[float, Machine] = Field(
        120, gt=0, le=86_400, description="seconds to wait for a whole reply"
    )
    transport: Annotated[Literal["direct", "litellm"] | None, Machine] = Field(
        None,
        description="direct: send requests as LiteLLM writes them, at a fraction of its cost; litellm: send "
        "them through LiteLLM; null: directly if that is possible",
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
    reasoning_effort: Annotated[Effort | None, SinceSet] = Field(
        None,
        description="how much the model thinks before it answers, where it takes that; null: its own default",
    )
    thinking_tokens: Annotated[int | None, SinceSet] = Field(
        None,
        ge=1,
        le=1_000_000,
        description="room for the model's thought: added to each stage's max_tokens, and its budget where "
        "the provider takes one (Claude, Gemini)",
    )
    unsupported: Annotated[Literal["drop", "refuse"], Machine] = Field(
        "drop",
        description="what to do with a parameter that the model does not take: drop it, with a note by "
        "check, or refuse the recipe",
    )
    chat_template: Annotated[str | None, SinceSet, OnDisk] = Field(
        None,
        min_length=1,
        description="in completion mode: the Jinja template that makes one text of a prompt's messages: "
        "server, for the one of the running server; a file: tokenizer_config.json, or the template; or "
        "the template itself",
    )
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
    from_run: Annotated[str | None, Machine, OnDisk] = Field(
        None,
        min_length=1,
        description="the folder of a finished run, whose accepted records are the seeds instead of a file's "
        "rows; which seeds these are may not change when a run continues",
    )
    from_stage: Annotated[str | None, Machine] = Field(
        None, description="the stage of that run; by default the last one that makes records"
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

    @property
    def source(self) -> str:
        """The file, or the run, that they are from, as the recipe names it."""
        return self.from_run or self.path


class MixConfig(Strict):
    """How many examples a prompt shows, and from where."""

    examples: int = Field(8, ge=0, le=1_000, description="few-shot examples in a prompt")
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


class ParseConfig(Component):
    """How a reply is read; all keys not named here are options of the parser of this kind."""

    reasoning: Annotated[str | None, SinceSet] = Field(
        None,
        min_length=1,
        description="the field of the record for the model's thought; by default it is in no field",
    )


class FilterConfig(PlacedConfig):
    """One check; all keys not named here are options of its kind."""


class StageConfig(PlacedConfig):
    """One stage of the pipeline; all keys not named here are options of its kind."""

    model: str | dict[str, Any] | None = Field(
        None, description="its own model: a name from conf/model, or the keys that differ"
    )


class ExampleConfig(Strict):
    """The two turns that show one few-shot example; templates name its fields as `example.FIELD`."""

    user: str = Field(description="template of the user's message")
    assistant: str = Field(description="template of the assistant's message")


class MessageConfig(Strict):
    """One message of a prompt, or the place of its few-shot examples."""

    role: Literal["system", "user", "assistant"] | None = Field(
        None,
        description="who writes it; an assistant's message at the end is the start of the answer, which the "
        "model continues",
    )
    content: str | None = Field(None, description="Jinja template of its text")
    examples: ExampleConfig | None = Field(
        None, description="instead of role and content: two messages for each few-shot example"
    )
    turns: Literal["same", "swapped"] | None = Field(
        None,
        description="instead of role and content, at the end, in a stage of kind converse: the conversation "
        "so far; swapped makes the assistant's messages the user's, for a model that plays the user",
    )


class PromptConfig(Strict):
    """A stage's prompt, and how its reply is read."""

    style: Literal["completion", "chat"] = Field(
        "completion", description="the kind of model it is written for"
    )
    system: str | None = Field(None, description="template of the system message")
    template: str | None = Field(None, description="Jinja template of the text or the user's message")
    messages: Annotated[list[MessageConfig] | None, SinceSet] = Field(
        None, min_length=1, max_length=1_000, description="the messages, in order, instead of template"
    )
    opens: Annotated[Literal["user"] | None, SinceSet] = Field(
        None,
        description="instead of template: the prompt ends with the opening of a user's turn, so that the "
        "model writes what a user would (model.chat_template makes it)",
    )
    tools: Annotated[str | None, SinceSet] = Field(
        None,
        description="the field of the records with the tools that the model may call, in OpenAI's form. They "
        "are sent as the provider's own tools. For a model that takes none, tools_in_text is true in the "
        "template, which shows them",
    )
    tools_in_text: Annotated[bool, SinceSet] = Field(
        False,
        description="never send the tools as the provider's own; the template has to show them",
    )
    variables: dict[str, Any] = Field(
        default_factory=dict, description="names for use in the templates, with their values"
    )
    sampling: Sampling = Field(
        default_factory=dict, description="max_tokens, temperature, stop …; stop strings are templates too"
    )
    parse: ParseConfig | None = Field(None, description="how the reply is read")
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
    model: Annotated[str | dict[str, Any] | None, SinceSet] = Field(
        None,
        description="a model of its own: a name from conf/model, or the keys that differ from the stage's",
    )
    where: Conditions = Field(
        default_factory=dict,
        description="draw it only for records whose fields fit: a value, a list, or {not: …}, {at_least: …}",
    )
