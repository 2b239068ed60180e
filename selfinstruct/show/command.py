"""`selfinstruct show RUN`: a run at a glance, the story of a record, and records by words or by check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from selfinstruct.errors import UserError, unknown
from selfinstruct.monitor.progress import Progress
from selfinstruct.project.layout import path_below
from selfinstruct.run_folder.opened import OpenedRun, opened, run_of
from selfinstruct.show import overview
from selfinstruct.show.find import MOST, Found, Query, conditions, find, nearest_ids, whole_id
from selfinstruct.show.output import Output
from selfinstruct.show.story import brief, story
from selfinstruct.sources.pool import SEED_STAGE

HELP = f"""\
selfinstruct show: look at a run, or at the whole story of one record

  selfinstruct show RUN                            its state, the figures of each stage, and a few records
  selfinstruct show RUN ID                         the story of a record: the checks with their figures, the
                                                   nearest other text, labels, prompt, reply and cost
  selfinstruct show RUN WORDS                      the same by words from the record; if several records have
                                                   them, a list

  RUN is the folder of a run, finished or not, also while it runs; of a sweep, its jobs are listed. Nothing
  in the folder is changed. WORDS are found in any record, accepted or not, and in the seed tasks; upper and
  lower case are the same.

  --find WORDS           list the records with these words
  --rejected [CHECK]     list the records that this check rejected, or any check
  --stage NAME           only records of this stage; by itself, list its accepted records with their labels.
                         NAME may be {SEED_STAGE}
  --where FIELD=VALUE    only records with this value: score=5, score>=4, label!=unclear, kind=[a, b]; may be
                         given several times. Quote < and > for the shell: --where 'score>=4'
  -n N                   list at most N records ({MOST})
  --json                 print JSON, one line for each record; of a record its story on one line
  --no-pager             print a long text at once, instead of page by page (in $PAGER) on a terminal

  selfinstruct show runs/chat instances-000012-0
  selfinstruct show runs/chat "poem about the sea"
  selfinstruct show runs/chat --rejected rouge_l -n 5
  selfinstruct show runs/judged --stage instances --where 'score>=4' --json
"""
OPTIONS = ("--find", "--rejected", "--stage", "--where", "-n", "--json", "--no-pager")
_FLAGS = ("--json", "--no-pager")


@dataclass
class Typed:
    """What a user has typed.

    Attributes:
        words: the words that belong to no option.
        values: the words of each option that takes some; empty for one without a value.
        flags: the options that take none.
    """

    words: list[str] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)


def main(arguments: list[str], project: Path) -> int:
    """Show what the arguments ask for; return the exit status."""
    given = _typed(arguments)
    if not given.words:
        raise UserError("show takes the folder of a run: selfinstruct show runs/NAME; see show --help")
    folder, words = given.words[0], " ".join(given.words[1:])
    output = Output(as_json="--json" in given.flags, paged="--no-pager" not in given.flags)
    jobs = overview.jobs(path_below(project, folder)) if len(given.words) == 1 and not given.values else []
    if jobs:
        output.jobs(jobs, folder, f"selfinstruct show {folder}/{jobs[0]['job']} shows one of them")
        return 0
    with opened(run_of(folder, project, "show"), project) as run:
        if given.values:
            _list(run, _query(given, words), folder, output)
        elif words:
            _one(run, words, folder, output)
        else:
            with Progress().busy(f"reading {folder}"):
                glance = overview.overview(run)
            output.run(glance, folder)
    return 0


def _one(run: OpenedRun, words: str, folder: str, output: Output) -> None:
    """Show the record with this id, or with these words; list them if there are several.

    Raises:
        UserError: if there is none; the message has ids like it.
    """
    id = whole_id(run, words)
    if id is None:
        with Progress().busy(f"looking for {words[:40]!r} in {folder}"):
            found = find(run, Query(words))
        if found.total > 1 and found.exact != 1:
            _listed(run, found, f"with the words {words!r}", folder, output)
            return
        if not found.total:
            near = nearest_ids(run, words)
            hint = f"; near it are: {', '.join(near)}" if near else ""
            what = f"{folder} has no record with the id or the words {words!r}{hint}"
            raise UserError(f"{what}\n  selfinstruct show {folder} lists its stages and shows a few records")
        id = found.records[0].id
    with Progress().busy(f"reading {folder}"):
        told = story(run, id)
    output.story(told)


def _list(run: OpenedRun, query: Query, folder: str, output: Output) -> None:
    with Progress().busy(f"reading {folder}"):
        found = find(run, query)
    parts = [f"of {query.stage}"] if query.stage else []
    if query.rejected is not None:
        parts.append(f"rejected by {query.rejected}" if query.rejected else "rejected")
    parts += [f"with the words {query.words!r}"] if query.words else []
    parts += [f"where {query.where}"] if query.where else []
    _listed(run, found, ", ".join(parts), folder, output)


def _listed(run: OpenedRun, found: Found, what: str, folder: str, output: Output) -> None:
    rows = [{**brief(run, one), "data": one.data, "detail": one.detail} for one in found.records]
    example = found.records[0].id if found.records else "ID"
    more = "; more of them: -n N" if len(rows) < found.total else ""
    how = f"the story of one of them: selfinstruct show {folder} {example}{more}" if rows else ""
    output.found(found, rows, what, how)


def _query(given: Typed, words: str) -> Query:
    """The query that the options make.

    Raises:
        UserError: for an option that lacks its value, or that cannot be read.
    """
    last = {name: values[-1] if values else "" for name, values in given.values.items()}
    for name, example in (("--find", "WORDS"), ("--stage", "NAME"), ("--where", "FIELD=VALUE"), ("-n", "N")):
        if name in last and not last[name]:
            raise UserError(f"show: {name} takes {example}")
    most = last.get("-n", str(MOST))
    if not most.isdecimal() or not 0 < int(most[:10]) < 10**9:
        raise UserError(f"show: -n takes a number of records, such as -n {MOST}, not {most!r}")
    return Query(
        words=" ".join([*given.values.get("--find", []), *words.split()]),
        stage=last.get("--stage"),
        rejected=last.get("--rejected"),
        where=conditions(given.values.get("--where", [])),
        most=int(most),
    )


def _typed(arguments: Sequence[str]) -> Typed:
    """The arguments, sorted.

    Raises:
        UserError: for an option that does not exist.
    """
    given, rest = Typed(), list(arguments)
    while rest:
        part = rest.pop(0)
        name, equals, value = part.partition("=") if part.startswith("--") else (part, "", "")
        if part == "--":
            given.words += rest
            break
        if part.startswith("-n") and part[2:].strip("=").isdecimal():
            name, equals, value = "-n", "=", part[2:].strip("=")
        if not part.startswith("-") or len(part) == 1:
            given.words.append(part)
        elif name not in OPTIONS:
            raise UserError("show: " + "; ".join(unknown("option", name, OPTIONS)))
        elif name in _FLAGS:
            given.flags.add(name)
        elif equals:
            given.values.setdefault(name, []).append(value)
        else:
            given.values.setdefault(name, []).extend(_values(name, rest))
    return given


def _values(name: str, rest: list[str]) -> Iterator[str]:
    """Take the words of an option from the front of the rest: one, or all up to the next option."""
    yield from [rest.pop(0)] if rest and not rest[0].startswith("-") else []
    while name == "--find" and rest and not rest[0].startswith("-"):
        yield rest.pop(0)
