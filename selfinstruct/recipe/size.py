"""The size of requests before any is sent, and whether budgets and limits leave room for them.

`check` adds the faults. `size` returns the size of one request of a stage, from prompts that are really
filled in: the first prompts of a bootstrap stage; for a stage about records, prompts with the material of its
first stage, or else with seed tasks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from selfinstruct.config import ModelConfig, RecipeConfig
from selfinstruct.errors import Fault
from selfinstruct.llm import tokens
from selfinstruct.llm.prices import price_of
from selfinstruct.prompts.rendering import TemplateFault
from selfinstruct.records import Request
from selfinstruct.sources.pool import Seeds
from selfinstruct.stages import Stage
from selfinstruct.stages.kind import Trial

SAMPLES = 20
# The share of max_tokens that a reply is assumed to use: at least, usually, at most.
REPLY = (0.1, 1 / 3, 1.0)
OPENING = 4  # tokens with which a chat template opens a user's message
UNBOUNDED = 1024  # for a request without max_tokens


@dataclass(frozen=True)
class Size:
    """The size of one request of a stage, in tokens.

    Attributes:
        prompt: the average size of a prompt.
        reply: the average of the longest allowed reply; `UNBOUNDED` if nothing limits it.
        most: the largest sum of a prompt and the longest reply that it asks for.
        bounded: whether requests have max_tokens.
        fixed: for each sample, the size of the beginning that all requests of its prompt share.
    """

    prompt: float
    reply: float
    most: int
    bounded: bool
    fixed: tuple[int, ...] = ()


def size(config: RecipeConfig, stages: Sequence[Stage], stage: Stage, seeds: Seeds) -> Size:
    """The size of one request of a stage.

    Raises:
        TemplateFault: if its prompt cannot be filled in.
        ValueError: if there are fewer seeds than examples.
    """
    requests = list(samples(config, stages, stage, seeds))
    texts = ["".join(one.text for one in request.messages) + request.tools for request in requests]
    prompts = [
        tokens.count(text) + OPENING * bool(request.opens)
        for text, request in zip(texts, requests, strict=True)
    ]
    limits = [_limit(request.sampling) for request in requests]
    beginnings = [text[: request.fixed] for text, request in zip(texts, requests, strict=True)]
    counts = {text: tokens.count(text) for text in set(beginnings)}
    return Size(
        prompt=mean(prompts),
        reply=mean(limit or UNBOUNDED for limit in limits),
        most=max(prompt + limit for prompt, limit in zip(prompts, limits, strict=True)),
        bounded=all(limits),
        fixed=tuple(counts[text] for text in beginnings),
    )


def samples(config: RecipeConfig, stages: Sequence[Stage], stage: Stage, seeds: Seeds) -> Iterator[Request]:
    """A few requests of a stage, filled in.

    Raises:
        TemplateFault: if its prompt cannot be filled in.
        ValueError: if there are fewer seeds than examples.
    """
    rows = _material(stages, stage) or [task.data for task in seeds.tasks]
    return stage.kind.trials(stage, Trial(config, seeds, rows, _fields(stages, stage), SAMPLES))


def check(
    config: RecipeConfig, stages: Sequence[Stage], seeds: Seeds | None, faults: list[Fault]
) -> list[str]:
    """Add a fault for every budget and limit that cannot be kept, or that is too small for a request.

    Args:
        config: the recipe's keys.
        stages: the stages that could be built.
        seeds: the seed tasks; None if they could not be read.
        faults: gets the faults.

    Returns:
        What else the user should know.
    """
    found = [fault for stage in _asking(stages) for fault in _together(config, stage)]
    if config.budget.usd is not None:
        for name, remedy in unpriced(config, stages).items():
            what = f"no price is known for {name}, so its spending cannot be counted"
            found.append(Fault("budget.usd", what, remedy))
    if seeds and _limited(config, stages):
        found += _room(config, stages, seeds)
    faults.extend(dict.fromkeys(found))
    return _idle(config, stages)


def unpriced(config: RecipeConfig, stages: Sequence[Stage]) -> dict[str, str]:
    """The models without a known price, by name, each with the remedy."""
    found: dict[str, str] = {}
    for stage in _asking(stages):
        for where, model in _asked(config, stage, "name"):
            if price_of(model) is None:
                found.setdefault(model.name, _remedy(config, stage, where))
        for name, check in stage.judge.checks:
            if check.asks and price_of(check.asks) is None:
                found.setdefault(check.asks.name, _remedy_of_filter(config, stage.name, name))
    return found


def models_of(stages: Sequence[Stage]) -> list[ModelConfig]:
    """All models that stages may ask, those of their filters included."""
    models = [model for stage in _asking(stages) for model in _models(stage)]
    return models + [check.asks for stage in stages for _, check in stage.judge.checks if check.asks]


def place(config: RecipeConfig, stage: str, key: str) -> str:
    """The place of a key of a stage's model: in the stage's own model, or else in the recipe's."""
    given = config.pipeline[stage].model
    inherited = given is None or (isinstance(given, dict) and key not in given)
    return "model" if inherited else f"pipeline.{stage}.model"


def _asking(stages: Sequence[Stage]) -> list[Stage]:
    """The stages that ask a model."""
    return [stage for stage in stages if stage.prompts]


def _idle(config: RecipeConfig, stages: Sequence[Stage]) -> list[str]:
    """A warning about a budget that nothing is spent from."""
    if config.budget.usd is None:
        return []
    prices = [price_of(model) for model in models_of(stages)]
    if any(price is None or price.input or price.output for price in prices):
        return []
    return [f"budget.usd={config.budget.usd:g} stops nothing: all models that this recipe asks are free"]


def _models(stage: Stage) -> list[ModelConfig]:
    """All models that a stage may ask."""
    others = [one for model, fallbacks in stage.others.values() for one in (model, *fallbacks)]
    return [stage.model, *stage.fallbacks, *others]


def _asked(config: RecipeConfig, stage: Stage, key: str) -> Iterator[tuple[str, ModelConfig]]:
    """The models that a stage may ask, and the place of a key of each."""
    for variant, (model, _) in stage.others.items():
        yield f"prompts.{stage.name}.variants.{variant}.model", model
    if all(prompt.name in stage.others for prompt in stage.prompts):
        return
    yield place(config, stage.name, key), stage.model
    where = place(config, stage.name, "fallbacks")
    if len(stage.fallbacks) == len(stage.model.fallbacks):  # otherwise some have faults already
        yield from ((f"{where}.fallbacks.{n}", other) for n, other in enumerate(stage.fallbacks))


def _remedy(config: RecipeConfig, stage: Stage, where: str) -> str:
    """How to give a price to the model of a stage, or to one of its fallbacks."""
    if where.startswith("prompts."):
        return f"give {where}.price.input and {where}.price.output, with the model's other keys"
    number = re.search(r"fallbacks\.(\d+)$", where)
    given = stage.model.fallbacks[int(number[1])] if number else config.pipeline[stage.name].model
    if isinstance(given, str):
        return f"give price: {{input: …, output: …}} in a conf/model file of yours, and name it in {where}"
    if number:
        return f"give price: {{input: …, output: …}} in {where}"
    return f"give {where}.price.input and {where}.price.output"


def _remedy_of_filter(config: RecipeConfig, stage: str, name: str) -> str:
    """How to give a price to the model of a filter."""
    where, part = f"filters.{stage}.{name}.model", config.filters[stage][name]
    if part and isinstance(part.options.get("model"), dict):
        return f"give {where}.price.input and {where}.price.output"
    return f"give price: {{input: …, output: 0}} in {where}, with the model's other keys"


def _together(config: RecipeConfig, stage: Stage) -> Iterator[Fault]:
    """A fault for several prompts in one request, if the stage's requests cannot have several."""
    model, where = stage.model, f"{place(config, stage.name, 'prompts_per_request')}.prompts_per_request"
    if model.prompts_per_request == 1:
        return
    what = f"is {model.prompts_per_request}, but"
    if model.mode == "chat":
        remedy = "set it to 1, or mode to completion for a model that completes text"
        yield Fault(where, f"{what} a request in chat mode holds one conversation", remedy)
    if model.seeded:
        remedy = "set it to 1, or seeded to false"
        yield Fault(where, f"{what} seeded gives each prompt a seed, and a request has one", remedy)


def _limited(config: RecipeConfig, stages: Sequence[Stage]) -> bool:
    models = [model for stage in _asking(stages) for model in _models(stage)]
    budgets = (config.budget.usd, config.budget.tokens)
    return any(budgets) or any(model.tokens_per_minute for model in models)


def _room(config: RecipeConfig, stages: Sequence[Stage], seeds: Seeds) -> list[Fault]:
    """Faults for limits that a stage's request does not fit in; only the worst for each limit."""
    worst: dict[str, tuple[float, Fault]] = {}
    for stage in _asking(stages):
        try:
            one = size(config, stages, stage, seeds)
        except (TemplateFault, ValueError):  # a fault of the prompt or of the mix, reported there
            continue
        for need, fault in _too_small(config, stage, one):
            if need > worst.get(fault.where, (0.0,))[0]:
                worst[fault.where] = (need, fault)
    return [fault for _, fault in worst.values()]


def _too_small(config: RecipeConfig, stage: Stage, one: Size) -> Iterator[tuple[float, Fault]]:
    """The limits that are too small for one request, with the size that it needs."""
    budget, price, together = config.budget, price_of(stage.model), stage.model.prompts_per_request
    takes = f"one request of {stage.name} may take {one.most:,} tokens"
    remedy = "set it higher, or max_tokens lower"
    if budget.tokens is not None and budget.tokens < one.most:
        yield one.most, Fault("budget.tokens", f"is {budget.tokens:,}, but {takes}", remedy)
    for where, model in _asked(config, stage, "tokens_per_minute"):
        limit, need = model.tokens_per_minute, one.most * together
        if limit is not None and limit < need:
            words = takes if together == 1 else f"{takes} a prompt, and has {together} of them"
            yield need, Fault(f"{where}.tokens_per_minute", f"is {limit:,.15g}, but {words}", remedy)
    cost = price.cost(one.prompt, one.reply * REPLY[1]) if price else 0.0
    if budget.usd is not None and budget.usd < cost:
        what = f"is {budget.usd:g}, but one request of {stage.name} is expected to cost {cost:.2g}"
        yield cost, Fault("budget.usd", what, "set it higher, or take a cheaper model")


def _material(stages: Sequence[Stage], stage: Stage) -> list[dict[str, Any]]:
    """The first material for the records that a stage works on."""
    by_name = {other.name: other for other in stages}
    first: Stage | None = stage
    while first and first.of:
        first = by_name.get(first.of)
    return first.material.rows if first and first.material else []


def _fields(stages: Sequence[Stage], stage: Stage) -> dict[str, Any]:
    """The fields of the records that a stage works on, labels included, with sample values."""
    fields: dict[str, Any] = {}
    before = stages[: [built.name for built in stages].index(stage.name)]
    family = {stage.of}  # a record has its parent's fields, whichever fields its schema names
    for other in reversed(before):
        if other.name in family and not other.labels:
            family.add(other.of)
    for other in before:
        if other.name in family or (other.labels and other.of in family):
            fields.update(dict.fromkeys(other.own, "text"))
            fields.update(other.fields)
    return fields


def _limit(sampling: dict[str, Any]) -> int:
    """The longest reply that a request asks for, in tokens; 0 if it sets no limit."""
    asked = [sampling.get(key) for key in ("max_tokens", "max_completion_tokens")]
    return max((value for value in asked if isinstance(value, int)), default=0)
