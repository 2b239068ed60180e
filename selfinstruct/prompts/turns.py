"""The messages of a prompt that has a list of them, from a recipe's key `messages` to their templates.

The list has a system message first, if any; then turns of the user and the assistant, some of which may be
few-shot examples; then the user's last message, which is the prompt; and after it perhaps the start of the
answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selfinstruct.errors import Fault

if TYPE_CHECKING:
    from selfinstruct.config import MessageConfig, PromptConfig

EXAMPLE = "example"  # the name of one example in the templates of its two turns


@dataclass(frozen=True)
class Turn:
    """A message before the prompt.

    Attributes:
        role: `user` or `assistant`.
        template: its text.
        place: its place in the prompt's section, for messages.
        number: the same for both turns of an example, which are repeated together; None if it is not one.
        talk: whether it is the conversation so far; then `role` says whether the roles are `swapped`.
    """

    role: str
    template: str
    place: str
    number: int | None = None
    talk: bool = False


@dataclass(frozen=True)
class Layout:
    """The messages of a prompt, each a template.

    Attributes:
        template: the last message of the user.
        system: the system message.
        before: the messages between these two.
        start: the start of the answer; empty if there is none.
        place: the key of `template` in the prompt's section.
        start_place: the key of `start`.
    """

    template: str | None
    system: str | None
    before: tuple[Turn, ...] = ()
    start: str = ""
    place: str = "template"
    start_place: str = ""


def laid_out(config: PromptConfig, where: str, faults: list[Fault]) -> Layout:
    """The messages of a prompt's section; faults in their order are added."""
    if config.messages is None:
        if config.template is None and not config.opens:
            what, remedy = "is missing", "it is the text that is sent to the model"
            faults.append(Fault(f"{where}.template", what, remedy))
        elif config.template is not None and config.opens:
            what = "the model writes the user's message, so there is none to send"
            faults.append(Fault(f"{where}.template", what, f"leave it out, or {where}.opens"))
        return Layout("" if config.opens else config.template, config.system, place="template")
    if config.template is not None:
        what = "there are messages too"
        faults.append(Fault(f"{where}.template", what, "leave one of the two out"))
    return _listed(config, config.messages, where, faults)


def _listed(
    config: PromptConfig, messages: Sequence[MessageConfig], where: str, faults: list[Fault]
) -> Layout:
    faults.extend(_wrong(config, messages, f"{where}.messages"))
    system, start, start_place = config.system, "", ""
    turns: list[Turn] = []
    for number, one in enumerate(messages):
        place = f"messages.{number}"
        if one.examples is not None:
            pair = {"user": one.examples.user, "assistant": one.examples.assistant}
            turns += [Turn(role, text, f"{place}.examples.{role}", number) for role, text in pair.items()]
        elif one.turns is not None:
            turns.append(Turn(one.turns, "", place, talk=True))
        elif one.role == "system":
            system = one.content
        elif one.role and one.content is not None:
            turns.append(Turn(one.role, one.content, f"{place}.content"))
    last = turns[-1] if turns and turns[-1].number is None else None
    if last and last.role == "assistant" and not config.opens:
        start, start_place = last.template, last.place
        turns.pop()
    if config.opens or (turns and turns[-1].talk):
        return Layout("", system, tuple(turns), place="messages")
    if not turns or turns[-1].role != "user":
        return Layout(None, system)
    prompt = turns.pop()
    return Layout(prompt.template, system, tuple(turns), start, prompt.place, start_place)


def _wrong(config: PromptConfig, messages: Sequence[MessageConfig], where: str) -> Iterator[Fault]:
    """The faults of each message, and of their order."""
    before = ""
    for number, one in enumerate(messages):
        key, last = f"{where}.{number}", number == len(messages) - 1
        kinds = [one.examples is not None, one.turns is not None, bool(one.role or one.content is not None)]
        if sum(kinds) > 1:
            yield Fault(key, "has examples or turns and a message of its own", "make two entries of it")
        elif one.turns is not None:
            if not last or config.opens:
                yield Fault(f"{key}.turns", "is not the end of the prompt", "put it at the end of the list")
        elif one.examples is None and (one.role is None or one.content is None):
            lacking = "role" if one.role is None else "content"
            yield Fault(f"{key}.{lacking}", "is missing", "a message has role and content, or examples")
        elif one.role == "system" and (number or config.system is not None):
            what = "is the second system message" if config.system is not None else "is not the first message"
            yield Fault(f"{key}.role", what, "there is one system message at most, and it comes first")
        elif one.examples is None and one.role == before:
            what = f"two messages of the {before} follow each other"
            yield Fault(f"{key}.role", what, "make one message of the two")
        elif one.role == "assistant" and before == "" and not (last and not config.opens):
            yield Fault(f"{key}.role", "the first turn is the assistant's", "begin with a user's message")
        elif one.examples is not None and before == "user":
            yield Fault(f"{key}.examples", "follow a user's message without an answer", "move them up")
        before = "assistant" if one.examples is not None else "" if one.role == "system" else one.role or ""
    roles = [one.role for one in messages if one.examples is None]
    if messages[-1].turns is not None:
        return
    if config.opens:
        if before == "user":
            what = "ends with a user's message, but the model writes one next (opens: user)"
            yield Fault(where, what, "end with an assistant's message, or leave opens out")
    elif "user" not in roles or (before == "assistant" and messages[-1].examples is not None):
        yield Fault(where, "has no message of the user for the model to answer", "end with role: user")
