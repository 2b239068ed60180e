"""A parser of ratings by a rubric: one score for each criterion, and their mean."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import Any

from selfinstruct.parse import PARSERS, Parsed, Parser
from selfinstruct.parse.json_fields import JsonField, Scale
from selfinstruct.parse.structured import json
from selfinstruct.records import Reply


@PARSERS.register
def ratings(
    *,
    criteria: dict[str, Any],
    scale: Scale,
    mean: str = "score",
    reason: str | None = "reason",
    reason_field: str = "judge_reason",
    otherwise: Any = "undecided",
) -> Parser:
    """Sets a score for each criterion of a rubric, and their mean; the reply is one JSON object.

    A reply that is refused, empty, cut or unreadable counts as rejected; its record gets `otherwise` in all
    fields. If one score is missing or off the scale, the mean is `otherwise`.

    Args:
        criteria: criterion: its description; null leaves a criterion out. Usually the variable that the
            prompt shows: `${prompts.STAGE.variables.rubric}`.
        scale: the lowest and the highest score.
        mean: the field for the mean of the scores.
        reason: the key of the reply that has the reason; null if it gives none.
        reason_field: the field for the reason.
        otherwise: the value of a score that is missing or off the scale.
    """
    names = [name for name, words in criteria.items() if words is not None]
    taken = [name for name in names if name in (mean, *([reason, reason_field] if reason else []))]
    if not names:
        raise ValueError("criteria: name at least one")
    if taken:
        raise ValueError(
            f"criteria: {taken[0]!r} is the name of another field; give the criterion another name"
        )
    given: dict[str, Any] = {reason_field: {"key": reason, "default": ""}} if reason else {}
    given |= {name: {"default": otherwise, "scale": scale, "otherwise": otherwise} for name in names}
    fields = {name: JsonField.model_validate(keys) for name, keys in given.items()}
    inner = json(fields=fields, single=True, when_refused="otherwise", when_unreadable="otherwise")

    def rated(data: dict[str, Any]) -> dict[str, Any]:
        scores = [data[name] for name in names]
        sure = all(type(score) is int and scale.lowest <= score <= scale.highest for score in scores)
        return {**data, mean: fmean(scores) if sure else otherwise}

    def read(reply: Reply, shown: int) -> list[Parsed]:
        return [
            replace(one, data=rated(one.data)) if one.check is None else one
            for one in inner.read(reply, shown)
        ]

    settled = {**(inner.unreadable or {}), mean: otherwise}
    return replace(inner, read=read, fields=(*inner.fields, mean), refused=settled, unreadable=settled)
