"""The forms in which providers answer: replies, errors and vectors, each as its provider documents it.

`FORMS` has a form for each way to ask. Where a provider answers in OpenAI's form, only what it adds or leaves
out is written here. The values are ours; the shapes are from the page that `source` names, and from the tests
of LiteLLM (tests/llm_translation and tests/test_litellm/llms in its repository).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from server import Answer

Body = dict[str, Any]
Mode = Literal["chat", "completion", "embedding"]
TEXT = "The harbour is quiet. “It sleeps,” she said — 静か 🌊"
THOUGHT = "They ask about the harbour. I say that it is quiet."
ARGUMENTS = {"answer": "It is quiet.", "labels": ["calm", "sea"]}
TOOL = {
    "type": "function",
    "function": {
        "name": "reply",
        "description": "Gives the answer.",
        "parameters": {
            "type": "object",
            "properties": {
                "answer": {"type": "string"},
                "labels": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["answer"],
        },
    },
}
LARGE = "x" * 17_000  # more than is kept of an error


@dataclass(frozen=True)
class Form:
    """How a provider answers.

    Attributes:
        source: the page that documents it.
        replies: good answers by case; the whole body.
        error: makes the body of an error from its status, words and code.
        errors: what this provider says in another way than others: status, words and code by case.
        more: further answers by case, such as an error with status 200.
    """

    source: str
    replies: Mapping[str, Body]
    error: Callable[[int, str, str], Any]
    errors: Mapping[str, tuple[int, str, str]] = field(default_factory=dict)
    more: Mapping[str, Answer] = field(default_factory=dict)

    def answers(self) -> dict[str, Answer]:
        """Everything that the provider may answer, by case."""
        said = {**SAID, **self.errors}
        failed = {
            name: Answer(self.error(status, words, code), status, HEADERS.get(name, {}))
            for name, (status, words, code) in said.items()
        }
        good = {name: Answer(body, headers=LIMITS) for name, body in self.replies.items()}
        whole = good["text"]
        torn = {
            "cut off": Answer(whole.body, cut="length"),
            "cut off in chunks": Answer(whole.body, cut="chunks"),
            "half, as if whole": Answer(json.dumps(whole.body).encode()[:60]),
        }
        return {**good, **failed, **PAGES, **torn, **self.more}


# What all providers may say: status, words, code. `error` puts it into the provider's form.
SAID: Mapping[str, tuple[int, str, str]] = {
    "400": (400, "The moon is wrong.", "wrong_moon"),
    "401": (401, "Incorrect API key provided.", "invalid_api_key"),
    "402": (402, "Insufficient Balance", "insufficient_balance"),
    "403": (403, "You may not use this model.", "forbidden"),
    "404": (404, "The model does not exist.", "model_not_found"),
    "408": (408, "The request timed out.", "timeout"),
    "413": (413, "The request is larger than allowed.", "too_large"),
    "422": (422, "The moon cannot be processed.", "unprocessable"),
    "429": (429, "Rate limit reached, go slower.", "rate_limit_exceeded"),
    "429 with Retry-After": (429, "Rate limit reached, go slower.", "rate_limit_exceeded"),
    "429 with milliseconds": (429, "Rate limit reached, go slower.", "rate_limit_exceeded"),
    "500": (500, "The server had an error.", "server_error"),
    "503": (503, "The engine is overloaded.", "overloaded"),
    "503 with Retry-After": (503, "The engine is overloaded.", "overloaded"),
    "529": (529, "Overloaded", "overloaded_error"),
    "context length": (
        400,
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "context_length_exceeded",
    ),
    "content filter": (
        400,
        "Your request was rejected as a result of our safety system.",
        "content_policy_violation",
    ),
    "insufficient_quota": (
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
    ),
    "a large error": (400, f"The moon is wrong: {LARGE}", "wrong_moon"),
}
HEADERS = {
    "429 with Retry-After": {"Retry-After": "7"},
    "429 with milliseconds": {"retry-after-ms": "2500", "Retry-After": "3"},
    "503 with Retry-After": {"Retry-After": "11"},
}
LIMITS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
    "x-request-id": "req_0123456789",
}
PAGE = b"<html><head><title>Bad gateway</title></head><body>nginx</body></html>"
PAGES = {
    "an HTML page": Answer(PAGE, headers={"Content-Type": "text/html"}),
    "an HTML page with 502": Answer(PAGE, 502, {"Content-Type": "text/html"}),
    "an HTML page with 403": Answer(PAGE, 403, {"Content-Type": "text/html"}),
    "an empty body": Answer(b""),
    "an empty body with 500": Answer(b"", 500),
    "an empty body with 400": Answer(b"", 400),
    "null": Answer(b"null"),
    "a list": Answer(b"[]"),
    "an empty object": Answer(b"{}"),
    "a redirect": Answer(b"", 307, {"Location": "http://127.0.0.1:9/v1/elsewhere"}),
    "dropped": Answer(drop=True),
}


# OpenAI's form


def chat(content: Any = TEXT, finish_reason: str = "stop", usage: Body | None = None, **message: Any) -> Body:
    """A chat reply in OpenAI's form, with all that OpenAI sends today."""
    spoken = {"role": "assistant", "content": content, "refusal": None, "annotations": [], **message}
    return {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1741569952,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": spoken, "logprobs": None, "finish_reason": finish_reason}],
        "usage": usage or tokens(),
        "service_tier": "default",
        "system_fingerprint": "fp_44709d6fcb",
    }


def tokens(sent: int = 1500, said: int = 40, cached: int = 0, thought: int = 0) -> Body:
    """A usage in OpenAI's form."""
    return {
        "prompt_tokens": sent,
        "completion_tokens": said,
        "total_tokens": sent + said,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": thought,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def calls(arguments: Any = None, **more: Any) -> list[Body]:
    """A tool call in OpenAI's form."""
    written = json.dumps(ARGUMENTS if arguments is None else arguments)
    function = {"name": "reply", "arguments": written}
    return [{"id": "call_abc123", "type": "function", "function": function, **more}]


def several(*contents: str) -> Body:
    """A reply with several choices, the last first."""
    body = chat()
    (choice,) = body["choices"]
    body["choices"] = [
        {**choice, "index": place, "message": {**choice["message"], "content": content}}
        for place, content in reversed(list(enumerate(contents)))
    ]
    return body


OF_OPENAI: Mapping[str, Body] = {
    "text": chat(),
    "length": chat("The harbour is", "length"),
    "content filter, in the reply": chat("The", "content_filter"),
    "tool call": chat(None, "tool_calls", tool_calls=calls()),
    "text and tool call": chat("So.", "tool_calls", tool_calls=calls()),
    "reasoning": chat(reasoning_content=THOUGHT, usage=tokens(said=90, thought=50)),
    "think tags": chat(f"<think>{THOUGHT}</think>\n{TEXT}"),
    "think tags, open": chat(f"<think>{THOUGHT}", "length"),
    "cached tokens": chat(usage=tokens(cached=1024)),
    "all cached": chat(usage=tokens(sent=1024, cached=1024)),
    "refusal": chat(None, refusal="I cannot help with that."),
    "several choices": several("one", "two", "three"),
    "blank text": chat("  \n "),
    "empty text": chat(""),
    "text in parts": chat([{"type": "text", "text": "The harbour "}, {"type": "text", "text": "is quiet."}]),
    "leading blanks": chat("\n\n  indented\n"),
    "an unknown finish reason": chat(finish_reason="full_moon"),
    "broken off": chat("The", "error"),
    "no finish reason": chat(finish_reason=None),  # type: ignore[arg-type]
    "no choices": {**chat(), "choices": []},
    "no usage": {key: value for key, value in chat().items() if key != "usage"},
    "an impossible usage": chat(usage={"prompt_tokens": -1, "completion_tokens": 3, "total_tokens": 2}),
    "a usage in words": chat(usage={"prompt_tokens": "many", "completion_tokens": 3, "total_tokens": 2}),
    "no model": {key: value for key, value in chat().items() if key != "model"},
    "another model": {**chat(), "model": "my/own-model"},
}


def openai_error(status: int, words: str, code: str) -> Body:
    """OpenAI's form of an error."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    if code == "insufficient_quota":
        kind = code
    return {"error": {"message": words, "type": kind, "param": None, "code": code}}


IN_200 = {
    "an error with 200": Answer({"error": {"message": "Provider returned error", "code": 502}}),
    "429 with 200": Answer({"error": {"message": "Rate limit reached", "code": 429}}),
    "a filter with 200": Answer({"error": {"message": "flagged", "code": "content_policy_violation"}}),
}
OPENAI = Form(
    "https://platform.openai.com/docs/api-reference/chat/object", OF_OPENAI, openai_error, more=IN_200
)


def of_openai(model: str) -> Form:
    """OpenAI's form from another model; LiteLLM looks the price up by the model that a reply names."""
    replies = {name: {**body, "model": model} for name, body in OF_OPENAI.items() if "model" in body}
    return Form(OPENAI.source, replies, openai_error, more=IN_200)


# Azure

FILTERS = {
    "hate": {"filtered": False, "severity": "safe"},
    "violence": {"filtered": True, "severity": "high"},
}


def of_azure(body: Body) -> Body:
    """OpenAI's form with the results of the filters."""
    choices = [{**choice, "content_filter_results": FILTERS} for choice in body["choices"]]
    asked = [{"prompt_index": 0, "content_filter_results": FILTERS}]
    return {**body, "choices": choices, "prompt_filter_results": asked, "model": "gpt-4o-2024-11-20"}


def azure_error(status: int, words: str, code: str) -> Body:
    """Azure's form of an error; a filter names itself inside."""
    if code != "content_filter":
        return {"error": {"code": code, "message": words}}
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": FILTERS}
    return {
        "error": {
            "message": words,
            "type": None,
            "param": "prompt",
            "code": code,
            "status": 400,
            "innererror": inner,
        }
    }


AZURE = Form(
    "https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter",
    {name: of_azure(body) for name, body in OF_OPENAI.items()},
    azure_error,
    {
        "401": (401, "Access denied due to invalid subscription key or wrong API endpoint.", "401"),
        "404": (404, "The API deployment for this resource does not exist.", "DeploymentNotFound"),
        "429": (429, "Requests to the ChatCompletions operation have exceeded the rate limit.", "429"),
        "content filter": (
            400,
            "The prompt triggered Azure OpenAI's content management policy.",
            "content_filter",
        ),
    },
    IN_200,
)


# Anthropic


def message(*content: Body, stop_reason: str = "end_turn", usage: Body | None = None) -> Body:
    """A message in Anthropic's form."""
    return {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 300,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 40,
            "service_tier": "standard",
            **(usage or {}),
        },
    }


def block(text: str = TEXT) -> Body:
    """A text in Anthropic's form."""
    return {"type": "text", "text": text}


USED = {"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "reply", "input": ARGUMENTS}
THINKING = {"type": "thinking", "thinking": THOUGHT, "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}
READ = {"cache_read_input_tokens": 1200}
WRITTEN = {
    "cache_creation_input_tokens": 1200,
    "cache_creation": {"ephemeral_5m_input_tokens": 1200, "ephemeral_1h_input_tokens": 0},
}
FOR_AN_HOUR = {
    "cache_creation_input_tokens": 1200,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1200},
}
ANTHROPIC = Form(
    "https://docs.claude.com/en/api/messages",
    {
        "text": message(block()),
        "length": message(block("The harbour is"), stop_reason="max_tokens"),
        "stop sequence": {**message(block(), stop_reason="stop_sequence"), "stop_sequence": "END"},
        "the context is full": message(block("The"), stop_reason="model_context_window_exceeded"),
        "paused": message(block("The"), stop_reason="pause_turn"),
        "refusal": message(block("I cannot"), stop_reason="refusal"),
        "tool call": message(USED, stop_reason="tool_use"),
        "text and tool call": message(block("So."), USED, stop_reason="tool_use"),
        "reasoning": message(THINKING, block()),
        "hidden reasoning": message({"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3p"}, block()),
        "several texts": message(block("The harbour "), block("is quiet.")),
        "cached tokens": message(block(), usage=READ),
        "cache written": message(block(), usage=WRITTEN),
        "cache written for an hour": message(block(), usage=FOR_AN_HOUR),
        "no content": message(),
        "empty text": message(block("")),
        "no usage": {key: value for key, value in message(block()).items() if key != "usage"},
    },
    lambda status, words, code: {
        "type": "error",
        "error": {"type": code, "message": words},
        "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    },
    {
        "401": (401, "invalid x-api-key", "authentication_error"),
        "403": (403, "Your account does not have access to this resource.", "permission_error"),
        "404": (404, "model: claude-9", "not_found_error"),
        "413": (413, "Request exceeds the maximum size", "request_too_large"),
        "context length": (
            400,
            "prompt is too long: 210000 tokens > 200000 maximum",
            "invalid_request_error",
        ),
        "content filter": (400, "Output blocked by content filtering policy", "invalid_request_error"),
        "insufficient_quota": (
            400,
            "Your credit balance is too low to access the Anthropic API.",
            "invalid_request_error",
        ),
    },
)

OLD_CLAUDE = replace(
    ANTHROPIC,
    replies={name: {**body, "model": "claude-3-haiku-20240307"} for name, body in ANTHROPIC.replies.items()},
)


# Gemini


def candidates(
    *texts: str, finish: str = "STOP", usage: Body | None = None, parts: list[Body] | None = None
) -> Body:
    """A reply in Gemini's form."""
    ratings = [{"category": "HARM_CATEGORY_HATE_SPEECH", "probability": "NEGLIGIBLE"}]
    return {
        "candidates": [
            {
                "content": {"parts": parts if parts is not None else [{"text": text}], "role": "model"},
                "finishReason": finish,
                "index": place,
                "safetyRatings": ratings,
            }
            for place, text in enumerate(texts or (TEXT,))
        ],
        "usageMetadata": {
            "promptTokenCount": 1500,
            "candidatesTokenCount": 40,
            "totalTokenCount": 1540,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1500}],
            **(usage or {}),
        },
        "modelVersion": "gemini-2.5-flash",
        "responseId": "mNkZaMOeLc6ZvdIP7ZyYyAE",
    }


CACHED = {
    "cachedContentTokenCount": 1024,
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 1024}],
}
GEMINI = Form(
    "https://ai.google.dev/api/generate-content",
    {
        "text": candidates(),
        "length": candidates("The harbour is", finish="MAX_TOKENS"),
        "content filter, in the reply": candidates("The", finish="SAFETY"),
        "recitation": candidates("The", finish="RECITATION"),
        "malformed call": candidates("", finish="MALFORMED_FUNCTION_CALL", parts=[]),
        "another reason": candidates("The", finish="OTHER"),
        "several choices": candidates("one", "two"),
        "tool call": candidates(parts=[{"functionCall": {"name": "reply", "args": ARGUMENTS}}]),
        "reasoning": candidates(
            parts=[{"text": THOUGHT, "thought": True}, {"text": TEXT}],
            usage={"thoughtsTokenCount": 50, "totalTokenCount": 1590},
        ),
        "thinking to the end": {
            "candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}],
            "usageMetadata": {"promptTokenCount": 1500, "totalTokenCount": 1600, "thoughtsTokenCount": 100},
            "modelVersion": "gemini-2.5-flash",
        },
        "several texts": candidates(parts=[{"text": "The harbour "}, {"text": "is quiet."}]),
        "cached tokens": candidates(usage=CACHED),
        "a blocked prompt": {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": 1500, "totalTokenCount": 1500},
            "modelVersion": "gemini-2.5-flash",
        },
        "no choices": {
            "candidates": [],
            "usageMetadata": {"promptTokenCount": 1500, "totalTokenCount": 1500},
        },
        "no usage": {key: value for key, value in candidates().items() if key != "usageMetadata"},
        "empty text": candidates(""),
    },
    lambda status, words, code: {
        "error": {
            "code": status,
            "message": words,
            "status": code.upper(),
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "googleapis.com"}],
        }
    },
    {
        "401": (400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT"),
        "403": (403, "The caller does not have permission", "PERMISSION_DENIED"),
        "404": (404, "models/gemini-9 is not found for API version v1beta.", "NOT_FOUND"),
        "429": (429, "Resource has been exhausted (e.g. check quota).", "RESOURCE_EXHAUSTED"),
        "503": (503, "The model is overloaded. Please try again later.", "UNAVAILABLE"),
        "context length": (
            400,
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "INVALID_ARGUMENT",
        ),
    },
)


# Providers in OpenAI's form with something of their own


def like_openai(
    source: str,
    replies: Mapping[str, Body],
    error: Callable[[int, str, str], Any] = openai_error,
    errors: Mapping[str, tuple[int, str, str]] | None = None,
    **more: Any,
) -> Form:
    """OpenAI's form with other keys at the top of a reply, and with other replies."""
    given = {name: {**body, **more} for name, body in {**OF_OPENAI, **replies}.items()}
    return Form(source, given, error, errors or {}, IN_200)


def plain_usage(body: Body, **usage: Any) -> Body:
    """A reply with a usage that has no details, but other numbers."""
    return {**body, "usage": {"prompt_tokens": 1500, "completion_tokens": 40, "total_tokens": 1540, **usage}}


MISTRAL = like_openai(
    "https://docs.mistral.ai/api/endpoint/chat",
    {
        "text": plain_usage(chat(tool_calls=None, prefix=False)),
        "tool call": plain_usage(chat("", "tool_calls", tool_calls=calls(index=0))),
        "reasoning": plain_usage(
            chat(
                [
                    {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}], "closed": True},
                    {"type": "text", "text": TEXT},
                ]
            )
        ),
        "the model's length": plain_usage(chat("The", "model_length")),
    },
    lambda status, words, code: {
        "object": "error",
        "message": words,
        "type": code,
        "param": None,
        "code": "3051" if "context" in code else "1800",
        "raw_status_code": status,
    },
    {"422": (422, "Input should be a valid list", "invalid_request_error")},
    model="mistral-small-2506",
)
DEEPSEEK = like_openai(
    "https://api-docs.deepseek.com/api/create-chat-completion",
    {
        "cached tokens": plain_usage(
            chat(),
            prompt_cache_hit_tokens=1024,
            prompt_cache_miss_tokens=476,
            prompt_tokens_details={"cached_tokens": 1024},
        ),
        "cached tokens, in their own words": plain_usage(
            chat(), prompt_cache_hit_tokens=1024, prompt_cache_miss_tokens=476
        ),
        "no resources": chat("The", "insufficient_system_resource"),
    },
    model="deepseek-chat",
)
GROQ = like_openai(
    "https://console.groq.com/docs/api-reference",
    {
        "text": plain_usage(chat(), queue_time=0.03, prompt_time=0.009, completion_time=0.7, total_time=0.8),
        "reasoning": plain_usage(chat(reasoning=THOUGHT)),
    },
    lambda status, words, code: {
        "error": {
            "message": words,
            "type": "invalid_request_error",
            "code": code,
            **({"failed_generation": '{"a": 1'} if code == "json_validate_failed" else {}),
        }
    },
    {
        "413": (413, "Request too large for model `llama-3.3-70b-versatile`", "rate_limit_exceeded"),
        "unreadable JSON": (400, "Failed to generate JSON.", "json_validate_failed"),
    },
    model="llama-3.3-70b-versatile",
    usage_breakdown=None,
    x_groq={"id": "req_01jbd6g2qdfw2adyrt2az8hz4w"},
    service_tier="on_demand",
)
OPENROUTER = like_openai(
    "https://openrouter.ai/docs/api/reference/errors-and-debugging",
    {
        "text": plain_usage(
            chat(), cost=0.00042, is_byok=False, cost_details={"upstream_inference_cost": None}
        ),
        "reasoning": plain_usage(
            chat(
                reasoning=THOUGHT, reasoning_details=[{"type": "reasoning.text", "text": THOUGHT, "index": 0}]
            ),
            cost=0.00042,
        ),
        "cached tokens": plain_usage(
            chat(), cost=0.0003, prompt_tokens_details={"cached_tokens": 1024, "cache_write_tokens": 0}
        ),
    },
    lambda status, words, code: {
        "error": {
            "code": status,
            "message": words if status in (401, 402, 404) else "Provider returned error",
            "metadata": {
                "raw": json.dumps({"error": {"message": words, "code": code}}),
                "provider_name": "OpenAI",
            },
        },
        "user_id": "user_2abc",
    },
    {"403": (403, "Your chosen model requires moderation and your input was flagged.", "flagged")},
    provider="OpenAI",
    model="openai/gpt-4o-mini",
)
TOGETHER = like_openai(
    "https://docs.together.ai/reference/chat-completions-1",
    {"text": plain_usage(chat(), cached_tokens=0)},
    lambda status, words, code: {
        "id": "oFxhBcC-4YNCb4-98e1d1a4c8a1d0b9",
        "error": {"message": words, "type": "invalid_request_error", "param": None, "code": code},
    },
    model="meta-llama/Llama-3.3-70B-Instruct-Turbo",
    prompt=[],
)
VLLM = like_openai(
    "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    {
        "text": plain_usage(chat(stop_reason=None, function_call=None), prompt_tokens_details=None),
        "reasoning": plain_usage(chat(reasoning=THOUGHT, reasoning_content=None)),
        "cached tokens": plain_usage(chat(), prompt_tokens_details={"cached_tokens": 1024}),
        "repetition": chat("la la la", "repetition"),
        "aborted": chat("The", "abort"),
    },
    lambda status, words, code: {
        "error": {"message": words, "type": "BadRequestError", "param": None, "code": status}
    },
    model="meta-llama/Llama-3.1-8B-Instruct",
    prompt_logprobs=None,
    kv_transfer_params=None,
)


# Ollama


def generated(response: str = TEXT, done_reason: str = "stop", **more: Any) -> Body:
    """A reply of /api/generate."""
    return {
        "model": "llama3.2",
        "created_at": "2026-08-04T19:22:45.499127Z",
        "response": response,
        "done": True,
        "done_reason": done_reason,
        "context": [1, 2, 3],
        "total_duration": 5043500667,
        "load_duration": 5025959,
        "prompt_eval_count": 26,
        "prompt_eval_duration": 325953000,
        "eval_count": 29,
        "eval_duration": 4709213000,
        **more,
    }


def talked(content: str = TEXT, done_reason: str = "stop", counts: bool = True, **message: Any) -> Body:
    """A reply of /api/chat."""
    body = generated(done_reason=done_reason)
    left_out = {"response", "context"} | (set() if counts else {"prompt_eval_count", "eval_count"})
    kept = {key: value for key, value in body.items() if key not in left_out}
    return {**kept, "message": {"role": "assistant", "content": content, **message}}


OLLAMA_ERRORS = {
    "404": (404, "model 'llama9' not found", ""),
    "500": (500, "llama runner process has terminated: exit status 2", ""),
    "context length": (400, "input length exceeds maximum context length", ""),
}
OLLAMA = Form(
    "https://docs.ollama.com/api/generate",
    {
        "text": generated(),
        "length": generated("The harbour is", "length"),
        "loading": generated("", "load"),
        "reasoning": generated(thinking=THOUGHT),
        "think tags": generated(f"<think>{THOUGHT}</think>\n{TEXT}"),
        "JSON": generated(json.dumps(ARGUMENTS)),
        "no counts": {key: value for key, value in generated().items() if "count" not in key},
        "empty text": generated(""),
    },
    lambda status, words, code: {"error": words},
    OLLAMA_ERRORS,
)
OLLAMA_CHAT = Form(
    "https://docs.ollama.com/api/chat",
    {
        "text": talked(),
        "length": talked("The harbour is", "length"),
        "reasoning": talked(thinking=THOUGHT),
        "think tags": talked(f"<think>{THOUGHT}</think>\n{TEXT}"),
        "tool call": talked("", tool_calls=[{"function": {"name": "reply", "arguments": ARGUMENTS}}]),
        "JSON": talked(json.dumps(ARGUMENTS)),
        "no counts": talked(counts=False),
        "empty text": talked(""),
    },
    lambda status, words, code: {"error": words},
    OLLAMA_ERRORS,
)


# Cohere


def cohere(text: str = TEXT, finish: str = "COMPLETE", **message: Any) -> Body:
    """A reply of /v2/chat."""
    return {
        "id": "c14c80c3-18eb-4519-9460-6c92edd8cfb4",
        "message": {"role": "assistant", "content": [{"type": "text", "text": text}], **message},
        "finish_reason": finish,
        "usage": {
            "billed_units": {"input_tokens": 28, "output_tokens": 40},
            "tokens": {"input_tokens": 130, "output_tokens": 42},
        },
    }


COHERE = Form(
    "https://docs.cohere.com/v2/reference/chat",
    {
        "text": cohere(),
        "length": cohere("The harbour is", "MAX_TOKENS"),
        "several texts": cohere(
            content=[{"type": "text", "text": "The harbour "}, {"type": "text", "text": "is quiet."}]
        ),
        "tool call": cohere(finish="TOOL_CALL", content=None, tool_calls=calls(), tool_plan="I reply."),
    },
    lambda status, words, code: {"id": "e1f9c9f4-2f43-4a4f-8c2c-3c1f6a1f0b43", "message": words},
    {"401": (401, "invalid api token", ""), "429": (429, "You are using a Trial key.", "")},
)


# Text completion


def completed(*texts: str, finish: str = "stop", usage: Body | None = None) -> Body:
    """A completion in OpenAI's form."""
    return {
        "id": "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7",
        "object": "text_completion",
        "created": 1589478378,
        "model": "gpt-3.5-turbo-instruct",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [
            {"text": text, "index": place, "logprobs": None, "finish_reason": finish}
            for place, text in enumerate(texts or (TEXT,))
        ],
        "usage": usage or {"prompt_tokens": 1500, "completion_tokens": 40, "total_tokens": 1540},
    }


def backwards(body: Body) -> Body:
    """A reply with its choices in the other order."""
    return {**body, "choices": body["choices"][::-1]}


COMPLETION = Form(
    "https://platform.openai.com/docs/api-reference/completions/object",
    {
        "text": completed(),
        "leading blanks": completed("\n\n  indented\n"),
        "length": completed("The harbour is", finish="length"),
        "content filter, in the reply": completed("The", finish="content_filter"),
        "several choices": backwards(completed("one", "two")),
        "broken off": completed("The", finish="abort"),
        "an unknown finish reason": completed(finish="full_moon"),
        "cached tokens": completed(usage=tokens(cached=1024)),
        "think tags": completed(f"<think>{THOUGHT}</think>\n{TEXT}"),
        "empty text": completed(""),
        "no choices": {**completed(), "choices": []},
        "no text": {**completed(), "choices": [{"index": 0, "finish_reason": "stop"}]},
        "no usage": {key: value for key, value in completed().items() if key != "usage"},
        "another model": {**completed(), "model": "my/own-model"},
    },
    openai_error,
    more=IN_200,
)


# Vectors

ROWS = ([0.25, -0.5, 1.0], [0.0, 0.125, -1.0])


def vectors(order: int = 1, **more: Any) -> Body:
    """Vectors in OpenAI's form."""
    rows = [{"object": "embedding", "embedding": row, "index": place} for place, row in enumerate(ROWS)][
        ::order
    ]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return {"object": "list", "data": rows, "model": "text-embedding-3-small", "usage": usage, **more}


OPENAI_VECTORS: Mapping[str, Body] = {
    "text": vectors(),
    "in another order": vectors(-1),
    "no usage": {key: value for key, value in vectors().items() if key != "usage"},
    "no data": vectors(data=[]),
    "another model": vectors(model="my-embedder"),
    "rows without vectors": vectors(data=[{"object": "embedding", "index": 0}]),
}
EMBEDDING = Form(
    "https://platform.openai.com/docs/api-reference/embeddings/create",
    OPENAI_VECTORS,
    openai_error,
    more=IN_200,
)
GEMINI_EMBEDDING = Form(
    "https://ai.google.dev/api/embeddings",
    {"text": {"embeddings": [{"values": row} for row in ROWS]}},
    GEMINI.error,
    GEMINI.errors,
)
OLLAMA_EMBEDDING = Form(
    "https://docs.ollama.com/api/embed",
    {
        "text": {
            "model": "all-minilm",
            "embeddings": list(ROWS),
            "total_duration": 14143917,
            "load_duration": 1019500,
            "prompt_eval_count": 8,
        }
    },
    OLLAMA.error,
    OLLAMA_ERRORS,
)
COHERE_EMBEDDING = Form(
    "https://docs.cohere.com/v2/reference/embed",
    {
        "text": {
            "id": "da6e531f-54c5-4a73-bf92-f60566d8d753",
            "embeddings": {"float": list(ROWS)},
            "texts": ["a", "b"],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 8}},
        }
    },
    COHERE.error,
    COHERE.errors,
)
