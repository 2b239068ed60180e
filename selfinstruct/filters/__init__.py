"""Filters: the checks that a candidate must pass, by name.

A factory makes a filter; the factory's keyword arguments are the options in `filters.<stage>.<name>`. A
filter has one or more of these functions:

- `each` checks one candidate.
- `together` checks all the candidates of one reply that earlier checks accepted.
- `learn` receives every accepted record and every seed, and each record that a stage is about to rewrite.
- `mend` replaces fields before the check. Every later check, the schema, the exports and the journal see the
  new values; `detail["mended"]` keeps the model's own.
- `prepare` does slow work (such as asking a model) in advance, for many replies at a time; the checks
  themselves run one candidate after the other.
- `load` reads the files that its options name, and returns the filter that compares with them. It is called
  once, when a recipe is checked, so that a fault in a file is found before the first request.

The prompt that a candidate answers is in `record.asked`. To add a filter, write a factory in the module of
its family (or in a new one, listed here) and name it in `conf/filters/`.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import Fault
from selfinstruct.records import Record, Rejection
from selfinstruct.registry import Registry

if TYPE_CHECKING:
    from selfinstruct.config import ModelConfig
    from selfinstruct.llm.endpoint import RunContext


@dataclass(frozen=True)
class Loaded:
    """What a filter has read from files.

    Attributes:
        note: what it compares with, for the plan; the end of a sentence about the filter.
        digest: a digest of the contents; a run continues only while it stays the same.
    """

    note: str
    digest: str


@dataclass(frozen=True)
class Filter:
    """A check ready to use; `each` or `together` is set, or `mend`, alone or together with one of them.

    Attributes:
        each: returns the rejection of one candidate, or None if it passes.
        together: returns the rejections of the candidates of one reply, by their index in the list; it gets a
            separate random stream.
        mend: returns the fields of one candidate to replace, before `each` or `together`; empty if there are
            none. It may be called again with a candidate that it has mended, and must then change nothing.
        learn: receives each record that joins the pool, or that is about to be rewritten.
        prepare: does the work that `each` needs for some candidates, before their turn and in any order, so
            it may depend only on the candidates. It also gets the run's context, the stage's name and the
            filter's name. An earlier check may still reject some of the candidates.
        close: releases at the end of its stage what the filter holds.
        load: reads the files that it needs and returns the filter to use; None after it has added a fault. It
            gets the user's folder, the filter's config key and the list of faults.
        loaded: what it has read.
        asks: the model that `prepare` asks; its key and price are checked before a run. The factory gets it
            from an option that is marked with `config.Asks`.
        sends: returns the text that it sends for a record, for the plan.
        batch: how many candidates of a reply one request to the model takes.
        fields: the fields that it reads, checked against the record's fields when a recipe is checked.
        tells: the details that it keeps with a record that passes, and the meaning of each; an export may
            have them as columns.
        tells_with: the option that must be set for these details, if it is not set; None if they are kept.
        note: what a user should know about it before a run, for the plan; the end of a sentence about it.
        kind: the name of its factory, which a recipe may give another name; set when a recipe is built.
    """

    each: Callable[[Record], Rejection | None] | None = None
    together: Callable[[list[Record], random.Random], dict[int, Rejection]] | None = None
    mend: Callable[[Record], dict[str, Any]] | None = None
    learn: Callable[[Record], None] | None = None
    prepare: Callable[[Sequence[Record], RunContext, str, str], Awaitable[None]] | None = None
    close: Callable[[], Awaitable[None]] | None = None
    load: Callable[[Path, str, list[Fault]], Filter | None] | None = None
    loaded: Loaded | None = None
    asks: ModelConfig | None = None
    sends: Callable[[Record], str] | None = None
    batch: int = 1
    fields: tuple[str, ...] = ()
    tells: Mapping[str, str] = field(default_factory=dict)
    tells_with: str | None = None
    note: str = ""
    kind: str = ""


FILTERS: Registry[Filter] = Registry(
    "filter",
    (
        "selfinstruct.filters.text",
        "selfinstruct.filters.siblings",
        "selfinstruct.filters.novelty",
        "selfinstruct.filters.lineage",
        "selfinstruct.filters.translation",
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
        "selfinstruct.filters.decontaminate",
        "selfinstruct.filters.agreement",
        "selfinstruct.filters.limits",
        "selfinstruct.filters.parses",
        "selfinstruct.filters.missing_input",
        "selfinstruct.filters.calls",
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
