"""Why most candidates of a stage are rejected, and what helps: reported during the run, and at its end.

The table in `advice` says what helps for which check.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from selfinstruct.config import RecipeConfig
from selfinstruct.journal.stage_stats import Particulars, StageStats, main_reason
from selfinstruct.journal.store import Journal
from selfinstruct.records import ACCEPTED, REJECTED, Record
from selfinstruct.report.advice import COPIES, HELP, OTHER, Help, advice
from selfinstruct.stages import Stage, StageRun

CLEAR = 20  # from this many candidates on, a share is meaningful
LONGEST_REASON = 90  # characters
NEAR = ("exact_duplicate", "rouge_l", "embedding_similarity")  # kinds whose detail names the nearest text


class Reasons:
    """Watches the fates of a stage's candidates.

    Args:
        config: the recipe.
        stage: the stage.
        journal: the run's journal.
        before: the figures of the stage when it begins.
    """

    def __init__(self, config: RecipeConfig, stage: Stage, journal: Journal, before: StageStats) -> None:
        self._config, self._stage, self._journal = config, stage, journal
        self._candidates, self._rejected = before.candidates, Counter(before.rejected)
        self._said: str | None = None

    def remark(self, records: Sequence[Record]) -> str | None:
        """The remark after these were taken in: that a check rejects most, as soon as this is clear."""
        self._candidates += sum(record.fate in (ACCEPTED, REJECTED) for record in records)
        self._rejected.update(record.check or "" for record in records if record.fate == REJECTED)
        main = main_reason(self._rejected, self._candidates)
        if not main or self._candidates < CLEAR or main["share"] <= 0.5 or main["check"] == self._said:
            return None
        self._said = main["check"]
        return f"{self._stage.name}, so far: {self.told()}"

    def closing(self, work: StageRun) -> str | None:
        """The remark at the stage's end: if few or none were accepted, or it fell short."""
        accepted, rejected = self._journal.fates(self._stage.name)
        candidates = accepted + sum(rejected.values())
        if not rejected:
            return None
        if work.gave_up is not None:
            lately = f"after reply {work.gave_up}, " if work.gave_up else ""
            return f"{self._stage.name}: {lately}{self.told(work.gave_up)}"
        short = self._stage.kind.falls_short(accepted, work.goal)
        few = 2 * self._stage.kind.wasted(rejected) > candidates
        if short or not accepted or (few and candidates >= CLEAR):
            return f"{self._stage.name}: {self.told()}"
        return None

    def main(self, after: int = 0) -> dict[str, Any] | None:
        """The check that rejected the most after a request; see `StageStats`."""
        accepted, rejected = self._journal.fates(self._stage.name, after)
        return self._main(rejected, accepted + sum(rejected.values()))

    def told(self, after: int = 0) -> str:
        """The main reason for rejections after a request, its share, and what helps."""
        accepted, rejected = self._journal.fates(self._stage.name, after)
        candidates = accepted + sum(rejected.values())
        main = self._main(rejected, candidates)
        assert main, "something was rejected"
        more = self._journal.particulars(self._stage.name, main["check"], after)
        kinds = {name: check.kind or name for name, check in self._stage.judge.checks}
        check, count = main["check"], main["count"]
        help = _help(kinds.get(check, check), more, count)
        words = "" if check in kinds else _most_often(more, count)
        text = f"{count:,} of {candidates:,} candidates ({main['share']:.0%}) {help.what} ({check}{words})"
        return f"{text}. {advice(help, check, self._config, self._stage, more.variant)}"

    def _main(self, rejected: Mapping[str, int], candidates: int) -> dict[str, Any] | None:
        """See `StageStats`; a check for records without a flaw counts only if no other has rejected any."""
        return main_reason(self._stage.kind.flawed(rejected) or rejected, candidates)


def _help(kind: str, more: Particulars, count: int) -> Help:
    """The line of the table; a candidate near the shown examples was copied, whichever check saw it."""
    return COPIES if kind in NEAR and 2 * more.shown > count else HELP.get(kind, OTHER)


def _most_often(more: Particulars, count: int) -> str:
    """The reason that most of them have in common, if there is one."""
    text, times = more.reason
    if not text or 2 * times <= count:
        return ""
    return f": {text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + '…'}"
