"""Ask one server in two ways, directly and through LiteLLM's call, and compare all that a run can see.

`PROVIDERS` are the ways to ask, `SAMPLING` what a request may have, and `TEXTS` what has to arrive as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any, cast

import provider_forms as forms
from provider_forms import TOOL, Form, Mode
from server import Answer, Asked, ModelServer

from selfinstruct.config import ModelConfig
from selfinstruct.llm.endpoint import Endpoint, RunContext
from selfinstruct.llm.providers import LiteLLM
from selfinstruct.records import Reply, Request

WAYS = (None, "litellm")  # directly, where that is possible


@dataclass(frozen=True)
class Provider:
    """A way to ask a model.

    Attributes:
        name: the model.
        mode: how it is asked.
        path: where its server is, below the root.
        form: how it answers.
        brief: whether only its own answers are tried, since its form is tried with another provider.
        answers: whether its answers are tried at all.
        note: why it is asked through LiteLLM's call; empty if it is asked directly.
    """

    name: str
    mode: Mode
    path: str
    form: Form
    brief: bool = False
    answers: bool = True
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.mode}"


CHANGED, OWN = "LiteLLM changes a text, or leaves it out", "its replies have a form of their own"
PROVIDERS = [
    Provider("openai/gpt-4o-mini", "chat", "/v1", forms.OPENAI),
    Provider(
        "openai/gpt-5-mini",
        "chat",
        "/v1",
        forms.of_openai("gpt-5-mini-2025-08-07"),
        brief=True,
        answers=False,
    ),
    Provider(
        "openai/o3-mini", "chat", "/v1", forms.of_openai("o3-mini-2025-01-31"), brief=True, answers=False
    ),
    Provider("azure/gpt-4o", "chat", "", forms.AZURE, brief=True),
    Provider("anthropic/claude-sonnet-4-5", "chat", "", forms.ANTHROPIC),
    Provider("anthropic/claude-3-haiku-20240307", "chat", "", forms.OLD_CLAUDE, brief=True, answers=False),
    Provider("gemini/gemini-2.5-flash", "chat", "/v1beta", forms.GEMINI),
    Provider("mistral/mistral-small-latest", "chat", "/v1", forms.MISTRAL, brief=True),
    Provider("deepseek/deepseek-chat", "chat", "", forms.DEEPSEEK, brief=True),
    Provider("groq/llama-3.3-70b-versatile", "chat", "/openai/v1", forms.GROQ, brief=True),
    Provider("openrouter/openai/gpt-4o-mini", "chat", "/api/v1", forms.OPENROUTER, brief=True),
    Provider(
        "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", "chat", "/v1", forms.TOGETHER, brief=True
    ),
    Provider("hosted_vllm/meta-llama/Llama-3.1-8B-Instruct", "chat", "/v1", forms.VLLM),
    Provider("ollama/llama3.2", "chat", "", forms.OLLAMA),
    Provider("ollama_chat/llama3.2", "chat", "", forms.OLLAMA_CHAT, brief=True),
    Provider("cohere_chat/command-a-03-2025", "chat", "/v2/chat", forms.COHERE, brief=True),
    Provider("openai/gpt-3.5-turbo-instruct", "completion", "/v1", forms.COMPLETION),
    Provider(
        "text-completion-openai/gpt-3.5-turbo-instruct", "completion", "/v1", forms.COMPLETION, brief=True
    ),
    Provider("hosted_vllm/base", "completion", "/v1", forms.COMPLETION, brief=True),
    Provider("together_ai/meta-llama/base", "completion", "/v1", forms.COMPLETION, brief=True),
    Provider("openai/text-embedding-3-small", "embedding", "/v1", forms.EMBEDDING),
    Provider("azure/text-embedding-3-small", "embedding", "", forms.EMBEDDING, brief=True),
    Provider("hosted_vllm/embedder", "embedding", "/v1", forms.EMBEDDING, brief=True),
    Provider("mistral/mistral-embed", "embedding", "/v1", forms.EMBEDDING, brief=True),
    Provider(
        "gemini/gemini-embedding-001",
        "embedding",
        "/v1beta",
        forms.GEMINI_EMBEDDING,
        brief=True,
        note=CHANGED,
    ),
    Provider(
        "cohere/embed-english-v3.0", "embedding", "/v2/embed", forms.COHERE_EMBEDDING, brief=True, note=OWN
    ),
    Provider("ollama/all-minilm", "embedding", "", forms.OLLAMA_EMBEDDING, brief=True, note=OWN),
    Provider("voyage/voyage-3", "embedding", "/v1", forms.EMBEDDING, brief=True, note=OWN),
]
ALWAYS = ("text", "400", "429 with Retry-After", "500", "an HTML page", "cut off")  # also of a brief one

# What a request may have: sampling by name.
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "labels": {"type": "array", "items": {"type": "string"}}},
    "required": ["answer", "labels"],
    "additionalProperties": False,
}
SAMPLING: Mapping[str, dict[str, Any]] = {
    "nothing": {},
    "max_tokens": {"max_tokens": 50},
    "max_completion_tokens": {"max_completion_tokens": 50},
    "temperature": {"temperature": 0.0},
    "temperature and top_p": {"temperature": 0.7, "top_p": 0.9},
    "stop": {"stop": ["\n\n", "END ” 静"]},
    "one stop": {"stop": "END"},
    "n": {"n": 2},
    "seed": {"seed": 7},
    "penalties": {"presence_penalty": 0.5, "frequency_penalty": -0.5},
    "logit_bias": {"logit_bias": {"50256": -100}},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "JSON": {"response_format": {"type": "json_object"}},
    "a schema": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True},
        }
    },
    "extra_body": {"extra_body": {"top_k": 5, "nested": {"a": [1, None, "ü"]}}},
    "top_k": {"top_k": 5},
    "min_p": {"min_p": 0.05},
    "repetition_penalty": {"repetition_penalty": 1.1},
    "reasoning_effort": {"reasoning_effort": "low"},
    "thinking": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000},
    "tools": {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "reply"}}},
    "user": {"user": "someone"},
    "drop_params": {"drop_params": True, "n": 2, "logit_bias": {"1": 1}, "top_p": 0.5, "max_tokens": 9},
    "allowed_openai_params": {"allowed_openai_params": ["seed"], "seed": 3},
    "service_tier": {"service_tier": "flex"},
    "all at once": {"max_tokens": 50, "temperature": 1, "top_p": 1.0, "stop": ["x"], "seed": 1},
}
# Texts that have to arrive as they are: prompt, and system message.
LONG = "All work and no play makes a dull text. “äöü” 静か\n" * 1_000
TEXTS: Mapping[str, tuple[str, str | None]] = {
    "plain": ("Say something.", None),
    "with a system message": ("Say something.", "You are brief."),
    "an empty system message": ("Say something.", ""),
    "blanks at the ends": ("\n\n  Say something. \t\n", "  You are brief.\n"),
    "only blanks": (" \n ", None),
    "quotes and backslashes": ('"\\" \\n \\u0041 \\ud800 {"a": ["b"]} \'', '"}], "model": "other'),
    "control characters": ("".join(map(chr, range(32))) + "\x7f\x80\x85\u2028\u2029\ufeff", "\x00\x1f"),
    "emoji": ("👩‍👩‍👧‍👦 🏳️‍🌈 🇯🇵 👍🏽 \U0001f600", "🌊"),
    "right to left": ("\u202eمرحبا\u202c שלום \u200f!", "\u2067עברית\u2069"),
    "half a surrogate pair": ("before \ud83d after", None),
    "private use": ("\ue000\ue001 \ue0000\ue001 \uf8ff", "\ue0001\ue001"),
    "holes and formats": ("{} {0} %s %(a)s ${b} $1 \\1 {{c}} <|im_start|> [INST]", "{prompt}"),
    "numbers": ("7310482905161 1e400 NaN Infinity -0", "0"),
    "very long": (LONG, LONG[:2_000]),
    "the same": ("the same", "the same"),
    "the model's name": ("gpt-4o-mini user content role", "system"),
}
# What is tried with a provider whose form is tried with another; the rest is in “all at once”.
OF_CHAT = (
    *("nothing", "max_completion_tokens", "n", "penalties", "logit_bias", "JSON", "a schema", "extra_body"),
    *("top_k", "reasoning_effort", "thinking", "tools", "drop_params", "all at once"),
)
OF_COMPLETION = ("nothing", "stop", "n", "seed", "logit_bias", "extra_body", "all at once")
OF_ALL = ("quotes and backslashes", "only blanks", "half a surrogate pair", "holes and formats")


# What both ways did


@dataclass(frozen=True)
class Seen:
    """What a run can see of one request.

    Attributes:
        sent: where it was sent, its headers and its body; for each time it arrived.
        outcome: the reply or the error, with all that it says.
    """

    sent: list[dict[str, Any]]
    outcome: dict[str, Any]


@dataclass(frozen=True)
class Try:
    """One thing to ask for.

    Attributes:
        case: its name.
        answer: what the server answers.
        requests: the requests; none where vectors are asked for.
        texts: the texts whose vectors are asked for.
        dimensions: how many numbers a vector should have.
    """

    case: str
    answer: Answer
    requests: Sequence[Request] = ()
    texts: Sequence[str] = ("a", "b")
    dimensions: int | None = None


ASKED = Request("ideas", 1, "Say something.", system="You are brief.", sampling={"max_tokens": 50})
OLLAMA_MODEL = "/api/show"  # LiteLLM asks this about a model, now and then
OF_THE_CONNECTION = ("host", "content-length")


class Bench:
    """One server and both ways to it.

    Args:
        provider: the provider.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._answer = Answer()
        self.notes: list[str] = []
        self.server = ModelServer(self._script, anywhere=True)
        aside = SimpleNamespace(paid=lambda reply: None, traffic=lambda count, reply: None)
        context = SimpleNamespace(budget=aside, progress=aside, events=aside, closing=asyncio.Event())
        self._endpoint = Endpoint(config_of(provider, self.server.base, None), cast(RunContext, context))

    def run(self, tries: Sequence[Try]) -> dict[str, tuple[Seen, Seen]]:
        """What each way does with each try, by case."""
        with self.server:
            return asyncio.run(self._run(tries))

    async def _run(self, tries: Sequence[Try]) -> dict[str, tuple[Seen, Seen]]:
        models = [LiteLLM(config_of(self._provider, self.server.base, way)) for way in WAYS]
        models[0].noted = self.notes.append
        for model in models:
            await model.prepare()
        seen: dict[str, tuple[Seen, Seen]] = {}
        for one in tries:
            self._answer = one.answer
            direct, litellm = [await self._once(model, one) for model in models]
            assert one.case not in seen, "each case has its own name"
            seen[one.case] = (direct, litellm)
        for model in models:
            await model.close()
        return seen

    async def _once(self, model: LiteLLM, one: Try) -> Seen:
        before = len(self.server.asked)
        outcome: dict[str, Any]
        try:
            if self._provider.mode == "embedding":
                replies: Sequence[Reply | None] = [await model.embed(one.texts, one.dimensions)]
            else:
                replies = await model.complete(one.requests or [ASKED])
            outcome = {"replies": [reply and plainly(self._endpoint.paid(reply)) for reply in replies]}
        except Exception as error:
            outcome = {"error": type(error), "message": str(error), **vars(error)}
        sent = [
            {
                "path": asked.path,
                "body": asked.body,
                **{name: value for name, value in asked.headers.items() if name not in OF_THE_CONNECTION},
            }
            for asked in self.server.asked[before:]
            if asked.path != OLLAMA_MODEL
        ]
        return Seen(sent, outcome)

    def _script(self, asked: Asked) -> Answer:
        return self._answer


def config_of(provider: Provider, base: str, way: str | None) -> ModelConfig:
    """A model's keys, with its key."""
    keys: dict[str, Any] = {
        "name": provider.name,
        "mode": "completion" if provider.mode == "completion" else "chat",
        "api_base": base.removesuffix("/v1") + provider.path,
        "api_key_env": "TINY_KEY",
        "timeout": 20,
        "transport": way,
    }
    config = ModelConfig.model_validate(keys)
    config.clear()
    return config


def plainly(reply: Reply) -> dict[str, Any]:
    """A reply's values, with numbers that can be compared."""
    cost = None if reply.cost_usd is None else round(reply.cost_usd, 12)
    return {**asdict(reply), "cost_usd": cost, "vectors": [list(vector) for vector in reply.vectors]}


def tries_of(provider: Provider) -> Iterator[Try]:
    """Everything that is tried with a provider."""
    answers = provider.form.answers()
    own = {*provider.form.replies, *provider.form.errors}
    for case, answer in answers.items():
        if provider.answers and (not provider.brief or case in own or case in ALWAYS):
            yield Try(case, answer)
    if provider.mode == "embedding":
        whole = [text for text, _ in TEXTS.values() if text.strip() and "\ud83d" not in text]
        yield Try("dimensions", answers["text"], dimensions=2)
        yield Try("hostile texts", answers["text"], texts=whole)
        return
    few = OF_COMPLETION if provider.mode == "completion" else OF_CHAT
    for name, sampling in SAMPLING.items():
        if not provider.brief or not provider.answers or name in few:
            yield Try(f"with {name}", answers["text"], [Request("ideas", 1, "Say it.", sampling=sampling)])
    for name, (prompt, system) in TEXTS.items():
        if not provider.brief or name in OF_ALL:
            yield Try(f"text: {name}", answers["text"], [Request("ideas", 1, prompt, system, {"seed": 5})])
    if provider.mode == "chat":
        beginning = "A line that never changes.\n" * 1_000
        marked = Request("ideas", 1, f"{beginning}The rest.", "You are brief.", fixed=len(beginning) + 14)
        yield Try("a fixed beginning", answers["text"], [marked])
    if provider.form is forms.OLD_CLAUDE:  # LiteLLM asks these models for JSON by a tool of its own
        of_tool = forms.message({**forms.USED, "name": "json_tool_call"}, stop_reason="tool_use")
        of_tool["model"] = answers["text"].body["model"]  # type: ignore[index, call-overload]
        shaped = Request("ideas", 1, "Say it.", sampling=SAMPLING["a schema"])
        yield Try("JSON by a tool", Answer(of_tool), [shaped])
    if provider.mode == "completion":
        both = Answer(forms.backwards(forms.completed("one", "the second")))
        asked = [Request("ideas", n, f"prompt {n} “", sampling={"max_tokens": 9}) for n in (1, 2)]
        yield Try("two prompts", both, asked)


def differences(seen: Mapping[str, tuple[Seen, Seen]]) -> dict[tuple[str, str], tuple[Any, Any]]:
    """The values that are not equal, by case and key; lists are compared by place."""
    found: dict[tuple[str, str], tuple[Any, Any]] = {}
    for case, (direct, litellm) in seen.items():
        for key, pair in unequal(asdict(direct), asdict(litellm)):
            found[case, key] = pair
    return found


def unequal(one: Any, other: Any, key: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The innermost values that are not equal, with their keys."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in sorted({*one, *other}):
            yield from unequal(one.get(name), other.get(name), f"{key}.{name}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, pair in enumerate(zip(one, other, strict=True)):
            yield from unequal(*pair, f"{key}.{place}")
    elif one != other:
        yield key, (one, other)
