"""The prompt that a record answers, in parts that a filter can compare with the record.

`Stage.read` gives each candidate a `FilledPrompt` (`record.asked`), which costs nothing until a filter uses
it. A part is a text with its place in words: "the output of example 2", "the rule 'fitting'". The subject of
the record (the fields of its parent, a line drawn) is not a part, since an answer may quote it. To show
filters more of a prompt, add a function to `fixed_parts`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from selfinstruct.prompts.rendering import TemplateFault, literal, render
from selfinstruct.prompts.templates import Prompt, fields_named, names_in
from selfinstruct.records import Part
from selfinstruct.text.copies import Words

GAP = "\0"  # replaces the values that a template is filled in with
_WORD = re.compile(r"\w")
ASKING = 8  # half words around a quoted text; with fewer, the text is only an example
SHOWN = 60  # characters shown of a line
# A value after a key, and the texts of a list, as JSON writes them.
_VALUE = re.compile(r'"([^"\n]*)"\s*:\s*"((?:[^"\\\n]|\\.)*)"')
_LIST = re.compile(r'\[\s*("(?:[^"\\\n]|\\.)*"(?:\s*,\s*"(?:[^"\\\n]|\\.)*")*)\s*(?:,\s*(?:…|\.\.\.)\s*)?\]')
_TEXT = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_MARKED = re.compile('["“„«「『‘]([^"“”„«»「」『』‘’\\n]+)["“”»」』’]')
# A text in angle brackets with a space in it, and no slash before the space. Each position is tried once.
_BRACKETED = re.compile(r"<([^<>\s/\"=]*[^\S\n][^<>\n\"=]*|[^<>\n/\"=]*\n[^<>\n\"=]*)>")


class FilledPrompt:
    """The prompt that a record answers.

    Args:
        prompt: the recipe's prompt.
        about: the subject of the prompt: the fields of a record, or the lines drawn for the request.
        drawn: returns the other values of this request: its examples.
    """

    def __init__(
        self,
        prompt: Prompt,
        about: Mapping[str, Any],
        drawn: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.prompt, self.about, self._drawn = prompt, about, drawn

    @cached_property
    def parts(self) -> list[Part]:
        """The parts drawn for this request; `fixed_parts` has those that all requests share."""
        return _said(_variables(self._names))

    @cached_property
    def texts(self) -> list[str]:
        """The texts of these parts, which are found in less time than their places."""
        return [text for text in _texts(self._names) if _WORD.search(text)]

    @cached_property
    def _names(self) -> dict[str, Any]:
        shown = fields_named(self.prompt)
        return {
            name: [_shown(item, shown) for item in value] if isinstance(value, list) else value
            for name, value in self._drawn().items()
        }


def _shown(example: Mapping[str, Any], named: frozenset[str]) -> Mapping[str, Any]:
    """The fields of an example that the template shows: those it names, or all if it names none."""
    return {key: value for key, value in example.items() if key in named} or example


def fixed_parts(prompt: Prompt) -> list[Part]:
    """The parts that all requests of a prompt share: its variables, its own text, the system message."""
    named = names_in([prompt]) or set()
    variables = {key: value for key, value in prompt.variables.items() if key in named}
    return _said([*_variables(variables), *_lines(prompt)])


def forms(prompt: Prompt) -> list[list[str]]:
    """The placeholders in a prompt's form for the reply, such as "the answer".

    The placeholders of one key are in one list: "the first task", "the second task".
    """
    variables = [value for value in prompt.variables.values() if isinstance(value, str)]
    texts = [_own_text(text, prompt) for text in (*_messages(prompt), prompt.system or "")]
    found: dict[str, list[str]] = {}
    for text in (*texts, *variables):
        for key, value in _quoted(_without_examples(text)):
            found.setdefault(key, []).append(value)
    return list(found.values())


def _without_examples(text: str) -> str:
    """A text without its lines of JSON if it has several: these are examples; a form is one line."""
    lines = text.split("\n")
    whole = [line for line in lines if _is_object(line)]
    return text if len(whole) < 2 else "\n".join(line for line in lines if line not in whole)


def _is_object(line: str) -> bool:
    try:
        return line.lstrip().startswith("{") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


def prescribed(parts: Iterable[Part]) -> list[str]:
    """The quoted texts in the rules and lines of a prompt, which it may ask for word for word."""
    asking = [part.text for part in parts if Words(_MARKED.sub(" ", part.text)).length >= ASKING]
    return list(dict.fromkeys(text for whole in asking for text in _MARKED.findall(whole)))


def _quoted(text: str) -> Iterator[tuple[str, str]]:
    """The placeholders in a text: the values of keys and lists in JSON, and texts in angle brackets."""
    yield from _VALUE.findall(text)
    for items in _LIST.findall(text):
        yield from (("[]", value) for value in _TEXT.findall(items))
    yield from (("<>", value) for value in _BRACKETED.findall(text))


def _messages(prompt: Prompt) -> list[str]:
    """The templates of its messages, without the system message and the start, which the answer has too."""
    return [prompt.template, *(turn.template for turn in prompt.before)]


def _lines(prompt: Prompt) -> Iterator[Part]:
    for template in _messages(prompt):
        for line in _own_text(template, prompt).split("\n"):
            shown = " ".join(line.replace(GAP, "…").split())
            yield Part(f"a line of the prompt: {_short(shown)!r}", line)
    for line in _own_text(prompt.system or "", prompt).split("\n"):
        yield Part("the system message", line)


def _said(parts: Iterable[Part]) -> list[Part]:
    """The parts that contain a word."""
    return [part for part in parts if _WORD.search(part.text)]


def _own_text(template: str, prompt: Prompt) -> str:
    """A template without its expressions, except the recipe's own variables."""
    pieces = []
    for text, expression in literal(template):
        if expression:
            try:
                text = render(text, prompt.variables)
            except TemplateFault:
                text = GAP
        pieces.append(text)
    return "".join(pieces)


def _variables(names: Mapping[str, Any]) -> Iterator[Part]:
    for name, value in names.items():
        yield from _walk(value, (name,), ())


def _walk(value: Any, path: tuple[str | int, ...], counts: tuple[int, ...]) -> Iterator[Part]:
    """The texts in a value, each with its place; `counts` has the length of each list along the path."""
    if isinstance(value, str):
        yield Part(_place(path, counts), value)
        return
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items, counts = enumerate(value, 1), (*counts, len(value))
    for key, inner in items:
        yield from _walk(inner, (*path, key), counts)


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value, in the order of `_walk`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)


def _place(path: tuple[str | int, ...], counts: tuple[int, ...]) -> str:
    """The place of a text in words: its variable, then the keys of mappings and numbers (from 1) in lists."""
    name, rest = path[0], path[1:]
    if not rest:
        return f"the {name} of the prompt"
    if isinstance(rest[0], int):
        return _in_example(str(name), rest[0], rest[1:], counts[1:])
    if len(rest) == 1 and "rule" in str(name):
        return f"the rule {rest[0]!r}"
    return f"{name}.{'.'.join(map(str, rest))} of the prompt"


def _in_example(name: str, number: int, rest: tuple[str | int, ...], counts: tuple[int, ...]) -> str:
    keys = [key for key in rest if isinstance(key, str)]
    if not keys:
        return f"item {number} of {name}"
    inner = [key for key in rest if isinstance(key, int)]
    which = [str(key) for key, count in zip(inner, counts, strict=True) if count > 1]
    return f"{' '.join([keys[-1], *which]) if which else f'the {keys[-1]}'} of example {number}"


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
