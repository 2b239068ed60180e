"""What is made of a provider's refusals, failures and odd replies, as LiteLLM hands them on.

Real answers of a real server on this machine, asked through LiteLLM in all the ways that a user has for a
server of their own, and in the forms of Anthropic and Gemini.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines, seed_file
from results import summary
from server import Answer, Asked, ModelServer, failure, refused, status, text, too_long
from tiny_recipe import WAYS, at, by_number

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.journal.store import Journal
from selfinstruct.llm import RefusedError, TransientError
from selfinstruct.llm.providers import LiteLLM
from selfinstruct.records import Reply, Request

Outcome = Reply | Exception


pytestmark = pytest.mark.usefixtures("tiny", "quick")


def ask(cases: Mapping[str, Answer], name: str, mode: str, **sampling: Any) -> dict[str, Outcome]:
    """What each answer is taken for; the prompt of a request names its case."""

    async def one(model: LiteLLM, case: str) -> Outcome:
        try:
            (reply,) = await model.complete([Request("ideas", 1, case, sampling=sampling)])
        except Exception as error:
            return error
        assert reply
        return reply

    async def all_of_them(address: str) -> dict[str, Outcome]:
        keys = {"name": name, "mode": mode, "api_base": address, "timeout": 10}
        config = ModelConfig.model_validate(keys)
        model = LiteLLM(config)
        await model.prepare()
        found = await asyncio.gather(*(one(model, case) for case in cases))
        await model.close()
        return dict(zip(cases, found, strict=True))

    with ModelServer(lambda asked: cases[asked.prompt], anywhere=True) as server:
        address = server.base if name.startswith(("openai", "hosted", "text")) else server.base[: -len("/v1")]
        return asyncio.run(all_of_them(address))


def body(status_: int, **error: Any) -> Answer:
    """A failure with these keys of its error."""
    return Answer({"error": error}, status_)


def moderated(code: int, message: str, **more: Any) -> Answer:
    """A failure in OpenRouter's form."""
    return body(code, message=message, code=code, metadata={"provider_name": "x", **more})


CODE = "data_inspection_failed"
CONTENT: dict[str, Answer] = {
    "openai": refused(),
    "openai prompt": failure(
        400,
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
        "invalid_request_error",
        "invalid_prompt",
    ),
    "azure": body(
        400,
        message="The response was filtered due to the prompt triggering Azure OpenAI's content management "
        "policy.",
        type=None,
        param="prompt",
        code="content_filter",
        status=400,
        innererror={"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
    ),
    "azure inner": body(
        400, message="Not this.", code="BadRequest", innererror={"code": "ResponsibleAIPolicyViolation"}
    ),
    "deepseek": failure(400, "Content Exists Risk", "invalid_request_error", "invalid_request_error"),
    "zhipu": body(
        400,
        code="1301",
        message="系统检测到输入或生成内容可能包含不安全或敏感内容，请您避免输入易产生敏感内容的提示语，感谢您的配合。",
    ),
    "zhipu code": Answer({"error": {"code": "1301", "message": "."}, "contentFilter": [{"level": 1}]}, 400),
    "dashscope": failure(400, "Output data may contain inappropriate content.", CODE, CODE),
    "dashscope native": Answer({"code": "DataInspectionFailed", "message": "No.", "request_id": "x"}, 400),
    "moonshot": failure(
        400, "The request was rejected because it was considered high risk", "content_filter"
    ),
    "qianfan": Answer({"error_code": 336104, "error_msg": "user message violates security"}, 400),
    "openrouter": moderated(
        403, 'x requires moderation on y. Your input was flagged for "z"', reasons=["z"], flagged_input="hi"
    ),
    "openrouter raw": moderated(
        400, "Provider returned error", raw='{"error":{"code":"content_filter","message":"No."}}'
    ),
    "bedrock": Answer({"message": "The request was blocked by Bedrock guardrail policy."}, 400),
    "gemini words": body(
        400, code=400, message="The prompt was blocked: PROHIBITED_CONTENT", status="INVALID_ARGUMENT"
    ),
    "together": failure(422, "Input flagged: violates our usage policy", "invalid_request_error"),
    "legal": status(451, "not here"),
    "with 500": failure(500, "Content Exists Risk", "server_error"),
    "with 200": Answer({"error": {"message": "Provider returned error", "code": "content_filter"}}),
}
CONTEXT: dict[str, Answer] = {
    "openai": too_long(),
    "openai string": failure(
        400,
        "Invalid 'messages[0].content': string too long. Expected a string with maximum length 1048576.",
        "invalid_request_error",
        "string_above_max_length",
    ),
    "vllm": body(
        400,
        message="'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context "
        "length is 4096 tokens and your request has 1500 input tokens (4096 > 4096 - 1500).",
        type="BadRequestError",
        code=400,
    ),
    "vllm prompt": Answer(
        {
            "object": "error",
            "message": "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
            "code": 400,
        },
        400,
    ),
    "sglang": body(
        400,
        message="Requested token count exceeds the model's maximum context length of 4096 tokens.",
        type="BadRequestError",
    ),
    "llama.cpp": body(
        400,
        code=400,
        message="request (5120 tokens) exceeds the available context size (4096 tokens), try increasing it",
        type="exceed_context_size_error",
    ),
    "llama.cpp words": body(
        500,
        code=500,
        message="the request exceeds the available context size. try increasing it",
        type="server_error",
    ),
    "tgi": Answer(
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 9",
            "error_type": "validation",
        },
        422,
    ),
    "ollama": Answer({"error": "input length exceeds maximum context length"}, 400),
    "anthropic words": body(
        400, type="invalid_request_error", message="prompt is too long: 210000 tokens > 200000 maximum"
    ),
    "bedrock": Answer({"message": "Input is too long for requested model."}, 400),
    "gemini": body(
        400,
        code=400,
        message="The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        status="INVALID_ARGUMENT",
    ),
    "dashscope": failure(
        400, "Range of input length should be [1, 30720]", "invalid_request_error", "invalid_parameter_error"
    ),
    "mistral": Answer(
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 "
            "maximum context length",
            "type": "invalid_request_prompt",
            "code": "3051",
        },
        400,
    ),
    "cohere": Answer({"message": "too many tokens: size limit exceeded by 100 tokens."}, 400),
    "groq": failure(
        413,
        "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 6514",
        "tokens",
        "rate_limit_exceeded",
    ),
    "openai for ever": failure(
        429,
        "Request too large for model `x` on tokens per min (TPM): Limit 30000, Requested 40000.",
        "tokens",
        "rate_limit_exceeded",
    ),
    "a proxy": Answer(
        b"<html><head><title>413 Request Entity Too Large</title></head></html>",
        413,
        {"Content-Type": "text/html"},
    ),
    "url": status(414, "no"),
    "headers": status(431, "no"),
}
AGAIN: dict[str, Answer] = {
    "409": failure(409, "Conflict", "conflict"),
    "423": status(423),
    "425": status(425),
    "499": status(499),
    "error 200": Answer({"error": {"message": "Provider returned error", "code": 502}}),
    "error 200 no code": Answer({"error": {"message": "Provider returned error"}}),
    "error 200 words": Answer({"error": "overloaded"}),
    "error 200 odd code": Answer({"error": {"message": "busy", "code": "server_busy"}}),
    "html 200": Answer(b"<!doctype html><html>Sign in</html>", headers={"Content-Type": "text/html"}),
    "html 502": Answer(b"<html>nginx</html>", 502, {"Content-Type": "text/html"}),
    "nothing": Answer(b""),
    "null": Answer(b"null"),
    "list": Answer(b"[]"),
    "text": Answer(b'"busy"'),
    "slower": status(429, "Rate limit reached for requests"),
}
PARTIAL = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
NO_REPLY: dict[str, Answer] = {
    "no message": Answer({**PARTIAL, "choices": [{"index": 0, "finish_reason": "stop"}], "usage": USAGE}),
    "null message": Answer(
        {**PARTIAL, "choices": [{"index": 0, "message": None, "text": None}], "usage": USAGE}
    ),
    "null choices": Answer({**PARTIAL, "choices": None, "usage": USAGE}),
    "empty choices": Answer({**PARTIAL, "choices": []}),
    "choices left out": Answer(PARTIAL),
    "choices of texts": Answer({**PARTIAL, "choices": ["hi"]}),
    "an empty object": Answer({}),
}
ENDS: dict[str, tuple[Answer, str]] = {
    "key": (failure(401, "bad key", "invalid_request_error", "invalid_api_key"), "the key"),
    "gemini key": (
        body(
            400,
            code=400,
            message="API key not valid.",
            status="INVALID_ARGUMENT",
            details=[{"reason": "API_KEY_INVALID"}],
        ),
        "the key",
    ),
    "money": (
        failure(400, "Your credit balance is too low to access the API.", "invalid_request_error"),
        "no money",
    ),
    "arrears": (
        failure(400, "Access denied, make sure your account is in good standing.", "Arrearage", "Arrearage"),
        "no money",
    ),
    "balance": (body(429, code="1113", message="您的账户已欠费，请充值后重试。"), "no money"),
    "model": (
        failure(404, "no such model", "invalid_request_error", "model_not_found"),
        "does not know this model",
    ),
    "parameter": (
        failure(400, "Unknown parameter: 'zorg'.", "invalid_request_error", "unknown_parameter"),
        "model.sampling",
    ),
    "json": (
        failure(400, "'messages' must contain the word 'json' in some form", "invalid_request_error"),
        "model.sampling",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_of_one_prompt_is_that_request_s_fate(way: str) -> None:
    """Whatever the provider calls it, by code, words or status; and what ends a run or passes is neither."""
    name, mode, _ = WAYS[way]
    cases = {f"content {case}": answer for case, answer in CONTENT.items()}
    cases |= {f"context {case}": answer for case, answer in CONTEXT.items()}
    cases |= {f"again {case}": answer for case, answer in AGAIN.items()}
    cases |= {f"none {case}": answer for case, answer in NO_REPLY.items()}
    cases |= {f"ends {case}": answer for case, (answer, _) in ENDS.items()}
    cases |= {
        "unknown 400": status(400, "odd"),
        "unknown 403": status(403, "odd"),
        "unknown 418": status(418, "odd"),
    }
    found = ask(cases, name, mode)
    for case, outcome in found.items():
        kind, _, rest = case.partition(" ")
        told = f"{case}: {outcome!r}"
        if kind in ("content", "context"):
            assert isinstance(outcome, Reply), told
            assert outcome.finish_reason == ("content_filter" if kind == "content" else "context"), told
            assert outcome.error, told
            assert not [
                noise for noise in ("litellm", "Exception", "Error code") if noise in outcome.error
            ], told
        elif kind in ("again", "none"):
            assert isinstance(outcome, TransientError), told
            assert (outcome.last is not None and outcome.last.finish_reason == "no_choices") is (
                kind == "none"
            ), told
        elif kind == "ends":
            assert isinstance(outcome, ModelError), told
            assert not isinstance(outcome, RefusedError), told
            assert ENDS[rest][1] in str(outcome), told
        else:
            assert isinstance(outcome, RefusedError), told
            assert (outcome.words, outcome.access) == ("odd", rest == "403"), told


def test_json_that_groq_could_not_read_is_kept(tmp_path: Path) -> None:
    """The reply is unreadable, and what the model wrote is its text."""
    words = "Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details."
    wrote = '{"tasks": ['
    cases = {
        "json": body(
            400,
            message=words,
            type="invalid_request_error",
            code="json_validate_failed",
            failed_generation=wrote,
        ),
        "tool": body(
            400, message="Failed to call a function.", code="tool_use_failed", failed_generation={"a": 1}
        ),
    }
    for name in ("openai/tiny", "hosted_vllm/tiny", "groq/tiny"):
        found = ask(cases, name, "chat")
        assert [one.finish_reason for one in found.values() if isinstance(one, Reply)] == ["unreadable"] * 2
        assert [one.text for one in found.values() if isinstance(one, Reply)] == [wrote, '{"a": 1}']


def test_what_a_provider_repeats_of_the_prompt_is_no_sign() -> None:
    """A prompt about content filters and context windows is not taken for the provider's words."""
    echo = "Content Exists Risk; maximum context length; data_inspection_failed"
    told = [{"type": "missing", "loc": ["body", "x"], "msg": "Field required", "input": echo}]
    for name, mode, _ in WAYS.values():
        (found,) = ask({"echo": Answer({"detail": told}, 422)}, name, mode).values()
        assert isinstance(found, RefusedError), found
        assert found.words == "Field required"


def test_anthropic_s_and_gemini_s_refusals_and_replies() -> None:
    """In their own forms, through LiteLLM's code for them."""

    def claude(code: int, type: str, message: str) -> Answer:
        return Answer({"type": "error", "error": {"type": type, "message": message}}, code)

    def says(reason: str, content: list[dict[str, Any]]) -> Answer:
        usage = {"input_tokens": 5, "output_tokens": 5}
        keys = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "usage": usage}
        return Answer({**keys, "content": content, "stop_reason": reason})

    found = ask(
        {
            "long": claude(
                400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"
            ),
            "large": claude(413, "request_too_large", "Request exceeds the maximum size"),
            "filter": claude(400, "invalid_request_error", "Output blocked by content filtering policy"),
            "busy": claude(529, "overloaded_error", "Overloaded"),
            "odd": claude(400, "invalid_request_error", "odd"),
            "money": claude(400, "invalid_request_error", "Your credit balance is too low"),
            "refusal": says("refusal", [{"type": "text", "text": "No"}]),
            "window": says("model_context_window_exceeded", [{"type": "text", "text": "Half"}]),
            "thought": says(
                "end_turn",
                [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": "So."}],
            ),
        },
        "anthropic/claude-haiku-4-5",
        "chat",
        max_tokens=50,
    )
    assert [reason(found[case]) for case in ("long", "large", "filter")] == [
        "context",
        "context",
        "content_filter",
    ]
    assert isinstance(found["busy"], TransientError)
    assert isinstance(found["odd"], RefusedError)
    assert "no money left" in str(found["money"])
    assert (reason(found["refusal"]), reason(found["window"])) == ("content_filter", "length")
    thought = found["thought"]
    assert isinstance(thought, Reply)
    assert (thought.text, thought.thought) == ("So.", "Hm.")

    def gemini(reason: str, said: str | None = "Half") -> Answer:
        candidate: dict[str, Any] = {"finishReason": reason, "index": 0}
        if said is not None:
            candidate["content"] = {"role": "model", "parts": [{"text": said}]}
        usage = {"promptTokenCount": 5, "candidatesTokenCount": 5, "totalTokenCount": 10}
        return Answer({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "g"})

    blocked = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5},
    }
    tokens = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
    found = ask(
        {
            "good": gemini("STOP"),
            "safety": gemini("SAFETY"),
            "recitation": gemini("RECITATION", None),
            "cut": gemini("MAX_TOKENS"),
            "malformed": gemini("MALFORMED_RESPONSE"),
            "blocked": Answer(blocked),
            "long": body(400, code=400, message=tokens, status="INVALID_ARGUMENT"),
            "key": body(
                400,
                code=400,
                message="API key not valid. Please pass a valid API key.",
                status="INVALID_ARGUMENT",
            ),
        },
        "gemini/gemini-2.5-flash",
        "chat",
    )
    reasons = {case: reason(outcome) for case, outcome in found.items()}
    assert reasons == {
        "good": "stop",
        "safety": "content_filter",
        "recitation": "content_filter",
        "cut": "length",
        "malformed": "TransientError",
        "blocked": "content_filter",
        "long": "context",
        "key": "EndingError",
    }


def reason(outcome: Outcome) -> str:
    """Why a reply ended, or the kind of a failure."""
    return outcome.finish_reason if isinstance(outcome, Reply) else type(outcome).__name__


# Whose fault a refusal in unknown words is


def odd(asked: Asked) -> Answer:
    """Refuses some prompts in words that nobody knows."""
    return (
        status(400, "the moon is wrong")
        if asked.prompt.endswith(("1 about a violin you know.", "3 about a violin you know."))
        else by_seed(asked)
    )


def by_seed(asked: Asked) -> Answer:
    """The same request gets the same reply."""
    return text(f"Idea about seed {asked.body['seed']} and no other.")


@pytest.mark.parametrize("mode", ["chat", "completion"])
def test_a_prompt_refused_in_unknown_words_ends_no_run(typed: Typed, project: Path, mode: str) -> None:
    """Be it the first of all: a plain prompt shows that the set-up is right. The bytes do not depend on how
    many are asked at once.
    """
    for name, most in (("one", 1), ("many", 16)):
        with ModelServer(odd) as server:
            keys = ("model.seeded=true", "target=20", f"model.concurrency={most}", "pipeline.ideas.window=16")
            status_, _, err = typed(*at(server, *keys, f"model.mode={mode}", "cache=off", f"run_dir={name}"))
        assert status_ == 0, err
        plain = [asked for asked in server.asked if asked.prompt.startswith("Say hello.")]
        assert len(plain) <= 1
        rows = lines(project / name / "rejected.jsonl")
        assert rows
        assert {(row["check"], row["reason"]) for row in rows} == {("refused", "the moon is wrong")}
    for file in ("ideas.jsonl", "rejected.jsonl"):
        assert (project / "one" / file).read_bytes() == (project / "many" / file).read_bytes()


@pytest.mark.parametrize("code", [400, 403, 422])
def test_a_wrong_set_up_ends_after_few_requests(typed: Typed, project: Path, code: int) -> None:
    """Where a plain prompt is refused too, the run ends with cause and remedy; mended, it goes on."""
    with ModelServer([status(code, "the moon is wrong")]) as server:
        keys = ("target=20", "model.concurrency=4", "model.retries=5", "model.seeded=true")
        status_, out, err = typed(*at(server, *keys))
    assert status_ == 1
    assert "Traceback" not in out + err
    assert len(server.asked) <= 4 + 1, "those in flight and the plain one"
    assert "the moon is wrong" in err
    assert "A plain prompt was refused too" in err
    assert "the key from TINY_KEY" in err if code == 403 else "model.sampling" in err
    with ModelServer(by_seed) as server:
        assert typed(*at(server, *keys))[0] == 0
    assert not lines(project / "run/rejected.jsonl"), "no record is lost to a wrong set-up"


def test_a_key_that_loses_its_rights_ends_a_run_that_went_well(typed: Typed) -> None:
    """A 403 is about the prompt where a plain one is answered now, not where one was answered before."""
    with ModelServer(lambda asked: by_seed(asked) if asked.number < 6 else status(403, "no more")) as server:
        keys = ("target=20", "model.concurrency=1", "model.seeded=true")
        status_, _, err = typed(*at(server, *keys))
    assert status_ == 1
    assert "the key from TINY_KEY was refused" in err
    assert len(server.asked) == 7


def test_a_batch_with_one_odd_prompt_is_asked_one_by_one(typed: Typed, project: Path) -> None:
    """With several prompts in a request, only the one that is refused is rejected."""

    def together(asked: Asked) -> Answer:
        prompts = asked.body["prompt"]
        prompts = prompts if isinstance(prompts, list) else [prompts]
        if any("number 3 " in prompt for prompt in prompts):
            return status(400, "the moon is wrong")
        choices = [
            {"index": n, "text": f"Idea from {prompt}", "finish_reason": "stop"}
            for n, prompt in enumerate(prompts)
        ]
        return Answer({**PARTIAL, "object": "text_completion", "choices": choices, "usage": USAGE})

    seed_file(project / "seeds/tiny.jsonl", 30)
    keys = (
        "model.mode=completion",
        "model.prompts_per_request=4",
        "target=12",
        "pipeline.ideas.window=16",
        "cache=off",
    )
    with ModelServer(together) as server:
        status_, _, err = typed(*at(server, *keys))
    assert status_ == 0, err
    rejected = lines(project / "run/rejected.jsonl")
    assert {row["check"] for row in rejected} <= {"refused"}


# Replies that are not as they should be


def choice(**keys: Any) -> Answer:
    """A reply with one choice, in both forms."""
    message = {"role": "assistant", "content": "Half an idea", **keys.pop("message", {})}
    one = {"index": 0, "finish_reason": "stop", "message": message, "text": "Half an idea", **keys}
    return Answer(
        {
            **PARTIAL,
            "choices": [one],
            "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
        }
    )


def only_text(answer: Answer) -> Answer:
    """The same without a message, as in completion mode."""
    assert isinstance(answer.body, dict)
    choices = [
        {key: value for key, value in one.items() if key != "message"} for one in answer.body["choices"]
    ]
    return Answer({**answer.body, "choices": choices})


ENDINGS = {
    "error": "TransientError",
    "network_error": "TransientError",
    "abort": "TransientError",
    "insufficient_system_resource": "TransientError",
    "model_length": "length",
    "repetition_truncation": "length",
    "length": "length",
    "sensitive": "content_filter",
    "SAFETY": "content_filter",
    "content_filter": "content_filter",
    "eos": "stop",
    "stop": "stop",
    "something new": "stop",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_finish_reason_is_the_provider_s(way: str, capfd: pytest.CaptureFixture[str]) -> None:
    """LiteLLM takes most of these for a good end. A broken-off reply is never taken for a whole one."""
    name, mode, _ = WAYS[way]
    cases = {case: choice(finish_reason=case) for case in ENDINGS}
    if mode == "completion":
        cases = {case: only_text(answer) for case, answer in cases.items()}
    found = ask(cases, name, mode)
    assert {case: reason(outcome) for case, outcome in found.items()} == ENDINGS
    broken = found["network_error"]
    assert isinstance(broken, TransientError)
    assert broken.last
    assert (broken.last.finish_reason, broken.last.text) == ("broken_off", "Half an idea")
    assert "network_error" in str(broken.last.error)
    assert "WARNING" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("name", ["openai/tiny", "hosted_vllm/tiny"])
def test_thoughts_parts_and_calls_are_read(name: str) -> None:
    """A thought is beside the text; parts of a text are joined; a call is text."""
    call = {"id": "a", "type": "function", "function": {"name": "json", "arguments": '{"a": 1}'}}
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "So."},
    ]
    cases = {
        "content": (
            {"reasoning_content": "One. </think> two <THINK>"},
            {},
            "Half an idea",
            "One. </think> two <THINK>",
        ),
        "reasoning": ({"reasoning": "Hm."}, {}, "Half an idea", "Hm."),
        "own": ({"content": "<think>Hm.</think>So."}, {}, "So.", "Hm."),
        "cut": ({"content": None, "reasoning_content": "Hm"}, {"finish_reason": "length"}, "", "Hm"),
        "only": ({"content": "", "reasoning_content": "Hm."}, {}, "", "Hm."),
        "parts": ({"content": parts}, {}, "So.", "Hm."),
        "text parts": ({"content": ["So", {"type": "text", "text": "."}]}, {}, "So.", ""),
        "call": ({"content": None, "tool_calls": [call]}, {"finish_reason": "tool_calls"}, '{"a": 1}', ""),
        "both": ({"content": "So.", "tool_calls": [call]}, {}, "So.", ""),
    }
    found = ask(
        {case: choice(message=message, **keys) for case, (message, keys, *_) in cases.items()}, name, "chat"
    )
    for case, (_, _, wanted, thought) in cases.items():
        outcome = found[case]
        assert isinstance(outcome, Reply), outcome
        assert (outcome.text, outcome.thought) == (wanted, thought), case
    (refusal,) = ask({"r": choice(message={"content": None, "refusal": "I cannot."})}, name, "chat").values()
    assert isinstance(refusal, Reply)
    assert (refusal.finish_reason, refusal.error) == ("content_filter", "I cannot.")


# Tokens


ODD_USAGE: dict[str, Any] = {
    "missing": None,
    "zero": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "negative": {"prompt_tokens": -5, "completion_tokens": -1, "total_tokens": -6},
    "null": {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
    "huge": {"prompt_tokens": 10**30, "completion_tokens": 10**30, "total_tokens": 2 * 10**30},
    "large": {"prompt_tokens": 10**9, "completion_tokens": 10**9, "total_tokens": 2 * 10**9},
    "broken": {"prompt_tokens": 5.5, "completion_tokens": 1.5, "total_tokens": 7.0},
    "words": {"prompt_tokens": "many", "completion_tokens": "7", "total_tokens": "?"},
    "true": {"prompt_tokens": True, "completion_tokens": True, "total_tokens": 2},
    "a list": [1, 2],
    "a text": "some",
    "the sum alone": {"total_tokens": 5},
}


@pytest.mark.parametrize("way", WAYS)
def test_tokens_are_counted_where_the_provider_gives_no_sane_number(way: str) -> None:
    """From the texts, marked so, and without the cost that LiteLLM makes of such a number."""
    name, mode, _ = WAYS[way]
    said = "An idea about a kettle and an orchard. " * 5

    def with_usage(usage: Any) -> Answer:
        answer = choice(message={"content": said}, text=said)
        assert isinstance(answer.body, dict)
        answer.body["usage"] = usage
        if usage is None:
            del answer.body["usage"]
        return only_text(answer) if mode == "completion" else answer

    cases = {f"{case}, please": with_usage(usage) for case, usage in ODD_USAGE.items()}
    thinking = {"prompt_tokens": 12, "completion_tokens": 20_000, "total_tokens": 20_012}
    cases["sane"] = with_usage(thinking)
    for case, outcome in ask(cases, name, mode).items():
        assert isinstance(outcome, Reply), (case, outcome)
        if case == "sane":
            assert (outcome.prompt_tokens, outcome.completion_tokens) == (12, 20_000), "thinking counts"
            assert not outcome.counted
            continue
        assert outcome.counted, case
        assert 1 <= outcome.prompt_tokens <= 8, case
        assert 40 <= outcome.completion_tokens <= 60, case
        assert outcome.cost_usd is None, case


def test_a_budget_holds_where_no_tokens_are_counted(typed: Typed, project: Path) -> None:
    """Exit status 3 as with a provider that counts; the summary and the events say what was counted here."""

    def script(asked: Asked) -> Answer:
        answer = choice(message={"content": f"Idea number {asked.number} about a kettle and an orchard."})
        assert isinstance(answer.body, dict)
        del answer.body["usage"]
        return answer

    keys = ("target=200", "model.concurrency=2", "cache=off", "model.price.input=1", "model.price.output=1")
    for budget in ("tokens=300", "usd=0.0003"):
        with ModelServer(script) as server:
            status_, _, err = typed(*at(server, *keys, f"budget.{budget}", f"run_dir={budget[:3]}"))
        assert status_ == 3, err
        assert err.count("they are counted from the texts") == 1
        stage = summary(project / budget[:3])["stages"]["ideas"]
        assert stage["tokens_counted"] == stage["replies"] == len(server.asked)
        assert 300 <= stage["tokens"] <= 500
        told = [row for row in lines(project / budget[:3] / "events.jsonl") if row["event"] == "request"]
        assert all(row["tokens_counted"] for row in told)


# Time, and servers out of reach


@pytest.mark.parametrize("way", ["openai chat", "hosted_vllm chat", "openai completion"])
def test_the_timeout_is_for_the_whole_reply(typed: Typed, project: Path, way: str) -> None:
    """A reply that trickles in is given up, though something comes all the time."""
    name, mode, _ = WAYS[way]
    with ModelServer(lambda asked: Answer(by_number(asked).body, trickle=0.2)) as server:
        keys = (f"model.name={name}", f"model.mode={mode}", "model.timeout=1", "model.retries=0", "target=1")
        status_, _, err = typed(*at(server, *keys, "model.concurrency=1"))
    assert status_ == 1
    assert "no reply within 1 s" in err


def test_a_server_out_of_reach_is_named_and_given_up_soon(
    typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many attempts are allowed, where nothing ever answered; with host, cause and remedy."""
    monkeypatch.setattr("selfinstruct.llm.providers.reach", lambda base: None)  # as behind a proxy
    monkeypatch.setattr("selfinstruct.llm.attempts.LONGEST_SILENCE", 1.0)
    for address, host, cause in (
        ("http://127.0.0.1:9/v1", "127.0.0.1:9", "refuses the connection"),
        ("http://no-such-host.invalid/v1", "no-such-host.invalid:80", "name is not known"),
    ):
        for name in ("openai/tiny", "hosted_vllm/tiny"):
            keys = (f"model.name={name}", f"model.api_base={address}", "model.retries=500", "target=1")
            status_, out, err = typed("recipe=tiny", "run_dir=run", *keys)
            assert status_ == 1
            assert "Traceback" not in out + err
            assert f"{host}: no server answers there" in err, err
            assert cause in err
            assert "because no server ever answered" in err


def test_a_run_with_replies_keeps_its_patience(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has answered and goes away for a while is waited for, as long as the attempts last."""
    monkeypatch.setattr("selfinstruct.llm.attempts.LONGEST_SILENCE", 0.1)

    def script(asked: Asked) -> Answer:
        return Answer(drop=True) if 3 <= asked.number <= 6 else by_number(asked)

    with ModelServer(script) as server:
        status_, _, err = typed(*at(server, "target=6", "model.concurrency=1", "model.retries=8"))
    assert status_ == 0, err


# What `check` finds


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("model.name=gpt-4o", ("model.name: 'gpt-4o' has no provider", "write openai/gpt-4o;")),
        ("model.name=claude-haiku-4-5", ("write anthropic/claude-haiku-4-5;",)),
        ("model.name=gemini-2.5-flash", ("write gemini/gemini-2.5-flash",)),
        ("model.name=mistral-small-latest", ("write mistral/mistral-small-latest;",)),
        ("model.name=gpt4o-mini", ("did you mean openai/gpt-4o-mini?",)),
        ("model.name=my-model", ("hosted_vllm/my-model", "api_base=http://HOST:PORT/v1")),
        ("model.name=Qwen/Qwen3-8B", ("has no provider", "hosted_vllm/Qwen/Qwen3-8B")),
        ("model.name=opnai/gpt-4o", ("'opnai' is not a provider", "did you mean openai/gpt-4o?")),
        ("model.name=openai/", ("does not name a model",)),
        ("model.api_base=127.0.0.1:8000/v1", ("model.api_base: ", "write http://127.0.0.1:8000/v1")),
        ("model.api_base=htp://localhost:8000/v1", ("write http://localhost:8000/v1",)),
        ("model.api_base=http:/127.0.0.1/v1", ("write http://127.0.0.1/v1",)),
        ("model.api_base=api.example.com/v1", ("write https://api.example.com/v1",)),
        ("model.api_base=http://127.0.0.1:8000/v1/chat/completions", ("write http://127.0.0.1:8000/v1",)),
        (
            "model.sampling.temprature=1",
            ("model.sampling.temprature: unknown parameter", "mean 'temperature'?"),
        ),
        ("model.sampling.max_token=1", ("did you mean 'max_tokens'?",)),
        ("model.sampling.Temperature=1", ("did you mean 'temperature'?",)),
        ("model.sampling.temp=1", ("did you mean 'temperature'?",)),
        ("model.sampling.stop_sequences=[a]", ("did you mean 'stop'?",)),
        ("model.sampling.zorg=1", ("write model.sampling.extra_body={zorg: …}",)),
        ("prompts.ideas.sampling.temprature=1", ("prompts.ideas.sampling.temprature", "mean 'temperature'?")),
        ("model.fallbacks=[{name:gpt-4o}]", ("model.fallbacks.0.name", "write openai/gpt-4o;")),
        ("pipeline.ideas.model={name:gpt-4o}", ("pipeline.ideas.model.name", "write openai/gpt-4o;")),
        (
            "+filters.ideas.near={kind:embedding_similarity,field:instruction,threshold:0.9,model:text-embedding-3-small}",
            ("filters.ideas.near.model", "write {name: openai/text-embedding-3-small};"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_check_finds_what_a_request_would_fail_on(typed: Typed, key: str, words: Sequence[str]) -> None:
    """Before anything is sent, with the place and what to write."""
    status_, out, err = typed("check", "recipe=tiny", key)
    assert status_ == 1, out
    for word in words:
        assert word in out + err, out + err


@pytest.mark.parametrize(
    "key",
    [
        "model.name=hosted_vllm/meta-llama/Llama-3.1-8B",
        "model.name=azure/my-deployment",
        "model.name=publicai/x",
        "model.api_base=https://example.com",
        "model.api_base=http://127.0.0.1:8000/v1/",
        "model.sampling={top_k:5,min_p:0.1,repetition_penalty:1.1,extra_body:{zorg:1}}",
        "model.sampling={temprature:null}",
        "model.kind=scripted model.name=anything",
    ],
)
def test_check_lets_pass_what_may_be_right(typed: Typed, key: str) -> None:
    """Names of deployments, addresses with or without a path, parameters of many servers."""
    status_, out, err = typed("check", "recipe=tiny", *key.split())
    assert status_ == 0, out + err


def test_what_goes_into_extra_body_arrives(typed: Typed) -> None:
    """As the remedy says, in both modes."""
    for name, mode, _ in WAYS.values():
        with ModelServer(by_number) as server:
            keys = (
                f"model.name={name}",
                f"model.mode={mode}",
                "model.sampling.extra_body={zorg:1}",
                "target=1",
            )
            assert typed(*at(server, *keys, "fresh=true"))[0] == 0
        assert all(asked["zorg"] == 1 for asked in server.bodies), (name, mode)


def test_signs_are_looked_for_in_lower_case() -> None:
    """A sign that can never be found would go unnoticed."""
    import re

    from selfinstruct.llm import signs

    for sign in (*signs.ENDS, *signs.FATES, signs.SETUP):
        for words in sign.words:
            re.compile(words)
            assert words == re.sub(r"[A-Z]", "", words), words


def test_a_journal_of_before_opens(tmp_path: Path) -> None:
    """One of format 2, which does not say whose count the tokens are, has those of the provider."""
    path = tmp_path / "run.sqlite"
    journal = Journal(path)
    journal.sent([Request("ideas", 1, "Go on.")])
    journal.arrived(Request("ideas", 1, "Go on."), Reply("An idea", prompt_tokens=2, completion_tokens=2))
    journal.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE tally")
        for table in ("prompt_cache", "thinking", "turns"):  # since formats 5 and 6
            db.execute(f"DROP TABLE {table}")
        for table in ("meta", "request", "reply", "record", "vector"):
            db.execute(f"ALTER TABLE {table} DROP COLUMN sum")
        db.execute("ALTER TABLE reply DROP COLUMN counted")
        db.execute("UPDATE meta SET value = '2' WHERE key = 'format'")
    journal = Journal(path)
    reply = journal.reply("ideas", 1)
    assert reply == Reply("An idea", prompt_tokens=2, completion_tokens=2)
    journal.arrived(Request("ideas", 2, "Go on."), Reply("Another", counted=True))
    assert journal.stats("ideas").tokens_counted == 1
    journal.close()
