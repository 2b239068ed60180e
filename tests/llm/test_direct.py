"""The direct way to a provider: templates, what is found out before a request is sent, and what a run says.

`test_direct_and_litellm` holds both ways against each other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines
from results import summary
from server import Answer, ModelServer, text
from tiny_recipe import KEY, at, by_number

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm.direct.template import (
    SEED,
    NotATemplateError,
    marks,
    template_of,
)
from selfinstruct.llm.providers import LiteLLM
from selfinstruct.records import Request

TEXTS = ["plain", 'a "quote" \\ and\nlines', "静か é \U0001f600", "\ue0000\ue001 a mark", "\ud800 half", ""]


# Templates


@pytest.mark.parametrize("text", TEXTS)
def test_a_template_has_the_text_as_json_would(text: str) -> None:
    """Alone, and within another text; the seed is a number."""
    first, second = marks(2)
    body = {"system": first, "prompt": f"### User:\n{second}\n\n", "seed": SEED, "n": 1.5, "x": [None, True]}
    filled = template_of(json.dumps(body).encode(), 2, False, True).fill([text, text], 7)
    wanted = {**body, "system": text, "prompt": f"### User:\n{text}\n\n", "seed": 7}
    assert json.loads(filled) == wanted
    assert filled.isascii()


def test_a_template_has_a_list_of_any_length() -> None:
    """As for prompts sent together, and for texts to embed."""
    body = json.dumps({"input": marks(2), "model": "m"}, indent=1).encode()
    template = template_of(body, 2, True, False)
    for texts in (TEXTS, ["one"], []):
        assert json.loads(template.fill(texts)) == {"input": texts, "model": "m"}


@pytest.mark.parametrize(
    ("body", "listed"),
    [
        ({"prompt": "something else"}, False),
        ({"prompt": marks(2)[0]}, False),
        ({"prompt": marks(2), "seed": 1}, True),
        ({"prompt": list(reversed(marks(2))), "seed": SEED}, True),
    ],
    ids=["no text", "one of two", "no seed", "another order"],
)
def test_a_body_that_lacks_something_is_no_template(body: Mapping[str, Any], listed: bool) -> None:
    """Whatever would not arrive is noticed."""
    with pytest.raises(NotATemplateError):
        template_of(json.dumps(body).encode(), 2, listed, True)


# What is sent


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment."""
    monkeypatch.setenv("TINY_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def config(server: ModelServer, name: str = "hosted_vllm/m", **keys: Any) -> ModelConfig:
    """A model's keys, with its key."""
    given = {"name": name, "api_base": server.base, "api_key_env": "TINY_KEY", "timeout": 20, **keys}
    config = ModelConfig.model_validate(given)
    config.clear()
    return config


def ask(
    config: ModelConfig, *requests: Request, change: Callable[[LiteLLM], None] = lambda model: None
) -> list[str]:
    """The texts of the replies, asked for one by one; then the notes."""

    async def all_of_them() -> list[str]:
        notes: list[str] = []
        model = LiteLLM(config)
        model.noted = notes.append
        await model.prepare()
        change(model)
        try:
            replies = [reply for request in requests for reply in await model.complete([request])]
        finally:
            await model.close()
        return [*(reply.text for reply in replies if reply), *notes]

    return asyncio.run(all_of_them())


def calls(of: LiteLLM, counts: list[str]) -> None:
    """Count the calls of LiteLLM's."""
    real = of._library.acompletion

    async def counted(**keys: Any) -> Any:
        counts.append(keys["messages"][-1]["content"])
        return await real(**keys)

    class Library:
        acompletion = staticmethod(counted)

        def __getattr__(self, name: str) -> Any:
            return getattr(library, name)

    library = of._library
    of._library = Library()


@pytest.mark.usefixtures("server")
def test_litellm_writes_two_requests_however_many_are_sent() -> None:
    """And the server gets none of these two; another shape is written anew."""
    counts: list[str] = []
    with ModelServer(by_number) as model_server:
        requests = [Request("ideas", n, f"prompt {n}", sampling={"seed": n, "top_p": 1}) for n in range(1, 9)]
        other = Request("ideas", 9, "prompt 9", system="Be brief.")
        ask(config(model_server), *requests, other, change=lambda model: calls(model, counts))
        assert model_server.prompts == [f"prompt {n}" for n in range(1, 10)]
        assert [body.get("seed") for body in model_server.bodies] == [*range(1, 9), None]
    assert len(counts) == 4
    assert not any("prompt" in count for count in counts)


@pytest.mark.usefixtures("server")
def test_a_blank_prompt_goes_through_litellm_which_has_rules_for_it() -> None:
    """That one request, without a note; the others do not."""
    counts: list[str] = []
    with ModelServer([text("good")]) as model_server:
        requests = [Request("ideas", 1, "prompt"), Request("ideas", 2, " \n"), Request("ideas", 3, "another")]
        found = ask(config(model_server), *requests, change=lambda model: calls(model, counts))
    assert found == ["good"] * 3
    assert counts[2:] == [" \n"]


@pytest.mark.usefixtures("server")
def test_transport_litellm_sends_everything_through_litellm() -> None:
    """As before."""
    counts: list[str] = []
    with ModelServer([text("good")]) as model_server:
        requests = [Request("ideas", n, f"prompt {n}") for n in (1, 2)]
        ask(config(model_server, transport="litellm"), *requests, change=lambda model: calls(model, counts))
    assert counts == ["prompt 1", "prompt 2"]


@pytest.mark.usefixtures("server")
def test_the_headers_of_each_answer_are_heard_both_ways() -> None:
    """In lower case, of errors too."""
    for transport in ("direct", "litellm"):
        heard: list[Mapping[str, str]] = []

        def listen(model: LiteLLM, heard: list[Mapping[str, str]] = heard) -> None:
            model.heard = heard.append

        limits = {"X-RateLimit-Remaining-Requests": "7"}
        script = [Answer("good", headers=limits), Answer({"error": {"message": "no"}}, 500, limits)]
        with ModelServer(script) as model_server, pytest.raises(Exception, match="no"):
            requests = [Request("ideas", n, f"prompt {n}") for n in (1, 2)]
            ask(config(model_server, transport=transport), *requests, change=listen)
        assert [one["x-ratelimit-remaining-requests"] for one in heard] == ["7", "7"], transport


# What is found out


def changed(how: Callable[[dict[str, Any], str], dict[str, Any]]) -> Callable[[LiteLLM], None]:
    """LiteLLM, asked with other keywords; `how` gets them and the prompt."""

    def change(model: LiteLLM) -> None:
        library = model._library

        class Library:
            @staticmethod
            async def acompletion(**keys: Any) -> Any:
                return await library.acompletion(**how(keys, keys["messages"][-1]["content"]))

            def __getattr__(self, name: str) -> Any:
                return getattr(library, name)

        model._library = Library()

    return change


def signed(keys: dict[str, Any], prompt: str) -> dict[str, Any]:
    """A header that depends on the body."""
    return {**keys, "extra_headers": {"X-Digest": str(len(prompt))}}


def token(keys: dict[str, Any], prompt: str) -> dict[str, Any]:
    """A key that was not given."""
    return {**keys, "api_key": "a-token-for-an-hour"}


def shortened(keys: dict[str, Any], prompt: str) -> dict[str, Any]:
    """Other parameters for other texts."""
    return {**keys, "max_tokens": len(prompt)}


def stripped(keys: dict[str, Any], prompt: str) -> dict[str, Any]:
    """A text without its blanks."""
    return {**keys, "messages": [{"role": "user", "content": prompt.strip()}]}


CHANGES = {
    signed: "its address or its headers differ from request to request",
    token: "it sends a key that may not stay valid",
    shortened: "the form of its requests depends on the texts",
    stripped: "the form of its requests depends on the texts",
}


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("how", CHANGES, ids=lambda how: how.__name__)
def test_what_is_not_the_same_for_each_request_is_found_out(how: Any) -> None:
    """Before anything is sent; then all requests go through LiteLLM, and one note says why."""
    with ModelServer([text("good")]) as model_server:
        requests = [Request("ideas", n, f" prompt {n} ") for n in (1, 2)]
        found = ask(config(model_server), *requests, change=changed(how))
        assert found == ["good", "good", CHANGES[how]]
        assert len(model_server.asked) == 2
        with pytest.raises(ModelError, match=CHANGES[how]):
            ask(config(model_server, transport="direct"), *requests, change=changed(how))
        assert len(model_server.asked) == 2, "nothing is sent that was to be sent directly"


@pytest.mark.usefixtures("server")
def test_requests_with_many_shapes_go_through_litellm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since each new shape costs more than a request; those that are known go on directly."""
    monkeypatch.setattr("selfinstruct.llm.direct.asking.MOST_SHAPES", 2)
    counts: list[str] = []
    with ModelServer([text("good")]) as model_server:
        stops = (0, 1, 2, 0)
        requests = [Request("ideas", n, f"prompt {n}", sampling={"stop": [f"{n}."]}) for n in stops]
        found = ask(config(model_server), *requests, change=lambda model: calls(model, counts))
        assert [body["stop"] for body in model_server.bodies] == [["0."], ["1."], ["2."], ["0."]]
    assert found[-1] == "its requests have too many forms"
    assert counts[4:] == ["prompt 2"]


# What a run says


@pytest.mark.usefixtures("tiny", "quick")
def test_a_run_notes_that_a_model_is_not_asked_directly(
    typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, on the screen, in the events and in the summary; the data are the same."""
    for folder in ("direct", "litellm"):
        if folder == "litellm":
            monkeypatch.setenv("DISABLE_AIOHTTP_TRANSPORT", "True")
        with ModelServer(lambda asked: text(f"Idea about {asked.body['seed']}")) as server:
            keys = ("target=4", "model.seeded=true", "cache=off", f"run_dir={folder}")
            status_, _, err = typed(*at(server, *keys))
        assert status_ == 0, err
        told = [row for row in lines(project / folder / "events.jsonl") if row["event"] == "through_litellm"]
        words = "DISABLE_AIOHTTP_TRANSPORT or LITELLM_HTTP2 is set"
        if folder == "direct":
            assert (told, words in err) == ([], False)
            assert "through_litellm" not in summary(project / folder)
            continue
        assert [(row["model"], row["why"]) for row in told] == [("openai/tiny", words)]
        assert err.count(words) == 1
        assert summary(project / folder)["through_litellm"] == {"openai/tiny": words}
    assert (project / "direct/ideas.jsonl").read_bytes() == (project / "litellm/ideas.jsonl").read_bytes()


@pytest.mark.usefixtures("tiny")
def test_the_plan_says_how_a_model_is_asked(typed: Typed) -> None:
    """And a model that cannot be asked directly is a fault if it should be."""
    for keys, words in (
        ([], "sent     directly"),
        (["model.transport=litellm"], "sent     through LiteLLM, since model.transport says so"),
        (["model.name=bedrock/a"], "sent     through LiteLLM, since it signs each request"),
        (["model.name=vertex_ai/a"], "sent     through LiteLLM, since its keys have a lifetime"),
    ):
        status_, out, err = typed("check", "recipe=tiny", *keys)
        assert status_ == 0, err
        assert words in out
    status_, out, err = typed("check", "recipe=tiny", "model.name=bedrock/a", "model.transport=direct")
    assert status_ == 1
    assert "model.transport: bedrock/a cannot be asked directly: it signs each request" in out + err
