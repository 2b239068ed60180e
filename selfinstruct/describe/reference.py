"""The reference of everything that a recipe can say, docs/reference.md.

To write it anew: `python -m selfinstruct.describe.reference > docs/reference.md`.

Nothing is written here that stands in the code: keys come from the models of `config`, options from the
signatures and docstrings in the registries, checks from `replies`, events from the docstring of `events`.
Only what no code can say (the files of a run folder, exit statuses) stands below; a test holds it, and the
page, against the code.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from selfinstruct import config
from selfinstruct.errors import MISSED_STATUS, BudgetReached, Interrupted
from selfinstruct.export import EXPORTS
from selfinstruct.filters import FILTERS
from selfinstruct.llm import MODELS
from selfinstruct.monitor import events
from selfinstruct.parse import CUT, PARSERS, UNDECIDED, UNREADABLE, replies
from selfinstruct.registry import Registry
from selfinstruct.stages import STAGES
from selfinstruct.text.tokenizers import TOKENIZERS

RENEW = "python -m selfinstruct.describe.reference > docs/reference.md"
BOUNDS = {
    "ge": "at least",
    "gt": "above",
    "le": "at most",
    "lt": "below",
    "min_length": "at least",
    "max_length": "at most",
}
SECTIONS: dict[str, type[BaseModel]] = {  # where a model's keys stand in a recipe
    "": config.RecipeConfig,
    "seeds.": config.SeedsConfig,
    "model.": config.ModelConfig,
    "model.price.": config.PriceConfig,
    "mix.": config.MixConfig,
    "pipeline.STAGE.": config.StageConfig,
    "filters.STAGE.NAME.": config.FilterConfig,
    "prompts.STAGE.": config.PromptConfig,
    "prompts.STAGE.variants.VARIANT.": config.VariantConfig,
    "export.NAME.": config.ExportConfig,
    "budget.": config.BudgetConfig,
    "cache.": config.CacheConfig,
}
REGISTRIES: dict[str, tuple[Registry[Any], str]] = {
    "Kinds of stage": (STAGES, "`pipeline.STAGE.kind`; its options stand beside `kind`."),
    "Parsers": (PARSERS, "`prompts.STAGE.parse.kind`; its options stand beside `kind`."),
    "Filters": (
        FILTERS,
        "`filters.STAGE.NAME`. The name of a check is its kind too, unless `kind` says another. "
        "Options stand beside `kind`; null in the place of a check drops it.",
    ),
    "Export formats": (
        EXPORTS,
        "`export.NAME`. The name is the format too, unless `kind` says another. Options stand beside `kind`.",
    ),
    "Kinds of model": (MODELS, "`model.kind`; its options stand in `model.options`."),
    "Tokenizers": (TOKENIZERS, "The option `tokenizer` of a filter; without it the language picks one."),
}
FILES = {
    "<stage>.jsonl": "the records of each stage that makes some, with their labels",
    "rejected.jsonl": "every candidate that did not pass: check, reason, nearest record and score",
    "dataset/": "the exports that have rows, and a README.md that says what they are and how to load them",
    "set-aside/": "files of `dataset/` that are no longer asked for; nothing in it is read",
    "summary.json": "figures of each stage, whether the run is finished, its `state` and why, versions, "
    "SHA-256 of the files",
    "events.jsonl": "what happened, a line an event",
    "run.sqlite": "the journal, from which the other files are written; SQLite's `-wal` and `-shm` beside it",
    "run.damaged-1.sqlite": "a damaged journal, in whose place `repair=true` has put a mended one",
    "run.lock": "held while a process is at the run",
    ".hydra/": "the composed recipe (`config.yaml`) and the overrides",
}
STATUSES = {
    0: "as asked",
    1: "an error; the message says what to do",
    BudgetReached.status: "a budget is reached; a larger one goes on",
    MISSED_STATUS: "the run ended but missed its target or left no record; the last line says why",
    Interrupted.status: "stopped by Ctrl-C or SIGTERM; the same command goes on",
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
{"".join(f"- [{title}](#{_anchor(title)}){chr(10)}" for title in REGISTRIES)}\
- [Checks of a reply](#checks-of-a-reply)
- [Events](#events)
- [A run folder](#a-run-folder)
- [Exit statuses](#exit-statuses)
"""


def _keys() -> Iterator[str]:
    yield """\
## Keys

A key whose column "may change" says yes belongs to the machine or the moment: it may differ when the same run
goes on. All others shape the data, and a run folder made with another value is refused. Two more may change:
`target`, which may grow, and `export`, since its files are written anew at every end. A key without a default
has to be set; the recipes that come with the project set it.
"""
    for prefix, model in SECTIONS.items():
        title = f"`{prefix.removesuffix('.')}`" if prefix else "The top"
        yield f"### {title}\n\n{inspect.getdoc(model)}\n"
        hints = get_type_hints(model)  # some name a model that comes after
        rows = [_key(prefix, name, field, hints[name]) for name, field in _own(model).items()]
        yield _table(("key", "type", "default", "may change", "what it is"), rows)
    yield """\
`filters.STAGE.NAME` and `prompts.STAGE.parse` take a `kind` and its options, which the registries below list.
`schema.STAGE` and `schema.seeds` are JSON Schemas (2020-12). A key of `pipeline.STAGE.model` is a key of
`model`.
"""


def _own(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model; of a variant only those that a prompt does not have."""
    fields = model.model_fields
    if model is config.VariantConfig:
        return {name: field for name, field in fields.items() if name not in config.PromptConfig.model_fields}
    return fields


def _key(prefix: str, name: str, field: FieldInfo, hint: Any) -> tuple[str, ...]:
    default = field.get_default(call_default_factory=True, validated_data={})
    if name == "kind" and default == "":
        default = PydanticUndefined
    machine = "yes" if config.Machine in field.metadata else ""
    kind = _type(hint, field.metadata)
    words = field.description or ("which one, by name" if name == "kind" else _first_line(hint))
    return f"`{prefix}{field.alias or name}`", kind, _default(default), machine, words


def _first_line(annotation: Any) -> str:
    """What the section that a key holds says of itself."""
    return (inspect.getdoc(annotation) or "").split("\n")[0]


def _entries() -> Iterator[str]:
    for title, (registry, where) in REGISTRIES.items():
        yield f"## {title}\n\n{where}\n"
        for name in registry.names():
            yield from _entry(name, registry.factory(name))


def _entry(name: str, factory: Callable[..., Any]) -> Iterator[str]:
    text, about = _docstring(factory)
    yield f"### `{name}`\n\n{text}\n"
    hints = get_type_hints(factory, include_extras=True)
    rows = []
    for option in inspect.signature(factory).parameters.values():
        hint, marks = _apart(hints[option.name])
        default = PydanticUndefined if option.default is inspect.Parameter.empty else option.default
        machine = "yes" if config.Machine in marks else ""
        rows.append(
            (f"`{option.name}`", _type(hint, marks), _default(default), machine, about.get(option.name, ""))
        )
    if rows:
        yield _table(("option", "type", "default", "may change", "what it is"), rows)


def _docstring(factory: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """What a docstring says, and what it says of each argument."""
    text, _, arguments = (inspect.getdoc(factory) or "").partition("\nArgs:\n")
    arguments = re.split(r"\n\S", arguments)[0]  # up to the next section
    about = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", arguments, re.MULTILINE)
    return text.strip(), {name: " ".join(words.split()) for name, words in about}


def _replies() -> Iterator[str]:
    yield """\
## Checks of a reply

Besides its filters and its schema (`schema`), a candidate can be rejected for what is wrong with the reply as
a whole, or with the place it was read from. These are the names in `rejected.jsonl` and `summary.json`:
"""
    yield _table(("check", "when"), [(f"`{name}`", words) for name, words in reply_checks().items()])


def reply_checks() -> dict[str, str]:
    """The checks that no recipe names, and what each means."""
    return {
        replies.CONTENT_FILTER: "the provider's content filter refused the request or ended the reply",
        replies.CONTEXT: "the request is longer than the model can take",
        replies.REFUSED: "the provider refused the request in its own words, and answered a plain prompt",
        replies.NO_CHOICES: "the provider answered without a reply, at every attempt",
        replies.BROKEN_OFF: "the provider broke the reply off, at every attempt",
        replies.EMPTY: "the reply is empty",
        replies.MISSING: "of the `n` replies asked for in one request, one did not come back",
        "oversized": f"the reply has more than {replies.LARGEST:,} characters",
        "repeated_line": f"the reply has one line more than {replies.MOST_IN_A_ROW} times in a row",
        CUT: "the reply reached `max_tokens` within this candidate",
        UNDECIDED: "a question of a closed set: its answer is none of it, empty or cut",
        UNREADABLE: "the parser found nothing it could use, or not all that a candidate needs",
    }


def _events() -> Iterator[str]:
    first, _, rest = (events.__doc__ or "").partition("\n\n")
    opening, _, table = rest.partition(":\n")
    yield f"## Events\n\n{first}\n\n{opening}:\n"
    joined = re.sub(r"\n {8,}", " ", table.strip("\n"))
    rows = [re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in joined.splitlines()]
    yield _table(
        ("event", "what happened, and what its line has"), [(f"`{name}`", what) for name, what in rows]
    )


def _folder() -> Iterator[str]:
    yield "## A run folder\n\n`runs/<recipe>`, or `run_dir`.\n"
    yield _table(("file", "what"), [(f"`{name}`", what) for name, what in FILES.items()])
    yield "## Exit statuses\n"
    yield _table(("status", "when"), [(str(status), what) for status, what in STATUSES.items()])
    yield (
        "A sweep (`-m`) ends with 1 where a job failed, else with 3 where one spent its budget, else with 4 "
        "where one missed its target; or with 130 where it was stopped.\n"
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; a column that is empty throughout is left out."""
    heads, body = list(head), [list(row) for row in rows]
    full = [place for place in range(len(heads)) if any(row[place] for row in body)]
    lines = [heads, ["---"] * len(heads), *body]
    cells = [[line[place].replace("|", r"\|").replace("\n", " ") for place in full] for line in lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _apart(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its marks, and these."""
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        return inner, tuple(marks)
    return hint, ()


def _type(hint: Any, marks: Iterable[Any] = ()) -> str:
    """A type in words that whoever writes YAML knows, with its bounds."""
    hint, inner = _apart(hint)
    marks = (*marks, *inner)
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        text = " or ".join(f"`{value}`" for value in parts)
    elif origin in (Union, UnionType):
        text = " or ".join("null" if part is NoneType else _type(part) for part in parts)
    elif origin is list:
        text = f"list of {_type(parts[0])}"
    elif origin is dict:
        text = "mapping" if parts[1] is Any else f"mapping to {_type(parts[1])}"
    elif inspect.isclass(hint) and issubclass(hint, BaseModel):
        text = _section(hint)
    else:
        names = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any"}
        text = names.get(hint, str(hint))
    return ", ".join([text, *_bounds(marks)])


def _section(model: type[BaseModel]) -> str:
    """A section of keys; one of an option's own with its keys, since no table has them."""
    if model.__module__ == config.__name__:
        return "section"
    return "section (" + ", ".join(f"`{name}`" for name in model.model_fields) + ")"


def _bounds(marks: Iterable[Any]) -> Iterator[str]:
    for mark in marks:
        for one in mark.metadata if isinstance(mark, FieldInfo) else [mark]:
            yield from (
                f"{words} {getattr(one, name)}" for name, words in BOUNDS.items() if hasattr(one, name)
            )


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "—"
    if isinstance(value, BaseModel):
        value = {}
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


if __name__ == "__main__":
    main()
