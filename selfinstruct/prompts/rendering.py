"""Fill in a template: Jinja2, sandboxed, bounded, and strict about names.

A field that does not exist is a fault of the recipe, never an empty string in a prompt. In addition to
Jinja's own filters there is `one_line`, which puts a text on one line without a colon at its end, as in the
numbered list of the paper (section 2.2), and `json`, which writes a value as JSON without escaping any script
(Jinja's `tojson` escapes for web pages).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import UserError

if TYPE_CHECKING:
    from jinja2 import Environment, Template

LONG = 100_000  # characters of a value; a longer one is left to the meter of Jinja's environment
# Names that mean something else in an expression than the field of that name.
RESERVED = {"true", "false", "none", "self", "super"}


class TemplateFault(UserError):
    """A template that cannot be compiled or filled in.

    Attributes:
        lacks: whether a name that the template needs is missing.
        place: the key of the template in the prompt's section, if it is known.
    """

    def __init__(self, what: str, lacks: bool = False, place: str = "") -> None:
        self.lacks, self.place = lacks, place
        super().__init__(what)


def one_line(text: object) -> str:
    """A text with its whitespace collapsed and without colons at its end, also full-width ones."""
    return " ".join(str(text).split()).rstrip(":：")


def as_json(value: object, indent: int | None = None, sort_keys: bool = False) -> str:
    """A value as JSON, without escaping any script."""
    return json.dumps(value, ensure_ascii=False, indent=indent, sort_keys=sort_keys)


def literal(template: str) -> Iterator[tuple[str, bool]]:
    """A template's own text and its expressions, in order, each with whether it is an expression."""
    expression = ""
    for _, kind, value in prompt_environment().lex(template):
        if kind == "variable_begin" or expression:
            expression += value
            if kind == "variable_end":
                yield expression, True
                expression = ""
        elif kind == "data":
            yield value, False


def render(template: str, names: Mapping[str, Any]) -> str:
    """Fill in a template.

    Raises:
        TemplateFault: if it is not valid Jinja2, or names something that does not exist.
    """
    if "{" not in template:  # most stop strings
        return template
    if (plain := _plain(template)) and (text := _joined(plain, names)) is not None:
        return text
    from jinja2 import TemplateError, UndefinedError

    try:
        return _metered(compiled(template), names)
    except UndefinedError as error:
        raise TemplateFault(undefined(str(error), names), lacks=True) from error
    except TemplateError as error:
        raise TemplateFault(f"template: {error}") from error
    except Exception as error:  # any error of the recipe's own expressions
        raise TemplateFault(f"template: {error}") from error


def fill_in_chat(template: str, names: Mapping[str, Any]) -> str:
    """Fill in a chat template, such as a tokenizer's; a name without a value counts as nothing.

    Raises:
        TemplateFault: if it is not valid, or refuses the messages.
    """
    try:
        return _metered(_compile_chat(template), names)
    except Exception as error:  # any error of the template's own expressions
        raise TemplateFault(f"the chat template cannot be filled in: {error}") from error


def _metered(template: Template, names: Mapping[str, Any]) -> str:
    from selfinstruct.prompts.meter import end, start

    token = start()
    try:
        return template.render(names)
    finally:
        end(token)


@lru_cache(maxsize=16)
def _compile_chat(template: str) -> Template:
    from selfinstruct.prompts.environment import chat_environment

    made: Template = chat_environment().from_string(template)
    return made


@lru_cache(maxsize=1024)
def _plain(template: str) -> tuple[tuple[str, str], ...]:
    """The texts of a template that only names fields, each with the name after it; else nothing."""
    from jinja2 import TemplateError

    try:
        compiled(template)
    except TemplateError:
        return ()
    parts, text = [], ""
    for piece, is_expression in literal(template):
        if not is_expression:
            text += piece
            continue
        name = re.fullmatch(r"\{\{\s*([a-z_]+)\s*\}\}", piece)
        if name is None or name[1] in RESERVED:
            return ()
        parts.append((text, name[1]))
        text = ""
    return (*parts, (text, "")) if "{%" not in template and "{#" not in template else ()


def _joined(parts: Sequence[tuple[str, str]], names: Mapping[str, Any]) -> str | None:
    """Such a template filled in with texts, ten times as fast as Jinja; None if a value is not a text."""
    found = []
    *fields, (end, _) = parts
    for text, name in fields:
        value = names.get(name)
        if not isinstance(value, str) or len(value) > LONG:
            return None
        found += [text, value]
    return "".join([*found, end])


@lru_cache(maxsize=1024)
def compiled(template: str) -> Template:
    """The template, compiled.

    Raises:
        TemplateError: Jinja's, if it is not valid.
    """
    return prompt_environment().from_string(template)


@lru_cache(maxsize=1)
def prompt_environment() -> Environment:
    """The environment of all templates in prompts."""
    from selfinstruct.prompts.environment import environment

    return environment({"one_line": one_line, "json": as_json})


def undefined(message: str, names: Mapping[str, Any]) -> str:
    """A message about a name that is missing, with the nearest one and those that exist."""
    known = set(names)
    for example in names.get("examples", []):
        known.update(example)
    missing = re.findall(r"'([^']*)'", message)
    near = get_close_matches(missing[-1], known, n=1, cutoff=0.5) if missing else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{message}{hint} (known: {', '.join(sorted(known))})"
