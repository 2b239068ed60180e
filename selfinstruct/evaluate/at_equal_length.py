"""The win rate that would be expected if both answers were equally long (arXiv 2404.04475), simplified.

Judges prefer longer answers, whatever they say. So the wins of a model against another are regressed on the
difference of the lengths, and the regression is read at a difference of zero:

    log odds of a win = a + b * tanh(difference / standard deviation of the differences)

The corrected win rate is that of `a` alone. The original also has a term for the difficulty of each task,
which it estimates from many models; with two models it cannot be estimated, so it is left out here. A slight
ridge keeps `a` and `b` finite where one model wins every time, or is always the longer one. A tie is half a
win.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from selfinstruct.evaluate.bootstrap import Interval

RIDGE = (0.001, 0.1)  # on a and on b
STEPS, CLOSE, LONGEST_STEP = 50, 1e-8, 2.0  # of Newton's method
AT_ONCE = 1_000_000  # weights in memory at once


def corrected(
    wins: Sequence[float],
    longer_by: Sequence[float],
    groups: Sequence[str],
    resamples: int,
    confidence: float,
    seed: int = 0,
) -> Interval:
    """The win rate at equal length, from 0 to 1, with a percentile interval from resampled tasks.

    Args:
        wins: for each task 1, 0.5 for a tie, or 0.
        longer_by: for each task how much longer the answer of this model is, in characters.
        groups: the group of each task; tasks of one group are drawn together, as in `bootstrap`.
        resamples: how many resamples to draw.
        confidence: the share of the interval, such as 0.95.
        seed: the seed of the draws.
    """
    import numpy as np

    won, difference = np.asarray(wins, dtype=float), np.asarray(longer_by, dtype=float)
    scale = difference.std()
    x = np.tanh(difference / scale) if scale else np.zeros_like(difference)
    mean = _at_zero(won, x, np.ones((1, len(won))))[0]
    drawn = _resampled(groups, resamples, np.random.default_rng(seed))
    rates = np.concatenate([_at_zero(won, x, weights) for weights in drawn])
    low, high = np.quantile(rates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(mean), float(low), float(high))


def _resampled(groups: Sequence[str], resamples: int, rng: Any) -> Iterator[Any]:
    """How often each task is in each resample, some resamples at a time."""
    numbers = {name: place for place, name in enumerate(dict.fromkeys(groups))}
    places = [numbers[group] for group in groups] if len(numbers) > 1 else [*range(len(groups))]
    count, step = max(places) + 1, max(1, AT_ONCE // len(groups))
    for begun in range(0, resamples, step):
        size = min(step, resamples - begun)
        yield rng.multinomial(count, [1 / count] * count, size=size)[:, places].astype(float)


def _at_zero(won: Any, x: Any, weights: Any) -> Any:
    """The win rate at x = 0 for each row of weights, by Newton's method."""
    import numpy as np

    terms = np.stack([np.ones_like(x), x])  # what a and b multiply
    ridge = np.diag(RIDGE)
    found = np.zeros((len(weights), 2))
    for _ in range(STEPS):
        rate = 1 / (1 + np.exp(-found @ terms))
        slope = (weights * (won - rate)) @ terms.T - found @ ridge
        curve = np.einsum("rn,an,bn->rab", weights * rate * (1 - rate), terms, terms, optimize=True) + ridge
        step = np.linalg.solve(curve, slope[:, :, None])[:, :, 0].clip(-LONGEST_STEP, LONGEST_STEP)
        found += step
        if abs(step).max() < CLOSE:
            break
    return 1 / (1 + np.exp(-found[:, 0]))
