"""What a training would do and take, before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Any

ROOM = 1_024  # tokens; on a processor, so many at once are as fast as more, and take less memory


@dataclass(frozen=True)
class Plan:
    """A plan.

    Attributes:
        base: the base's name.
        kind: lora or full.
        parameters: how many the base has.
        trained: how many of them, or beside them, are trained.
        examples: how many examples are used.
        left_out: how many are left out, by the reason.
        tokens: the tokens of one epoch.
        answer_tokens: those of them with a loss.
        epochs: how often each example is used.
        batch_size: the examples of a step.
        micro_batch: the examples in memory at once.
        steps: the steps.
        tokens_per_second: as measured in a first step on this machine.
        minutes: how long the training will take.
        memory_mb: the memory that it needs at least; a training may take more while it saves.
        device: where it runs: cpu, or the name of the GPU.
        precision: float32 or bfloat16.
        steps_done: the steps that an earlier start has done.
    """

    base: str
    kind: str
    parameters: int
    trained: int
    examples: int
    tokens: int
    answer_tokens: int
    epochs: float
    batch_size: int
    micro_batch: int
    steps: int
    tokens_per_second: float
    minutes: float
    memory_mb: int
    device: str
    precision: str
    steps_done: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def steps_of(examples: int, epochs: float, batch: int) -> int:
    """How many steps a training has."""
    return ceil(max(1, round(examples * epochs)) / batch)


def micro_batch(asked: int | None, batch: int, longest: int, on_gpu: bool) -> int:
    """How many examples are in memory at once: what the user says, or what this machine does best.

    Args:
        asked: `train.micro_batch`.
        batch: `train.batch_size`.
        longest: the tokens of the longest example.
        on_gpu: whether it runs on a GPU, which a whole batch keeps busy.
    """
    if asked or on_gpu:
        return asked or batch
    fitting = [size for size in range(1, batch + 1) if batch % size == 0 and size * longest <= ROOM]
    return max(fitting, default=1)


def text(plan: Plan, left_out: Mapping[str, int]) -> str:
    """The plan for the terminal.

    Args:
        plan: the plan.
        left_out: how many records were left out before, by the reason.
    """
    from selfinstruct.report.numbers.tuning import why_left_out

    reasons = {**left_out, **plan.left_out}
    why = ", ".join(f"{count:,} {why_left_out(reason)}" for reason, count in reasons.items() if count)
    done = f"; {plan.steps_done:,} of them are done" if plan.steps_done else ""
    answers = f"{plan.answer_tokens / max(1, plan.tokens):.0%} of them in answers, which alone are learned"
    rate = f"{plan.tokens_per_second:,.0f} tokens a second, measured just now"
    rows = [
        ("base", f"{plan.base}, {_short(plan.parameters)} parameters, {_short(plan.trained)} trained"),
        ("examples", f"{plan.examples:,}" + (f"; left out: {why}" if why else "")),
        ("tokens", f"{plan.tokens:,} an epoch, {answers}"),
        ("steps", f"{plan.steps:,} of {plan.batch_size} examples, {_epochs(plan.epochs)}{done}"),
        ("time", f"about {duration(plan.minutes)}: {rate}"),
        ("memory", f"at least {plan.memory_mb / 1000:.1f} GB, {plan.micro_batch} examples at once"),
        ("device", f"{plan.device}, {plan.precision}"),
    ]
    return "\n".join([f"finetune ({plan.kind})", *(f"  {name:<9} {what}" for name, what in rows)])


def duration(minutes: float) -> str:
    """A time in words."""
    return f"{minutes * 60:.0f} seconds" if minutes < 1.5 else f"{minutes:.0f} minutes"


def _epochs(number: float) -> str:
    return f"{number:g} epoch" if number == 1 else f"{number:g} epochs"


def _short(number: int) -> str:
    return f"{number / 1e9:.2f} billion" if number >= 1e9 else f"{number / 1e6:.1f} million"
