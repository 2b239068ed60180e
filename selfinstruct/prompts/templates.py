"""Prompts: make the text to send from a recipe's templates and a record or a few examples.

`rendering` fills in the templates, and `building` makes prompts of a recipe's section.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Any

from selfinstruct.parse import Parser
from selfinstruct.prompts.beginning import Fixed, fixed_text
from selfinstruct.prompts.rendering import TemplateFault, prompt_environment, render, undefined
from selfinstruct.prompts.turns import EXAMPLE, Turn
from selfinstruct.records import Message
from selfinstruct.where import Where

APART = "\0"
IN_TEXT = "tools_in_text"  # the name by which a template knows whether it has to show the tools


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
        return fixed_text(prompt_environment(), self.template, self._own)

    @cached_property
    def fixed_system(self) -> Fixed:
        """What all requests have in common in their system message."""
        return fixed_text(prompt_environment(), self.system or "", self._own)

    @cached_property
    def fixed_texts(self) -> list[Fixed]:
        """What all requests have in common in each of its messages, in order, up to the text."""
        middle = [
            Fixed()
            if turn.talk or turn.number is not None
            else fixed_text(prompt_environment(), turn.template, self._own)
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
            what = undefined(f"{self.tools!r} is undefined", names)
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
                named |= meta.find_undeclared_variables(prompt_environment().parse(text))
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
        tree = prompt_environment().parse(template)
    except TemplateError:
        return frozenset()
    items = (node.arg for node in tree.find_all(nodes.Getitem))
    named = {str(item.value) for item in items if isinstance(item, nodes.Const)}
    return frozenset(named | {node.attr for node in tree.find_all(nodes.Getattr)})
