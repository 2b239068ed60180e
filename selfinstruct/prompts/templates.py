"""Prompts: make the text to send from a recipe's templates and a record or a few examples.

Templates are Jinja2, sandboxed, and strict about names: a field that does not exist is a fault of the recipe,
never an empty string in a prompt. In addition to Jinja's own filters there is `one_line`, which puts a text
on one line without a colon at its end, as in the numbered list of the paper (section 2.2), and `json`, which
writes a value as JSON without escaping any script (Jinja's `tojson` escapes for web pages).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property, lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import Fault, UserError
from selfinstruct.parse import PARSERS, Parser
from selfinstruct.prompts.beginning import Fixed, fixed_text
from selfinstruct.prompts.constrain import response_format
from selfinstruct.prompts.turns import EXAMPLE, Layout, Turn, laid_out
from selfinstruct.records import Message
from selfinstruct.where import Where

if TYPE_CHECKING:
    from jinja2 import Environment, Template

    from selfinstruct.config import PromptConfig


APART = "\0"
IN_TEXT = "tools_in_text"  # the name by which a template knows whether it has to show the tools
TEXTS = {"template", "messages", "opens"}  # the keys of a prompt that say its messages
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


@dataclass(frozen=True)
class Prompt:
    """One prompt, ready to be filled in.

    Attributes:
        name: the name of the variant; None if the prompt has no variants.
        when: the value that selects the variant.
        style: the kind of model it is written for, `completion` or `chat`.
        template, system: the text, and the system message if there is one; a prompt that `opens` a user's
            message has an empty text.
        variables: the recipe's own variables for the templates.
        sampling: the parameters of the request; strings in `stop` are templates.
        parse: the parser for the reply.
        where: the conditions that a record must fit, if variants are drawn.
        may_shorten: whether a prompt that is too long is sent again with fewer tokens for the reply.
        keys: parameter of the sampling: its key in the recipe, for messages.
        left_out: parameters that are not sent, since the model does not take them.
        before: the messages between the system message and the text.
        start: the template of the start of the answer; empty if there is none.
        opens: `user` if the model writes the user's message.
        place, start_place: the keys of the text and of the start in the prompt's section.
        tools: the field with the tools that the model may call; None if there are none.
        tools_in_text: whether the template shows these tools, since they are not sent as the provider's own.
    """

    name: str | None
    when: str | int | bool | None
    style: str
    template: str
    system: str | None
    variables: Mapping[str, Any]
    sampling: Mapping[str, Any]
    parse: Parser
    where: Where = field(default_factory=Where)
    may_shorten: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    before: tuple[Turn, ...] = ()
    start: str = ""
    opens: str = ""
    place: str = "template"
    start_place: str = ""
    tools: str | None = None
    tools_in_text: bool = False

    @property
    def templates(self) -> list[str]:
        """The templates of all its messages, in the order of the messages."""
        system = [] if self.system is None else [self.system]
        texts = [*system, *(turn.template for turn in self.before), self.template, self.start]
        return [text for text in texts if text]

    @property
    def shows_examples(self) -> bool:
        """Whether it has messages that are few-shot examples."""
        return any(turn.number is not None for turn in self.before)

    @property
    def talks(self) -> bool:
        """Whether it ends with the conversation so far."""
        return bool(self.before) and self.before[-1].talk

    def key(self, parameter: str) -> str:
        """The key of a sampling parameter; the model's key if the prompt has none."""
        return self.keys.get(parameter, f"model.sampling.{parameter}")

    def fits(self, data: Mapping[str, Any]) -> bool:
        """Whether the record fits the conditions of this variant."""
        return self.where.fits(data)

    @cached_property
    def _own(self) -> Mapping[str, Any]:
        """The names that all its requests have in common."""
        return {**self.variables, IN_TEXT: self.tools_in_text} if self.tools else self.variables

    @cached_property
    def fixed(self) -> Fixed:
        """What all requests have in common in their text."""
        return fixed_text(_environment(), self.template, self._own)

    @cached_property
    def fixed_system(self) -> Fixed:
        """What all requests have in common in their system message."""
        return fixed_text(_environment(), self.system or "", self._own)

    @cached_property
    def fixed_texts(self) -> list[Fixed]:
        """What all requests have in common in each of its messages, in order, up to the text."""
        middle = [
            Fixed()
            if turn.talk or turn.number is not None
            else fixed_text(_environment(), turn.template, self._own)
            for turn in self.before
        ]
        return [self.fixed_system, *middle, self.fixed]

    def beginning(self, system: str | None, text: str, before: Sequence[Message] = ()) -> int:
        """How many characters at the beginning of a request are the same in all requests of this prompt.

        Args:
            system: the system message, filled in.
            text: the text, filled in; it comes last.
            before: the messages between these two, filled in.
        """
        count, texts = 0, [system or "", *(one.text for one in before), text]
        for fixed, one in zip(self.fixed_texts, texts, strict=False):  # it ends at drawn examples
            count += fixed.shared(one)
            if not fixed.whole:
                break
        return count

    def fill(self, names: Mapping[str, Any]) -> tuple[str | None, str, dict[str, Any]]:
        """The system message, the text and the sampling for these names.

        Args:
            names: the record's fields, or `examples`; the recipe's variables are added.

        Raises:
            TemplateFault: if a template names something that does not exist.
        """
        known = {**self._own, **names}
        sampling = dict(self.sampling)
        if self.tools and not self.tools_in_text:
            sampling["tools"] = self._given_tools(known)
        stops = sampling.get("stop") or []
        texts = [self.template, *([] if self.system is None else [self.system]), *stops]
        # All texts are one template, since starting a template takes longer than filling it in.
        filled = render(APART.join(texts), known).split(APART)
        if len(filled) != len(texts):  # a value contains the mark
            filled = [render(text, known) for text in texts]
        if stops:
            sampling["stop"] = filled[-len(stops) :]
        return None if self.system is None else filled[1], filled[0], sampling

    def _given_tools(self, names: Mapping[str, Any]) -> Any:
        if self.tools is None or self.tools not in names:
            what = _undefined(f"{self.tools!r} is undefined", names)
            raise TemplateFault(what, lacks=True, place="tools")
        return names[self.tools]

    def turns(self, names: Mapping[str, Any]) -> tuple[tuple[Message, ...], str]:
        """The messages between the system message and the text, and the start of the answer.

        Args:
            names: as in `fill`.

        Raises:
            TemplateFault: as `fill`, with the place of the template.
        """
        if not (self.before or self.start):
            return (), ""
        known = {**self._own, **names}
        found: list[Message] = []
        groups = groupby(self.before, lambda turn: turn.number)
        for number, group in groups:
            turns = list(group)
            if turns[-1].talk:
                found += (Message(turn.role, _placed(turn, known)) for turn in turns[:-1])
                found += _talk(known.get("messages", ()), swapped=turns[-1].role == "swapped")
                continue
            shown = [known] if number is None else _one_by_one(known, turns[0].place)
            found += [Message(turn.role, _placed(turn, each)) for each in shown for turn in turns]
        last = Turn("assistant", self.start, self.start_place)
        return tuple(found), _placed(last, known).rstrip()


def _talk(messages: Iterable[Mapping[str, str]], swapped: bool) -> Iterator[Message]:
    """The messages of a conversation so far."""
    for one in messages:
        role = one["role"] if not swapped else "user" if one["role"] == "assistant" else "assistant"
        yield Message(role, one["content"])


def _one_by_one(names: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    """The names for the turns of each example."""
    if "examples" not in names:
        raise TemplateFault("only a stage of kind bootstrap draws examples", lacks=True, place=place)
    return [{**names, EXAMPLE: example} for example in names["examples"]]


def _placed(turn: Turn, names: Mapping[str, Any]) -> str:
    try:
        return render(turn.template, names)
    except TemplateFault as error:
        raise TemplateFault(str(error), error.lacks, turn.place) from error


def unused(prompts: Sequence[Prompt]) -> dict[str, list[str]]:
    """The variables of a stage's prompts that no template names, each with the variables that are named."""
    named = names_in(prompts)
    if named is None:
        return {}
    variables = {key: value for prompt in prompts for key, value in prompt.variables.items()}
    known = sorted(named & set(variables))
    return {key: known for key, value in variables.items() if key not in named and value is not None}


def names_in(prompts: Sequence[Prompt]) -> set[str] | None:
    """The names in the templates of a stage; None if a template is not valid, which another check reports."""
    from jinja2 import TemplateError, meta

    named: set[str] = set()
    for prompt in prompts:
        for text in (*prompt.templates, *(prompt.sampling.get("stop") or [])):
            try:
                named |= meta.find_undeclared_variables(_environment().parse(text))
            except TemplateError:
                return None
        if prompt.talks:
            named.add("messages")
        if prompt.tools and not prompt.tools_in_text:
            named.add(prompt.tools)
        if prompt.shows_examples:
            named = (named - {EXAMPLE}) | {"examples"}
    return named


def fields_named(prompt: Prompt) -> frozenset[str]:
    """The fields that a prompt's templates name, such as `instruction` for `example.instruction`."""
    return frozenset().union(*map(_attributes, prompt.templates))


@lru_cache(maxsize=256)
def _attributes(template: str) -> frozenset[str]:
    from jinja2 import TemplateError, nodes

    try:
        tree = _environment().parse(template)
    except TemplateError:
        return frozenset()
    items = (node.arg for node in tree.find_all(nodes.Getitem))
    named = {str(item.value) for item in items if isinstance(item, nodes.Const)}
    return frozenset(named | {node.attr for node in tree.find_all(nodes.Getattr)})


def literal(template: str) -> Iterator[tuple[str, bool]]:
    """A template's own text and its expressions, in order, each with whether it is an expression."""
    expression = ""
    for _, kind, value in _environment().lex(template):
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
        return _metered(_compile(template), names)
    except UndefinedError as error:
        raise TemplateFault(_undefined(str(error), names), lacks=True) from error
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

    compiled: Template = chat_environment().from_string(template)
    return compiled


@lru_cache(maxsize=1024)
def _plain(template: str) -> tuple[tuple[str, str], ...]:
    """The texts of a template that only names fields, each with the name after it; else nothing."""
    from jinja2 import TemplateError

    try:
        _compile(template)
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
def _compile(template: str) -> Template:
    return _environment().from_string(template)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from selfinstruct.prompts.environment import environment

    return environment({"one_line": one_line, "json": as_json})


def _undefined(message: str, names: Mapping[str, Any]) -> str:
    known = set(names)
    for example in names.get("examples", []):
        known.update(example)
    missing = re.findall(r"'([^']*)'", message)
    near = get_close_matches(missing[-1], known, n=1, cutoff=0.5) if missing else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{message}{hint} (known: {', '.join(sorted(known))})"


def build(
    config: PromptConfig, where: str, faults: list[Fault], schema: dict[str, Any] | None = None
) -> list[Prompt]:
    """The prompts of a stage: its variants, or its only prompt.

    Args:
        config: the stage's section.
        where: its key, for messages.
        faults: receives every fault found.
        schema: the schema of the stage's records, if the model can be made to follow it; otherwise None.
    """
    if not config.variants:
        prompt = _build_one(config, None, where, faults, schema)
        return [prompt] if prompt else []
    prompts = []
    for name, variant in config.variants.items():
        given = {*variant.model_fields_set}
        if given & TEXTS:  # one of these keys replaces whichever of them the prompt has
            given |= TEXTS
        merged = variant.model_copy(
            update={key: getattr(config, key) for key in type(config).model_fields if key not in given}
            | {"variables": {**config.variables, **variant.variables}}
            | {"sampling": {**config.sampling, **variant.sampling}}
        )
        prompt = _build_one(merged, name, f"{where}.variants.{name}", faults, schema)
        if prompt:
            inherited = {
                key: f"{where}.sampling.{key}" for key in config.sampling if key not in variant.sampling
            }
            prompts.append(replace(prompt, keys={**prompt.keys, **inherited}))
    return prompts


def _with_reasoning(parse: Parser, field: str | None, where: str, faults: list[Fault]) -> Parser:
    """The parser with the field for the model's thought."""
    if field in parse.fields:
        faults.append(Fault(where, f"the parser already sets {field!r}", "give the thought another name"))
    if field is None or field in parse.fields:
        return parse
    return replace(parse, fields=(*parse.fields, field), reasoning=field)


def _build_one(
    config: PromptConfig, name: str | None, where: str, faults: list[Fault], schema: dict[str, Any] | None
) -> Prompt | None:
    from jinja2 import TemplateError

    layout = laid_out(config, where, faults)
    sampling = dict(config.sampling)
    stop = sampling.get("stop")
    if stop is not None and not (isinstance(stop, list) and all(isinstance(text, str) for text in stop)):
        faults.append(Fault(f"{where}.sampling.stop", "is not a list of strings", "put them in quotes"))
        del sampling["stop"]  # so that the templates can still be tried out
    for key, text in _texts(layout):
        try:
            _compile(text)
        except TemplateError as error:
            line = getattr(error, "lineno", None)
            faults.append(Fault(f"{where}.{key}", f"line {line}: {error}" if line else str(error)))
    if config.parse is None:
        faults.append(Fault(f"{where}.parse", "is missing", f"known: {', '.join(PARSERS.known())}"))
        return None
    parse = PARSERS.build(config.parse.kind, config.parse.options, f"{where}.parse", faults)
    parse = parse and _with_reasoning(parse, config.parse.reasoning, f"{where}.parse.reasoning", faults)
    if parse is None or layout.template is None:
        return None
    if config.constrain and parse.outline is None:
        what = f"the parser {config.parse.kind!r} does not define the JSON that it expects"
        faults.append(Fault(f"{where}.constrain", what, "use json with items or single, or leave it out"))
    asked = {}
    if config.constrain and parse.outline and schema is not None:
        title = where.removeprefix("prompts.").replace(".variants.", "_")
        asked = {"response_format": response_format(title, parse.outline, schema)}
    return Prompt(
        name=name,
        when=getattr(config, "when", None),
        style=config.style,
        template=layout.template,
        system=layout.system,
        variables=config.variables,
        sampling={**asked, **sampling},
        parse=parse,
        where=Where.of(getattr(config, "where", None)),
        may_shorten=config.when_too_long == "shorten",
        keys={key: f"{where}.sampling.{key}" for key in config.sampling},
        before=layout.before,
        start=layout.start,
        opens=config.opens or "",
        place=layout.place,
        start_place=layout.start_place,
        tools=config.tools,
        tools_in_text=config.tools_in_text,
    )


def _texts(layout: Layout) -> Iterator[tuple[str, str]]:
    """The templates of a prompt, each with its key."""
    texts = {layout.place: layout.template, "system": layout.system, layout.start_place: layout.start}
    yield from ((key, text) for key, text in texts.items() if text)
    yield from ((turn.place, turn.template) for turn in layout.before if not turn.talk)
