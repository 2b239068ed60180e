"""The requests, tokens and money that a run is expected to take, stage by stage, each with a range.

What the run in the folder has shown replaces the assumptions: how many records a reply gives, and how long
prompts and replies are. Every assumption is written in words below the figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from selfinstruct.journal import labelled_records as view
from selfinstruct.journal.repair import looked_into
from selfinstruct.journal.stage_stats import StageStats
from selfinstruct.journal.store import Journal
from selfinstruct.llm import tokens
from selfinstruct.llm.prices import Price, price_of
from selfinstruct.plan.cached import Saving, saving
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.size import REPLY, SAMPLES, UNBOUNDED, Size, size
from selfinstruct.records import ACCEPTED, OTHERWISE
from selfinstruct.run_folder.folder import JOURNAL, in_use
from selfinstruct.stages import Stage
from selfinstruct.stages.forecast import ENOUGH, SHOWN, Forecast, Groups, Known
from selfinstruct.stages.ranges import Range, around, exactly

LAST = 200  # only the last replies count: the fuller the pool, the fewer records are new
TRIED = (1.0, 1.5, 3.0)  # candidates that reach a filter which asks a model, for each accepted record


@dataclass(frozen=True)
class StageEstimate:
    """What a stage, or one of its filters, has left to spend.

    Attributes:
        name: the stage, or the stage and its filter that asks a model.
        requests: prompts to send, or requests for vectors.
        prompt_tokens, completion_tokens: the sums over all requests.
        cost: in US dollars; None if no price is known.
    """

    name: str
    requests: Range
    prompt_tokens: Range
    completion_tokens: Range
    cost: Range | None


@dataclass(frozen=True)
class Spent:
    """What a run has spent so far; `usd` is None if no price is known."""

    requests: int = 0
    tokens: int = 0
    usd: float | None = 0.0


@dataclass(frozen=True)
class Estimate:
    """What a run has left to spend, and what it has spent.

    Attributes:
        stages: the rest for each stage.
        spent: what the run has spent so far.
        assumed: the assumptions where the run has shown nothing yet, in words.
        shown: what the run in the folder has shown, in words.
        savings: what the providers' caches of prompts are expected to save; not taken off the costs.
    """

    stages: list[StageEstimate]
    spent: Spent
    assumed: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    savings: list[Saving] = field(default_factory=list)

    @property
    def requests(self) -> Range:
        """Prompts to send, in all stages."""
        return sum((stage.requests for stage in self.stages), Range())

    @property
    def prompt_tokens(self) -> Range:
        """Tokens to send."""
        return sum((stage.prompt_tokens for stage in self.stages), Range())

    @property
    def completion_tokens(self) -> Range:
        """Tokens to receive."""
        return sum((stage.completion_tokens for stage in self.stages), Range())

    @property
    def cost(self) -> Range | None:
        """The cost of all stages; None if the price of one is not known."""
        costs = [stage.cost for stage in self.stages if stage.cost is not None]
        return sum(costs, Range()) if len(costs) == len(self.stages) else None


def estimate(recipe: Recipe, path: Path) -> Estimate:
    """The estimate for a run of a recipe.

    Args:
        recipe: the recipe.
        path: its run folder; what a run in it has shown is used, and nothing in it is changed.
    """
    with _earlier(recipe, path) as journal:
        return _Estimator(recipe, journal).estimate()


@contextmanager
def _earlier(recipe: Recipe, path: Path) -> Iterator[Journal | None]:
    """The journal of the run that this one continues."""
    if recipe.config.fresh or not (path / JOURNAL).exists():
        yield None
        return
    with looked_into(path / JOURNAL, in_use(path)) as journal:
        yield journal


@dataclass(frozen=True)
class _Shown:
    """What the last replies of a stage have shown, on average."""

    replies: int
    accepted: float
    prompt: float
    completion: float


class _Estimator:
    """Goes through the stages; each needs to know how many records the stages before it leave."""

    def __init__(self, recipe: Recipe, journal: Journal | None) -> None:
        self._recipe, self._journal = recipe, journal
        self._records: dict[str, Range] = {}  # by stage, at the end of the run
        self._groups: dict[str, Groups] = {}  # likewise
        self._shown: list[str] = []
        self._yields: list[str] = []
        self._thirds: list[str] = []
        self._unbounded: list[str] = []
        self._thinking: list[str] = []  # the stages with room for a thought
        self._savings: list[Saving] = []
        self._counted = self._tried = False

    def estimate(self) -> Estimate:
        stages = []
        for stage in self._recipe.stages:
            shown = self._look(stage)
            ahead = self._ahead(stage, shown)
            if stage.prompts:
                stages.append(self._priced(stage, ahead, shown))
                stages += self._of_filters(stage, ahead, bool(shown))
        return Estimate(stages, self._spent(), self._assumed(), self._shown, self._savings)

    def _ahead(self, stage: Stage, shown: _Shown | None) -> Forecast:
        """The work that a stage has left; also notes how many records there will be."""
        ahead = stage.kind.forecast(stage, self._known(stage, shown))
        self._groups[stage.name] = ahead.groups
        if ahead.makes is not None:
            self._records[stage.name] = ahead.makes
        if ahead.leaves is not None:
            self._records[stage.of or ""] = ahead.leaves
        self._yields += ahead.assumed
        self._shown += ahead.shown
        return ahead

    def _known(self, stage: Stage, shown: _Shown | None) -> Known:
        recipe, journal = self._recipe, self._journal

        def seen() -> Iterator[dict[str, Any]]:
            rows = view.rows(recipe, journal, stage.of or stage.name, stage.name) if journal else {}
            return (row.data for row in rows.values())

        rows = exactly(len(stage.material.rows)) if stage.material else self._records.get(stage.of or "")
        done = journal.stats(stage.name) if journal else StageStats()
        return Known(
            target=recipe.config.target,
            rows=rows or Range(),
            seen=seen,
            options=frozenset(recipe.config.pipeline[stage.name].options),
            accepted=done.accepted,
            candidates=done.candidates,
            taken=len(journal.taken(stage.name)) if journal else 0,
            replies=shown.replies if shown else 0,
            yielded=shown.accepted if shown else 0.0,
            groups=self._groups.get(stage.of or "", ()),
        )

    def _priced(self, stage: Stage, ahead: Forecast, shown: _Shown | None) -> StageEstimate:
        requests = ahead.requests
        recipe = self._recipe
        one = size(recipe.config, recipe.stages, stage, recipe.seeds)
        if saved := saving(stage, one, requests):
            self._savings.append(saved)
        prompt, completion = self._tokens(stage, shown, one)
        if shown:
            length = f"{shown.prompt:,.0f} tokens per prompt and {shown.completion:,.0f} per reply"
            self._shown.append(f"{stage.name}: {ahead.pace}{length}, in its last {shown.replies} replies")
        models = [stage.model_of(one) for one in stage.prompts] if stage.others else [stage.model]
        prices = [price_of(model) for model in models]
        costs = [_cost(price, prompt, completion) for price in prices if price]
        each = sum(costs, Range()) * exactly(1 / len(prices))  # variants are sent equally often
        cost = each * requests if len(costs) == len(prices) else None
        return StageEstimate(stage.name, requests, prompt * requests, completion * requests, cost)

    def _of_filters(self, stage: Stage, ahead: Forecast, shown: bool) -> Iterator[StageEstimate]:
        """What the filters of a stage have left to ask their own models.

        Each asks once about the seed tasks, and about the candidates of each reply together.
        """
        checks = [(name, check) for name, check in stage.judge.checks if check.asks and check.sends]
        seeds = self._recipe.seeds.tasks
        done = self._journal.stats(stage.name) if self._journal and checks else None
        before = done.embeddings if done else None
        texts = around(ahead.accepts, TRIED)
        if done and before and shown:
            each = max(0.0, before["texts"] / len(checks) - len(seeds)) / done.replies
            texts = around(each * ahead.requests.expected, SHOWN)
            self._shown.append(
                f"{stage.name}: {each:.2g} texts per reply, sent by each filter that asks a model"
            )
        for name, check in checks:
            assert check.asks and check.sends
            sample = [tokens.count(check.sends(record)) for record in seeds[:LAST]]
            first = 0 if before else len(seeds)
            sent = exactly(mean(sample) if sample else 0.0) * (texts + exactly(first))
            more = Range(0, 0, texts.high / check.batch)  # if a reply has more texts than fit in a batch
            requests = (ahead.requests + more + exactly(-(-first // check.batch))).whole()
            price = price_of(check.asks)
            cost = _cost(price, sent, Range()) if price else None
            yield StageEstimate(f"{stage.name}.{name}", requests, sent, Range(), cost)
            self._tried |= not (before and shown)

    def _tokens(self, stage: Stage, shown: _Shown | None, one: Size) -> tuple[Range, Range]:
        """The tokens of a prompt and of a reply."""
        if shown and shown.prompt and shown.completion:
            return around(shown.prompt, SHOWN), around(shown.completion, SHOWN)
        self._counted = True
        if stage.model.thinking_tokens:
            self._thinking.append(stage.name)
        (self._thirds if one.bounded else self._unbounded).append(stage.name)
        return exactly(one.prompt), around(one.reply, REPLY)

    def _look(self, stage: Stage) -> _Shown | None:
        """What the stage's last replies have shown; None if there are too few."""
        journal = self._journal
        numbers = sorted(journal.taken(stage.name))[-LAST:] if journal else []
        if journal is None or len(numbers) < ENOUGH:
            return None
        replies = [journal.reply(stage.name, number) for number in numbers]
        answered = [reply for reply in replies if reply and reply.error is None]
        made = (list(journal.records(stage.name, request=number)) for number in numbers)
        accepted = [
            sum(one.fate == ACCEPTED or OTHERWISE in one.detail for one in records) for records in made
        ]
        return _Shown(
            len(numbers),
            mean(accepted),
            mean(reply.prompt_tokens for reply in answered) if answered else 0,
            mean(reply.completion_tokens for reply in answered) if answered else 0,
        )

    def _spent(self) -> Spent:
        if self._journal is None:
            return Spent()
        stats = [self._journal.stats(stage.name) for stage in self._recipe.stages]
        embedded = [stage.embeddings for stage in stats if stage.embeddings]
        costs = [stage.cost_usd for stage in stats if stage.replies]
        costs += [figures["cost_usd"] for figures in embedded if figures["texts"] > figures["cached"]]
        usd = None if None in costs else sum(cost for cost in costs if cost is not None)
        requests = sum(stage.requests for stage in stats) + sum(figures["requests"] for figures in embedded)
        return Spent(requests, sum(stage.paid_tokens for stage in stats), usd)

    def _assumed(self) -> list[str]:
        lines = list(self._yields)
        if self._tried:
            low, usual, high = TRIED
            lines.append(f"filters: {usual:g} texts sent for each accepted record ({low:g} - {high:g})")
        if self._counted:
            lines.append(f"prompts: counted in {SAMPLES} samples for each stage ({tokens.method()})")
        if self._thirds:
            lines.append(f"replies: a third of max_tokens (a tenth - all): {', '.join(self._thirds)}")
        if self._unbounded:
            names = ", ".join(self._unbounded)
            lines.append(f"replies: no max_tokens is set, so a third of {UNBOUNDED:,} tokens: {names}")
        if thinking := [name for name in self._thirds if name in self._thinking]:
            lines.append(f"replies: max_tokens includes model.thinking_tokens: {', '.join(thinking)}")
        return lines


def _cost(price: Price, prompt: Range, completion: Range) -> Range:
    """The cost of one request."""
    return Range(
        price.cost(prompt.low, completion.low),
        price.cost(prompt.expected, completion.expected),
        price.cost(prompt.high, completion.high),
    )
