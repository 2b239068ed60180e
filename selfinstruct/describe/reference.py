"""The reference of everything that a recipe can say, docs/reference.md.

To write it again: `python -m selfinstruct.describe.reference > docs/reference.md`.

Nothing that the code says is repeated here: keys and options come from `description`, checks from `replies`,
events from the docstring of `events`. Only what the code cannot say (the files of a run folder, exit
statuses) is below; a test compares it, and the page, with the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from selfinstruct.describe.description import REGISTRIES, Entry, Section, entries, sections
from selfinstruct.describe.wording import default_words, type_words
from selfinstruct.errors import MISSED_STATUS, BudgetReached, Interrupted
from selfinstruct.monitor import events
from selfinstruct.parse import CUT, UNDECIDED, UNREADABLE, replies

RENEW = "python -m selfinstruct.describe.reference > docs/reference.md"
FILES = {
    "<stage>.jsonl": "the records of each stage that makes some, with their labels",
    "rejected.jsonl": "each candidate that did not pass, with its check, reason, nearest record and score",
    "dataset/": "the exports that have rows, and a README.md with their contents and how to load them",
    "set-aside/": "files of `dataset/` that are no longer asked for; no command reads them",
    "summary.json": "figures of each stage, whether the run is finished, its `state` and reason, versions, "
    "SHA-256 of the files",
    "events.jsonl": "what happened, one line per event",
    "run.sqlite": "the journal, from which the other files are written; SQLite's `-wal` and `-shm` beside it",
    "run.damaged-1.sqlite": "a damaged journal that `repair=true` has replaced with a mended one",
    "run.lock": "locked while a process works on the run",
    ".hydra/": "the composed recipe (`config.yaml`) and the overrides",
}
STATUSES = {
    0: "as asked",
    1: "an error; the message says what to do",
    BudgetReached.status: "a budget is reached; the run continues with a larger one",
    MISSED_STATUS: "the run ended but missed its target or left no record; the last line says why",
    Interrupted.status: "stopped by Ctrl-C or SIGTERM; the same command continues",
}


def main() -> None:
    """Print the page."""
    print(page(), end="")


def page() -> str:
    """The whole page, as Markdown."""
    parts = [_opening(), *_keys(), *_entries(), *_replies(), *_events(), *_folder()]
    return "\n".join(parts).rstrip() + "\n"


def _opening() -> str:
    return f"""\
# Reference

Every key of a recipe, and everything that a recipe can name. This page is made from the code; renew it with
`{RENEW}`.

- [Keys](#keys)
{"".join(f"- [{offer.title}](#{_anchor(offer.title)}){chr(10)}" for offer in REGISTRIES)}\
- [Checks of a reply](#checks-of-a-reply)
- [Events](#events)
- [A run folder](#a-run-folder)
- [Exit statuses](#exit-statuses)
"""


def _keys() -> Iterator[str]:
    yield """\
## Keys

If the column "may change" says yes, a key belongs to the machine or the moment: its value may change when the
same run continues. All other keys shape the data: a run folder that was made with another value is refused.
Two more may change: `target`, which may grow, and `export`, since its files are rewritten at every end. A key
without a default must be set; the recipes that come with the project set it.
"""
    for place, section in sections().items():
        yield f"### {f'`{place}`' if place else 'The top'}\n\n{section.words}\n"
        yield _options(section, f"{place}." if place else "")
    yield """\
`filters.STAGE.NAME` and `prompts.STAGE.parse` take a `kind` and its options, which the registries below list.
`schema.STAGE` and `schema.seeds` are JSON Schemas (2020-12). A key of `pipeline.STAGE.model` is a key of
`model`.
"""


def _entries() -> Iterator[str]:
    for offer in REGISTRIES:
        yield f"## {offer.title}\n\n{offer.place}\n"
        for entry in entries(offer.registry):
            yield f"### `{entry.name}`\n\n{entry.words}\n"
            if entry.keys:
                yield _options(entry)


def _options(of: Section | Entry, prefix: str = "") -> str:
    """The table of some keys, each with the prefix of its section."""
    shapes = of.shapes if isinstance(of, Entry) else {}
    rows = [
        (
            f"`{prefix}{key.name}`",
            type_words(key.schema, shapes),
            default_words(key),
            "yes" if key.machine else "",
            key.words,
        )
        for key in of.keys
    ]
    title = "key" if isinstance(of, Section) else "option"
    return _table((title, "type", "default", "may change", "what it is"), rows)


def _replies() -> Iterator[str]:
    yield """\
## Checks of a reply

Besides its filters and its schema (`schema`), a candidate can be rejected for a fault of the whole reply, or
of the place in it that the candidate was read from. These are the names in `rejected.jsonl` and
`summary.json`:
"""
    yield _table(("check", "when"), [(f"`{name}`", words) for name, words in reply_checks().items()])


def reply_checks() -> dict[str, str]:
    """The checks that no recipe names, and their meanings."""
    return {
        replies.CONTENT_FILTER: "the provider's content filter refused the request or stopped the reply",
        replies.CONTEXT: "the request is longer than the model can take",
        replies.REFUSED: "the provider refused the request in words of its own, but answered a plain prompt",
        replies.NO_CHOICES: "the provider answered without a reply, at every attempt",
        replies.BROKEN_OFF: "the provider cut off the reply, at every attempt",
        replies.EMPTY: "the reply is empty",
        replies.THINKING_CUT: "the reply has a thought but no answer: its tokens were spent on thinking",
        replies.MISSING: "one of the `n` replies that a request asked for did not come back",
        "oversized": f"the reply has more than {replies.LARGEST:,} characters",
        "repeated_line": f"the reply repeats one line more than {replies.MOST_IN_A_ROW} times in a row",
        CUT: "the reply reached `max_tokens` inside this candidate",
        UNDECIDED: "a question with fixed answers: the answer is not one of them, empty or cut",
        UNREADABLE: "the parser found nothing usable, or not all that a candidate needs",
    }


def _events() -> Iterator[str]:
    first, _, rest = (events.__doc__ or "").partition("\n\n")
    opening, _, table = rest.partition(":\n")
    yield f"## Events\n\n{first}\n\n{opening}:\n"
    joined = re.sub(r"\n {8,}", " ", table.strip("\n"))
    rows = [re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in joined.splitlines()]
    yield _table(
        ("event", "what happened, and the fields of its line"), [(f"`{name}`", what) for name, what in rows]
    )


def _folder() -> Iterator[str]:
    yield "## A run folder\n\n`runs/<recipe>`, or `run_dir`.\n"
    yield _table(("file", "what"), [(f"`{name}`", what) for name, what in FILES.items()])
    yield "## Exit statuses\n"
    yield _table(("status", "when"), [(str(status), what) for status, what in STATUSES.items()])
    yield (
        "A sweep (`-m`) ends with 1 if a job failed, else with 3 if one spent its budget, else with 4 "
        "if one missed its target; or with 130 if it was stopped.\n"
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; a column that is empty in all rows is left out."""
    heads, body = list(head), [list(row) for row in rows]
    full = [place for place in range(len(heads)) if any(row[place] for row in body)]
    lines = [heads, ["---"] * len(heads), *body]
    cells = [[line[place].replace("|", r"\|").replace("\n", " ") for place in full] for line in lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


if __name__ == "__main__":
    main()
