"""The numbers of a judgement of open answers, by a model and by people: how good they are, and who wins.

They are the key `judged` of evaluation.json. Shares are in percent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from selfinstruct.report.numbers.tuning_files import Agreement, Compared, Judged, Pairs, Rated, Ratings

HALF = 50.0
BIAS = 10.0  # percentage points from a half, beyond which the position is said to decide


def judged(found: Any, confidence: float, notes: list[str]) -> dict[str, Any] | None:
    """The numbers; None if nothing was judged.

    Args:
        found: what the key has.
        confidence: the share of the intervals.
        notes: gets a note if it cannot be used.

    Returns:
        `ratings` and `comparisons`: a row for each model or pair of models and each rater, `who`; the first
        have `parts`, the latter `says`, a sentence, and `warnings`; `levels` from best to worst; `agreement`:
        sentences on judge and people.
    """
    if not found:
        return None
    try:
        data = Judged.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        notes.append(f"The judgement is left out: judged.{where}: {first['msg']}")
        return None
    ratings, pairs = data.ratings, data.pairs
    made = {
        "levels": list(ratings.levels) if ratings else [],
        "ratings": list(_ratings(data, ratings)) if ratings else [],
        "comparisons": list(_comparisons(data, pairs, confidence)) if pairs else [],
        "agreement": [
            *_agreed("ratings", ratings.agreement if ratings else None),
            *_agreed("comparisons", pairs.agreement if pairs else None),
        ],
    }
    return made if made["ratings"] or made["comparisons"] else None


def _ratings(data: Judged, found: Ratings) -> Iterator[dict[str, Any]]:
    for who, rated in ((_judge(data), found.judge), ("people", found.people)):
        for name, model in (rated.models if rated else {}).items():
            yield {
                "model": name,
                "who": who,
                "rated": model.rated,
                "left_out": model.left_out,
                **_parts(model),
            }


def _parts(model: Rated) -> dict[str, Any]:
    """The share of each level, with its interval."""
    parts = [{"level": level, **one.model_dump()} for level, one in model.levels.items()]
    return {"parts": parts}


def _comparisons(data: Judged, found: Pairs, confidence: float) -> Iterator[dict[str, Any]]:
    for who, several in ((_judge(data), found.judge), ("people", found.people)):
        for one in several:
            if one.win_rate.mean is not None:
                told = {"says": _says(one, who, confidence), "warnings": list(_warnings(one))}
                yield {"who": who, **one.model_dump(), **told}


def _judge(data: Judged) -> str:
    return data.judge or "the judge"


def _says(one: Compared, who: str, confidence: float) -> str:
    rate, share = one.win_rate, f"{confidence * 100:.4g}%"
    wins = f"by {who}, {one.after} wins {rate.mean:.1f}% of {one.pairs:,} comparisons with {one.before}"
    between = f"{share} interval {rate.low:.1f}% to {rate.high:.1f}%"
    if one.shown:
        return f"{wins[0].upper()}{wins[1:]} ({between}); a tie is half a win."
    return f"No preference is shown: {wins} ({between}, which has a half in it); a tie is half a win."


def _warnings(one: Compared) -> Iterator[str]:
    equal = one.at_equal_length
    if equal.low is not None and equal.high is not None and one.shown and equal.low <= HALF <= equal.high:
        yield (
            f"Length explains it: at equal length, {one.after} wins {equal.mean:.1f}% ({equal.low:.1f}% to "
            f"{equal.high:.1f}%)."
        )
    first = one.position.first_share
    if first is not None and abs(first - HALF) > BIAS and one.position.named >= 20:
        yield (
            f"The position decides: the answer shown first was called better in {first:.0f}% of the "
            f"{one.position.named:,} verdicts for one of them, where 50% is fair."
        )


def _agreed(what: str, found: Agreement | None) -> Iterator[dict[str, Any]]:
    """How far the judge and people agree; a judge that disagrees is said to."""
    if not found or not found.records:
        return
    kappa = found.kappa if found.weighted_kappa is None else found.weighted_kappa
    told = "no kappa, since all their answers are the same" if kappa is None else f"a kappa of {kappa:.2f}"
    says = f"On {found.records:,} {what} by both, the judge and people have {told}"
    says += f" and give the same answer to {found.same:.0%}." if found.same is not None else "."
    if found.disagrees:
        says += " The judge disagrees with people, so its figures say little."
    yield {"what": what, "says": says, "disagrees": found.disagrees, "kappa": kappa}
