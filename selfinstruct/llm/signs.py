"""The codes, words and statuses that identify a provider's refusal: only data, which `failures` reads.

A code is compared without case and punctuation, so `DataInspectionFailed` equals `data_inspection_failed`.
Words are regular expressions; they are searched in the provider's messages in lower case, but never in text
that it repeats from the prompt. If a provider refuses a prompt in a way that is not known yet, add its code
or its words to the line of the fate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from selfinstruct.parse import UNREADABLE
from selfinstruct.parse.replies import CONTENT_FILTER, CONTEXT

KEY, MONEY, NO_MODEL = "key", "money", "no_model"  # the causes that end a run, whatever the prompt


@dataclass(frozen=True)
class Sign:
    """The codes and words that identify one meaning.

    Attributes:
        meaning: the fate of the request, or the cause that ends the run.
        codes: values of `code`, `type`, `status` and similar keys.
        words: regular expressions, of which one matches the message.
    """

    meaning: str
    codes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


ENDS = (
    Sign(
        MONEY,
        codes=(
            "insufficient_quota",  # OpenAI
            "billing_hard_limit_reached",  # OpenAI
            "insufficient_balance",  # DeepSeek, SiliconFlow
            "arrearage",  # DashScope
            "exceeded_current_quota_error",  # Moonshot
            "1113",  # Zhipu
        ),
        words=(
            r"insufficient[_ ](quota|balance|credits|funds)",
            r"credit balance is too low",  # Anthropic
            r"account (is|not) in (arrears|good standing)",  # DashScope
            r"余额不足|欠费",
        ),
    ),
    Sign(
        KEY,
        codes=("invalid_api_key", "api_key_invalid", "invalid_authentication_error", "unauthorized"),
        words=(
            r"api[ _-]?key (not valid|is (invalid|missing|expired))",
            r"(invalid|incorrect|missing) api[ _-]?key",
        ),
    ),
    Sign(NO_MODEL, codes=("model_not_found", "modelnotfound", "model_not_exist", "deploymentnotfound")),
)

FATES = (
    Sign(
        CONTENT_FILTER,
        codes=(
            "content_filter",  # Azure, Moonshot, Mistral
            "content_filtered",
            "content_filter_policy_violation",
            "ResponsibleAIPolicyViolation",  # Azure, as an inner code
            "content_policy_violation",  # OpenAI
            "invalid_prompt",  # OpenAI's reasoning models
            "moderation_blocked",  # OpenAI
            "data_inspection_failed",  # DashScope
            "contentFilter",  # Zhipu
            "1301",  # Zhipu
            "guardrail_intervened",  # Bedrock
            "input_moderation",
            "output_moderation",
            "prompt_blocked",
            "prohibited_content",  # Gemini
            "SAFETY",  # Gemini
            "RECITATION",  # Gemini
            "BLOCKLIST",  # Gemini
            "336104",  # Qianfan
            "ContentPolicyViolationError",  # LiteLLM's type
        ),
        words=(
            r"content[ _](management|filter(ing)?|moderation|safety|usage)[ _](policy|policies|system|check)",
            r"blocked by (the |our |a )?(content|safety|moderation|guardrail)",  # Anthropic, Bedrock
            r"(rejected|failed|blocked) as a result of (the|our) safety system",  # OpenAI
            r"violat\w+ (of )?(our|the|its) (usage|content|acceptable use|safety)",  # OpenAI, Together
            r"flagged as potentially violating",  # OpenAI
            r"requires moderation|your input was flagged|input was flagged|was flagged by",  # OpenRouter
            r"content exists risk",  # DeepSeek
            r"(considered|rejected because it was considered) high risk",  # Moonshot
            r"inappropriate content|datainspectionfailed|data_inspection_failed",  # DashScope
            r"unsafe or sensitive|sensitive (content|information|words?)",  # Zhipu and others
            r"不安全或敏感|敏感(内容|信息|词)|内容安全|违规内容|涉及敏感",  # Zhipu, Qianfan, MiniMax
            r"guardrail (intervened|blocked|policy)|blocked by (amazon )?bedrock guardrail",
            r"the prompt (was|is) blocked|prompt blocked|block_?reason",  # Gemini, Vertex
            r"responsible ai polic|responsibleaipolicy",
            r"toxic(ity)? (content|detected|input)",  # Cohere
            r"the model produced invalid content",  # OpenAI
        ),
    ),
    Sign(
        CONTEXT,
        codes=(
            "context_length_exceeded",  # OpenAI, Groq, Together
            "context_window_exceeded",
            "exceed_context_size_error",  # llama.cpp
            "string_above_max_length",  # OpenAI
            "request_too_large",  # Anthropic
            "prompt_too_long",
            "input_too_long",
            "max_tokens_exceeded",
            "3051",  # Mistral's "prompt contains too many tokens"
            "336007",  # Qianfan
            "1261",  # Zhipu
            "ContextWindowExceededError",  # LiteLLM's type
        ),
        words=(
            r"(maximum|max|model'?s?|available|allowed) (\w+ )?context (length|window|limit|size)",
            r"context (length|window|limit|size) (is )?exceed|exceed\w* (the )?(model'?s )?(\w+ )?context",
            r"(prompt|inputs?|request|message|conversation) (is |are |was )?too (long|large|many tokens)",
            r"too many (input )?tokens|too many total text bytes|contains too many tokens",
            r"exceeds? the (maximum|max)\w* (number of |allowed )?(input )?(tokens|length|context)",  # Gemini
            r"`?inputs`? (tokens|must have less than)",  # Text Generation Inference
            r"longer than the (maximum )?model'?s? (context|length)",  # SGLang, vLLM
            r"(input|prompt) (tokens?|length)[^.]{0,60}(exceed|longer|larger|greater|must be|should be)",
            r"range of input length should be",  # DashScope
            r"string too long\. expected a string with maximum length",  # OpenAI
            r"current length is .* while limit is",  # Cerebras
            r"maximum input length is|input length .* exceeds",  # NIM, SGLang
            r"reduce (the length of )?(the|your) (messages?|prompt|input|length)",
            r"request too large for model",  # Groq: more than a minute may hold
            r"prompt (超长|过长)|输入(过长|超长|长度超)|超过(了)?(最大|模型).{0,8}(长度|上下文|token)",
        ),
    ),
    Sign(
        UNREADABLE,
        codes=("json_validate_failed", "tool_use_failed", "output_parse_failed"),  # Groq
        words=(r"failed to (generate|validate) json", r"failed to call a function"),
    ),
)

# Refusals that only the set-up can cause, so that no other prompt needs to be tried.
SETUP = Sign(
    "setup",
    codes=(
        "unsupported_parameter",
        "unsupported_value",
        "unknown_parameter",
        "missing_required_parameter",
        "integer_above_max_value",
        "integer_below_min_value",
        "decimal_above_max_value",
        "decimal_below_min_value",
        "unknown_url",
        "UnsupportedParamsError",  # LiteLLM's type
    ),
    words=(
        r"must contain the word 'json'",  # OpenAI, with response_format
        r"unrecognized request argument|unexpected keyword argument|extra inputs are not permitted",
        r"llm provider not provided",  # LiteLLM, before anything is sent
    ),
)

# Refusals of a whole batch, since others wait at the provider already.
QUEUE_FULL = Sign(
    "queue_full",
    codes=("token_limit_exceeded",),  # OpenAI, Azure
    words=(r"enqueued tokens?\b",),
)

# By status, if neither a code nor the words identify it.
ENDING = {401: KEY, 402: MONEY, 404: NO_MODEL}
PROMPTS = {413: CONTEXT, 414: CONTEXT, 431: CONTEXT, 451: CONTENT_FILTER}
AGAIN = (408, 409, 423, 424, 425, 499)  # and all from 500 on
# LiteLLM invents a status for a reply that it cannot read.
MADE_UP = ("error in response object", "error converting to valid response")


def plainly(code: object) -> str:
    """A code without case and punctuation."""
    return re.sub(r"[^0-9a-z]", "", str(code).lower())
