"""Filters: the checks that a candidate has to pass, by name.

A filter is made by a factory whose keyword arguments are its options in `filters.<stage>.<name>`. Three
sorts of check make one: `each` sees one candidate; `together` sees all the candidates of one reply that
are still in; and one with `learn` is told of every accepted record and every seed, and of each record that
a stage rewrites before its rewriting. One with `mend` replaces fields before it looks: every later check,
the schema, the exports and the journal see what it put there, and `detail["mended"]` keeps what the model
wrote. Judging is done at once, a candidate after the other; what takes a while (to ask a model) is done
before, in `prepare`, for many replies at a time. What the prompt said that a candidate answers is in
`record.asked`. To add a filter, write a factory in the module of its family (or a new one, listed here) and
name it in `conf/filters/`.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from selfinstruct.records import Record, Rejection
from selfinstruct.registry import Registry

if TYPE_CHECKING:
    from selfinstruct.config import ModelConfig
    from selfinstruct.llm.endpoint import RunContext


@dataclass(frozen=True)
class Filter:
    """A check ready to use; `each` or `together` is set, or `mend`, which may go with either.

    Attributes:
        each: a rejection of one candidate, or None where it passes.
        together: rejections of the candidates of one reply, by their place in the list; it gets a random
            stream of its own.
        mend: the fields of one candidate to replace, before `each` or `together`; empty where none is;
            it may be called again for a candidate that it has mended, and then leaves it alone.
        learn: told of each record that joins the pool, or that is about to be rewritten.
        prepare: what `each` needs of some candidates, done before their turn and in any order, so it may
            rest on nothing but the candidates; told too what the run works with, the stage's name and the
            filter's. It may be told of a candidate that an earlier check will reject.
        close: gives back what `prepare` holds.
        asks: the model that `prepare` asks, whose key and price are checked before a run. The factory has it
            from an option that is marked with `config.Asks`.
        sends: the text that it sends of a record, for the plan.
        batch: how many candidates of a reply one request to the model takes.
        fields: the fields it reads, checked against the record's when a recipe is checked.
        tells: the details that it keeps with a record it lets pass, and what each means; an export may have
            them as columns.
        tells_with: the option that has to be set for that, where it is not; None where it tells.
        kind: the name of its factory, whatever a recipe calls it; set when a recipe is built.
    """

    each: Callable[[Record], Rejection | None] | None = None
    together: Callable[[list[Record], random.Random], dict[int, Rejection]] | None = None
    mend: Callable[[Record], dict[str, Any]] | None = None
    learn: Callable[[Record], None] | None = None
    prepare: Callable[[Sequence[Record], RunContext, str, str], Awaitable[None]] | None = None
    close: Callable[[], Awaitable[None]] | None = None
    asks: ModelConfig | None = None
    sends: Callable[[Record], str] | None = None
    batch: int = 1
    fields: tuple[str, ...] = ()
    tells: Mapping[str, str] = field(default_factory=dict)
    tells_with: str | None = None
    kind: str = ""


FILTERS: Registry[Filter] = Registry(
    "filter",
    (
        "selfinstruct.filters.text",
        "selfinstruct.filters.siblings",
        "selfinstruct.filters.novelty",
        "selfinstruct.filters.lineage",
        "selfinstruct.filters.meaning",
        "selfinstruct.filters.refusals",
        "selfinstruct.filters.personal",
        "selfinstruct.filters.repetition",
        "selfinstruct.filters.language",
        "selfinstruct.filters.within",
        "selfinstruct.filters.control_tokens",
        "selfinstruct.filters.stand_ins",
        "selfinstruct.filters.characters",
        "selfinstruct.filters.copied",
        "selfinstruct.filters.repeated",
    ),
    "filters",
    Filter,
)


def text_filter(field: str, check: Callable[[str], str | None]) -> Filter:
    """A filter that looks at one field; `check` gives the reason to reject it, or None."""

    def each(record: Record) -> Rejection | None:
        reason = check(str(record.data.get(field, "")))
        return Rejection(reason) if reason else None

    return Filter(each=each, fields=(field,))
