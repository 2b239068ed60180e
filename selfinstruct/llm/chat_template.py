"""Chat templates: in completion mode, one text is made of the messages of a request, as a server would do it.

`model.chat_template` is `server` (the template of the running server), a file (the `tokenizer_config.json` of
a model on this machine, or the template alone), or the template itself. A template is Jinja, as in Hugging
Face's tokenizers: it has `messages`, `add_generation_prompt`, `bos_token` and `eos_token`. It is filled in by
the bounded environment of prompts, since it may come from a stranger. `bos_token` is empty, because servers
put that token before a text themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener

from selfinstruct.config import ModelConfig
from selfinstruct.errors import Fault, ModelError
from selfinstruct.project import textfiles
from selfinstruct.project.layout import find
from selfinstruct.prompts.rendering import TemplateFault, fill_in_chat
from selfinstruct.prompts.templates import Prompt
from selfinstruct.records import Message, Request

SERVER = "server"  # the value that takes the running server's
MARK = "\ue000text\ue001"  # characters for private use: no template has them
HELLO = (Message("user", "Hello."),)
# Where servers say their template, below their address without /v1: llama.cpp, and vLLM if it was started so.
PLACES = ("/props", "/tokenizer_info")
LONGEST_WAIT = 10.0  # seconds
LARGEST = 4_000_000  # bytes of such an answer
FLAG = "vLLM says it only if it was started with --enable-tokenizer-info-endpoint"
INSTEAD = "or name the model's tokenizer_config.json in model.chat_template, or write the template there"


@dataclass(frozen=True)
class ChatTemplate:
    """A chat template.

    Attributes:
        text: the template.
        eos: the token that ends an answer, if it is known.
    """

    text: str
    eos: str = ""

    def completed(self, request: Request, name: str = "") -> Request:
        """The request with one text instead of its messages; it also ends at the end of a turn.

        Args:
            request: the request.
            name: the model's name, for messages.

        Raises:
            ModelError: if the template refuses the messages.
        """
        try:
            return self._completed(request)
        except TemplateFault as error:
            raise ModelError(f"{name}: {request.stage} request {request.number}: {error}") from error

    def _completed(self, request: Request) -> Request:
        stops = [*(request.sampling.get("stop") or []), *self.ends]
        sampling = {**request.sampling, **({"stop": list(dict.fromkeys(stops))} if stops else {})}
        whole = replace(request, start="")
        if request.opens:
            text = self._up_to_text([*whole.messages, Message(request.opens, MARK)])[0]
        else:
            text = self.render(whole.messages, opened=True) + request.start
        return replace(
            request, system=None, before=(), prompt=text, start="", opens="", sampling=sampling, fixed=0
        )

    @cached_property
    def ends(self) -> tuple[str, ...]:
        """The texts that end a turn of a user and of an assistant, if the template writes such texts."""
        asked = [Message("user", MARK)]
        after = [self._up_to_text(turns)[1] for turns in (asked, [*HELLO, Message("assistant", MARK)])]
        return tuple(dict.fromkeys(end for text in after if (end := _first_word(text))))

    def render(self, messages: Sequence[Message], opened: bool = False) -> str:
        """The text of messages.

        Args:
            messages: the messages.
            opened: whether an assistant's turn is opened after them.

        Raises:
            TemplateFault: if the template cannot be filled in.
        """
        names = {
            "messages": [{"role": one.role, "content": one.text} for one in messages],
            "add_generation_prompt": opened,
            "bos_token": "",
            "eos_token": self.eos,
        }
        return fill_in_chat(self.text, names)

    def _up_to_text(self, messages: Sequence[Message]) -> tuple[str, str]:
        """What the template writes before and after the text of the last message, which is `MARK`."""
        before, found, after = self.render(messages).rpartition(MARK)
        if not found:
            raise TemplateFault("it leaves out the text of a message")
        return before, after


def template_of(config: ModelConfig, project: Path) -> ChatTemplate | None:
    """A model's chat template; None if it has none, or if the running server says it.

    Raises:
        ModelError: if it cannot be read; `faults_of` has found that before.
    """
    if config.chat_template in (None, SERVER):
        return None
    faults: list[Fault] = []
    found = _read(config.chat_template or "", project, "model.chat_template", faults)
    if found is None:
        raise ModelError("\n".join(map(str, faults)))
    return found


def faults_of(config: ModelConfig, project: Path, where: str) -> Iterator[Fault]:
    """The faults of a model's chat template.

    Args:
        config: the model's keys.
        project: the user's folder.
        where: the place of the model in the recipe.
    """
    given, key = config.chat_template, f"{where}.chat_template"
    if given is None:
        return
    if config.mode != "completion":
        what = "is only for completion mode; in chat mode the server has a template of its own"
        yield Fault(key, what, f"set {where}.mode=completion, or leave it out")
    if given == SERVER:
        if config.kind == "scripted" or (config.kind == "litellm" and not config.api_base):
            what = "is server, but there is no server that this recipe names (api_base)"
            yield Fault(key, what, f"set {where}.api_base, {INSTEAD.removeprefix('or ')}")
        return
    faults: list[Fault] = []
    template = _read(given, project, key, faults)
    yield from faults
    if template:
        yield from _untried(template, key)


def refusals(prompts: Iterable[Prompt], config: ModelConfig, project: Path, where: str) -> Iterator[Fault]:
    """The faults of prompts whose messages a model's chat template refuses, such as a system message.

    Args:
        prompts: the prompts of a stage.
        config: the model's keys.
        project: the user's folder.
        where: the place of the prompts in the recipe.
    """
    try:
        template = template_of(config, project) if config.mode == "completion" else None
        if template is None or next(_untried(template, ""), None):
            return
    except ModelError:  # another fault, which is reported already
        return
    for prompt in prompts:
        before = tuple(Message(turn.role, "text") for turn in prompt.before if not turn.talk)
        system = None if prompt.system is None else "text"
        try:
            template.completed(Request("", 0, "text", system, before=before, opens=prompt.opens))
        except ModelError as error:
            key = f"{where}.variants.{prompt.name}" if prompt.name else where
            what = f"the chat template of {config.name} refuses these messages: {error.__cause__}"
            place = "system" if prompt.system is not None and prompt.place == "template" else prompt.place
            yield Fault(f"{key}.{place}", what, "write the prompt without what it refuses")


def from_server(api_base: str, name: str) -> ChatTemplate:
    """The chat template of a running server.

    Raises:
        ModelError: if the server does not say it, or it cannot be filled in.
    """
    address = api_base.rstrip("/").removesuffix("/v1")
    for place in PLACES:
        said = _asked(f"{address}{place}")
        text = said.get("chat_template")
        if isinstance(text, str) and text.strip():
            template = ChatTemplate(text, _token(said.get("eos_token")))
            wrong = next(_untried(template, f"{name}: the chat template of {api_base}"), None)
            if wrong:
                raise ModelError(str(wrong))
            return template
    raise ModelError(f"{name}: the server at {api_base} does not say its chat template. {FLAG}; {INSTEAD}")


def _untried(template: ChatTemplate, where: str) -> Iterator[Fault]:
    """The fault of a template that cannot be filled in."""
    try:
        template.render(HELLO, opened=True)
        template.ends  # noqa: B018  it raises the fault
    except TemplateFault as error:
        yield Fault(where, str(error), "see model.chat_template in the documentation of the model")
        return
    if "eos_token" in template.text and not template.eos:
        what = "it writes eos_token, and this token is not known"
        yield Fault(
            where, what, "name the model's tokenizer_config.json, or write the token into the template"
        )


def _read(given: str, project: Path, where: str, faults: list[Fault]) -> ChatTemplate | None:
    """The template that a recipe gives as a text or a file; None if a fault was added."""
    if "{" in given:
        return ChatTemplate(given)
    path = find(given, project)
    if path is None:
        faults.append(Fault(where, f"there is no file {given}", f"write {SERVER}, a file, or the text"))
        return None
    text = textfiles.read(path, faults)
    if text is None or path.suffix != ".json":
        return None if text is None else ChatTemplate(text)
    return _of_tokenizer(path, text, where, faults)


def _of_tokenizer(path: Path, text: str, where: str, faults: list[Fault]) -> ChatTemplate | None:
    """The template in a `tokenizer_config.json`, or in the file beside it that newer models have."""
    try:
        keys = json.loads(text)
    except (ValueError, RecursionError) as error:
        faults.append(Fault(where, f"{path} is not valid JSON: {error}"))
        return None
    keys = keys if isinstance(keys, dict) else {}
    found, beside = keys.get("chat_template"), path.with_name("chat_template.jinja")
    if isinstance(found, list):  # several, by name
        named = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}
        found = named.get("default")
    if not found and beside.is_file():
        found = textfiles.read(beside, faults)
    if isinstance(found, str) and found.strip():
        return ChatTemplate(found, _token(keys.get("eos_token")))
    faults.append(Fault(where, f"{path} has no chat_template", "a base model has none; write one yourself"))
    return None


def _token(given: Any) -> str:
    """A token as tokenizers write it: a text, or an object with its text."""
    text = given.get("content") if isinstance(given, Mapping) else given
    return text if isinstance(text, str) else ""


class _NoRedirects(HTTPRedirectHandler):
    """Leads to no other server than the one that was named."""

    def redirect_request(self, *given: Any, **named: Any) -> None:
        """None, so that a redirect is an error."""


def _asked(address: str) -> Mapping[str, Any]:
    """A server's answer to a GET, without any key; empty if it has none."""
    near = [ProxyHandler({})] if "//127.0.0.1" in address else []
    direct = build_opener(_NoRedirects, *near)
    try:
        with direct.open(address, timeout=LONGEST_WAIT) as answer:
            found = json.loads(answer.read(LARGEST))
    except (URLError, OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _first_word(text: str) -> str:
    """The first line of what follows a text, without spaces: the end of a turn."""
    lines = text.strip().splitlines()
    return lines[0].strip() if lines else ""
