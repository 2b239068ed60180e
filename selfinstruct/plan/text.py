"""What `check` prints about a recipe without a fault: what a run would do, and what it may cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from selfinstruct.config import ModelConfig
from selfinstruct.llm import MODELS
from selfinstruct.llm.batch.possible import limits_of, most_in_batch
from selfinstruct.llm.batch.words import requests
from selfinstruct.llm.direct.possible import LITELLM, way
from selfinstruct.llm.prices import price_of
from selfinstruct.plan import cached, seed_lint
from selfinstruct.plan.estimate import Estimate, estimate
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.size import models_of, unpriced
from selfinstruct.run_folder.folder import look, open_at_provider
from selfinstruct.sources.seed_table import JSON_LINES
from selfinstruct.stages import Stage
from selfinstruct.stages.ranges import Range

LONG = 24  # characters of a mapping or a list


def plan(recipe: Recipe, path: Path) -> str:
    """The plan of a run, in words.

    Args:
        recipe: the recipe.
        path: the run folder it would use.

    Raises:
        RunFolderError: if the run folder could not be used.
        ModelError: if the cluster could not be used.
    """
    config, seeds = recipe.config, recipe.seeds
    taken = f"{len(seeds.tasks)} of {seeds.count}" if len(seeds.tasks) != seeds.count else f"{seeds.count}"
    read_as = [seeds.format] if seeds.format != JSON_LINES else []
    mix = f"{config.mix.examples} examples, up to {config.mix.generated} of them machine-made"
    draws = config.mix.examples > 0 and any(stage.shows_seeds for stage in recipe.stages)
    known = [] if draws else ["only the filters use them"]
    lines = [
        f"recipe {recipe.name}: no fault found",
        "",
        "  seeds    " + ", ".join([f"{taken} tasks from {seeds.path}", *read_as, *known]),
        *([f"  mix      {mix}"] if draws else []),
        f"  run      {path}: {look(recipe, path)}",
        *_open(recipe, path),
        *_executor(recipe),
        "",
    ]
    for place, stage in enumerate(recipe.stages, 1):
        lines += [
            f"  {place} {line}" if not row else f"    {line}"
            for row, line in enumerate(_stage(recipe, stage))
        ]
    lines += ["", *_spending(recipe, estimate(recipe, path))]
    lines += [
        "",
        "  files    " + ", ".join([f"{stage.name}.jsonl" for stage in recipe.makers] + ["rejected.jsonl"]),
    ]
    for name, export in recipe.exports.items():
        seeded = "seed tasks included" if export.seed_tasks else "without the seed tasks"
        lines.append(f"           dataset/{export.file} ({name}, {seeded})")
    if recipe.wanting:
        lines += ["", *(f"  before a run  {fault}" for fault in recipe.wanting)]
    noted = [*recipe.warnings, *seed_lint.notes(recipe), *cached.notes(recipe)]
    if noted:
        lines += ["", *(f"  note: {note}" for note in noted)]
    return "\n".join(lines)


def _open(recipe: Recipe, path: Path) -> list[str]:
    """The batches of the run that are open at a provider."""
    batched = any(model.batch for model in models_of(recipe.stages))
    how = "without check" if batched else "with model.batch=true"
    said = open_at_provider(path, f"the same command {'without fresh=true' if recipe.config.fresh else how}")
    return [f"  {'' if row else 'open':<8} {line}" for row, line in enumerate(said)]


def _executor(recipe: Recipe) -> list[str]:
    """The cluster that a run would use, and what it offers."""
    if recipe.config.executor.kind == "local":
        return []
    from selfinstruct.cluster.room import offer

    said = offer(recipe.config.executor, models_of(recipe.stages))
    return [f"  {'' if row else 'executor':<8} {line}" for row, line in enumerate(said)]


def _stage(recipe: Recipe, stage: Stage) -> list[str]:
    section = recipe.config.pipeline[stage.name]
    given = {key: value for key, value in section.options.items() if value is not None and key != "where"}
    options = " ".join(f"{key}={_option(value)}" for key, value in given.items())
    checks = recipe.config.filters.get(stage.name, {})
    filters = ", ".join(name for name, part in checks.items() if part) or "none"
    title = f"{stage.name} ({section.kind}{' ' + options if options else ''})"
    does = stage.kind.does(stage, recipe.config.target)
    return [
        f"{title}: {does}",
        *(_asked(stage) if stage.prompts else []),
        f"  filters  {filters}",
        *_filters_models(stage),
        *(f"           {name} {check.loaded.note}" for name, check in stage.judge.checks if check.loaded),
        *(f"           {name} {check.note}" for name, check in stage.judge.checks if check.note),
        *(f"  {remark}" for remark in stage.kind.remarks(stage)),
    ]


def _option(value: object) -> str:
    """An option's value; a long mapping or list is only hinted at, since it would fill the line."""
    brackets = "{…}" if isinstance(value, dict) else "[…]" if isinstance(value, list) else ""
    written = str(value)
    return brackets if brackets and len(written) > LONG else written


def _asked(stage: Stage) -> list[str]:
    """The model of a stage, its price, and how it is asked."""
    model, kind = stage.model, MODELS.build(stage.model.kind, stage.model.options, "", [])
    note = f" — {kind.note}" if kind and kind.note else ""
    sampling = {**stage.prompts[0].sampling, **model.sampling}
    if sampling.get("response_format"):
        sampling["response_format"] = "json_schema"  # the whole schema would fill the screen
    shown = " ".join(
        f"{key}={value}" for key, value in sampling.items() if key != "stop" and value is not None
    )
    return [
        f"  model    {model.name}, {model.mode} mode, {_at_once(model)}{note}",
        *([f"  then     {', '.join(other.name for other in stage.fallbacks)}"] if stage.fallbacks else []),
        *(f"  {variant:<8} {other.name}, {other.mode} mode" for variant, (other, _) in stage.others.items()),
        *([f"  sent     {way(model)}"] if model.kind == LITELLM else []),
        *_terms(model),
        f"  sampling {shown}",
    ]


def _at_once(model: ModelConfig) -> str:
    """How much a model is asked together, in words."""
    if model.batch:
        within = "a day" if limits_of(model).hours <= 24 else "two days"
        return f"in batches of up to {requests(most_in_batch(model))}, each answered within {within}"
    return f"{model.concurrency} at once"


def _terms(model: ModelConfig) -> list[str]:
    """The price of a model, and its limits per minute; empty if it is free and has no limits."""
    lines, price = [], price_of(model)
    if price and (price.input or price.output):
        again = "" if price.cached is None else f" (${price.cached:,.3g} from its cache)"
        words = f"${price.input:,.2f} sent{again}, ${price.output:,.2f} received per million tokens"
        lines.append(f"  price    {words}{', at batch prices' if model.batch else ''}")
    limits = {"requests": model.requests_per_minute, "tokens": model.tokens_per_minute}
    known = [f"{limit:,.15g} {what}" for what, limit in limits.items() if limit is not None]
    return [*lines, f"  limits   {', '.join(known)} per minute"] if known else lines


def _filters_models(stage: Stage) -> Iterator[str]:
    """The models that the filters of a stage ask."""
    for name, check in stage.judge.checks:
        if check.asks:
            kind = MODELS.build(check.asks.kind, check.asks.options, "", [])
            note = f" — {kind.note}" if kind and kind.note else ""
            price = price_of(check.asks)
            paid = f", ${price.input:,.2f} per million tokens" if price and price.input else ""
            yield f"           {name} asks {check.asks.name}, {check.asks.concurrency} at once{paid}{note}"


def _spending(recipe: Recipe, ahead: Estimate) -> list[str]:
    """The expected spending by stage, the basis for it, and whether the budget allows it."""
    rows = [
        [stage.name, *cells(stage.requests, stage.prompt_tokens, stage.completion_tokens, stage.cost)]
        for stage in ahead.stages
    ]
    if len(rows) > 1:
        total = (ahead.requests, ahead.prompt_tokens, ahead.completion_tokens, ahead.cost)
        rows.append(["together", *cells(*total)])
    done = ahead.spent
    head = ["", "requests", "tokens sent", "tokens received", "cost"]
    title = "expected" if not done.requests else "expected for the rest"
    lines = [f"  {title}, with its likely range", *aligned([head, *rows])]
    if done.requests:
        usd = "at an unknown cost" if done.usd is None else _usd(done.usd)
        spent = f"{_count(done.requests)} requests, {_tokens(done.tokens)} tokens, {usd}"
        lines.append(f"  spent    {spent}, so far")
    lines += _budget(recipe, ahead)
    for name, remedy in unpriced(recipe.config, recipe.stages).items():
        lines.append(f"  cost     no price is known for {name}: {remedy}")
    saved = cached.lines(ahead.savings)
    for label, notes in (("cache", saved), ("shown", ahead.shown), ("assumed", ahead.assumed)):
        lines += [f"  {'' if row else label:<8} {note}" for row, note in enumerate(notes)]
    return lines


def _budget(recipe: Recipe, ahead: Estimate) -> list[str]:
    """Whether each budget is enough for the spending so far and the expected rest."""
    budget, done = recipe.config.budget, ahead.spent
    tokens = ahead.prompt_tokens + ahead.completion_tokens
    spending = [
        ("usd", budget.usd, done.usd, ahead.cost),
        ("tokens", budget.tokens, done.tokens, tokens),
        ("requests", budget.requests, done.requests, ahead.requests),
    ]
    lines = []
    for key, limit, spent, left in spending:
        if limit is not None and left is not None:
            lines.append(f"  budget   budget.{key}={limit:.15g} {verdict(limit, spent or 0, left)}")
    return lines


def verdict(limit: float, spent: float, left: Range) -> str:
    """Whether a limit is enough for what was spent and what is left, in words."""
    if not left.high:
        return "is not needed: nothing is left to spend"
    if limit >= spent + left.high:
        return "is enough"
    if limit >= spent + left.expected:
        return "is enough for what is expected, not for the upper end of its range"
    if limit <= spent:
        return "is spent: the run would send nothing more"
    return f"stops the run at about {max(1, int(100 * limit / (spent + left.expected)))}%"


def cells(requests: Range, sent: Range, received: Range, cost: Range | None) -> list[str]:
    """Requests, tokens sent and received, and cost in words; ? for a cost that is not known."""
    tokens = [_range(sent, _tokens), _range(received, _tokens)]
    return [_range(requests, _count), *tokens, _range(cost, _usd) if cost else "?"]


def _range(value: Range, write: Callable[[float], str]) -> str:
    low, expected, high = write(value.low), write(value.expected), write(value.high)
    return expected if low == high else f"{expected} ({low} - {high})"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _tokens(value: float) -> str:
    """Tokens with two or three digits."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if round(value) >= size:
            return f"{value / size:.{0 if value >= 10 * size else 1}f}{unit}"
    return _count(value)


def _usd(value: float) -> str:
    if 0 < value < 0.005:
        return "<$0.01"
    return f"${value:,.0f}" if not value or value >= 100 else f"${value:.2f}"


def aligned(rows: list[list[str]]) -> list[str]:
    """Rows with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["    " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
