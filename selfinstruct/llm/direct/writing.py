"""LiteLLM writes a request, which is kept and not sent; what it writes becomes a template.

A template is used only if LiteLLM writes the same request for other texts, which are as odd as texts can be,
and if it has no key but one that stays valid: the one that we gave, or one from the environment. So requests
that are signed, that carry a token with a lifetime, or whose form depends on the texts are found out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from selfinstruct.llm.direct.template import SEED, NotATemplateError, Template, marks, template_of
from selfinstruct.llm.direct.texts import Ask, NotDirectError
from selfinstruct.llm.failures import unsupported
from selfinstruct.llm.guard import DESK, Desk, GuardedAiohttp, Written

# Texts with everything that a library might treat in a special way.
ODD = (
    ' \n\t"One" \\ {"a": [1]} é 世 \U0001f600 </s> <|im_end|> [INST] <think>So.</think> {{ x }} \n ',
    'data:image/png;base64,AAAA https://example.com/a.png?b=c#d\n\n### User:\nHuman: "two"\r\n%s {} \x7f ',
    "3",
)
OTHER_SEED = 5
CARRIES_A_KEY = re.compile(r"auth|key|token|secret|cookie|signature|credential|password", re.IGNORECASE)
OF_ONE_REQUEST = ("content-length",)  # headers that differ between requests


@dataclass(frozen=True)
class Letter:
    """A request with a template for its body.

    Attributes:
        request: the request as LiteLLM wrote it.
        transport: the transport that would have sent it.
        template: its body.
    """

    request: httpx.Request
    transport: GuardedAiohttp
    template: Template


async def letter(ask: Ask, count: int, listed: bool, seeded: bool, keys: Sequence[str]) -> Letter:
    """Let LiteLLM write a request.

    Args:
        ask: asks LiteLLM.
        count: the number of texts.
        listed: whether they are a list, which may have any length.
        seeded: whether the request has a seed.
        keys: the keys that it may carry.

    Raises:
        NotDirectError: if such requests cannot be sent directly.
        Exception: LiteLLM's, if it does not accept a parameter.
    """
    first = await _written(ask, marks(count), SEED if seeded else None)
    if not isinstance(first.transport, GuardedAiohttp):
        raise NotDirectError("DISABLE_AIOHTTP_TRANSPORT or LITELLM_HTTP2 is set")
    texts = [*ODD, *ODD][: count + listed]
    second = await _written(ask, texts, OTHER_SEED if seeded else None)
    try:
        template = template_of(first.request.content, count, listed, seeded)
        expected = json.loads(template.fill(texts, OTHER_SEED if seeded else None))
        same = expected == json.loads(second.request.content)
    except NotATemplateError as error:
        raise NotDirectError(str(error)) from error
    except ValueError as error:
        raise NotDirectError("its requests are not JSON") from error
    if not same:
        raise NotDirectError("the form of its requests depends on the texts")
    if _about(first.request) != _about(second.request):
        raise NotDirectError("its address or its headers differ from request to request")
    if _strange_keys(first.request, keys):
        raise NotDirectError("it sends a key that may not stay valid")
    return Letter(first.request, first.transport, template)


async def _written(ask: Ask, texts: Sequence[str], seed: int | None) -> Written:
    desk = Desk()
    token = DESK.set(desk)
    try:
        await ask(texts, seed)
    except Exception as error:  # the one that the transport raised, or one from before that
        refused: Exception = error
    else:
        raise NotDirectError("LiteLLM asks it in another way than by HTTP")
    finally:
        desk.open = False
        DESK.reset(token)
    if not desk.written:
        if unsupported(refused):
            raise refused
        raise NotDirectError("LiteLLM writes no request") from refused
    first, *others = desk.written
    if any(_whole(other.request) != _whole(first.request) for other in others):
        raise NotDirectError("LiteLLM sends several requests for one")
    return first


def _whole(request: httpx.Request) -> tuple[object, ...]:
    return request.content, *_about(request)


def _about(request: httpx.Request) -> tuple[object, ...]:
    """Everything about a request but its body."""
    headers = [(name, value) for name, value in request.headers.items() if name not in OF_ONE_REQUEST]
    return request.method, str(request.url), headers


def _strange_keys(request: httpx.Request, keys: Sequence[str]) -> list[str]:
    """The headers and the parts of the address with a key that is not a known one."""
    ends = tuple(f" {key}" for key in keys)
    given = [*request.headers.items(), *request.url.params.items()]
    return [name for name, value in given if CARRIES_A_KEY.search(name) and not f" {value}".endswith(ends)]
