"""The parameters that a request may have, by the provider or server that accepts them.

All are sent unchanged. A parameter that is not listed here counts as a misspelling; if it is not one, it
belongs in `extra_body`. To add one, add it to the line of its provider. `ELSEWHERE` lists the arguments that
LiteLLM accepts in the same place but that are not sampling parameters: an address, a key, headers, callbacks,
a made-up reply.
"""

from __future__ import annotations

import re
from functools import lru_cache

BY_TAKER = {
    "OpenAI": "max_tokens max_completion_tokens temperature top_p n stop presence_penalty frequency_penalty"
    " seed logit_bias logprobs top_logprobs response_format user tools tool_choice parallel_tool_calls"
    " functions function_call reasoning_effort verbosity modalities audio prediction service_tier store"
    " metadata safety_identifier prompt_cache_key web_search_options stream_options suffix echo best_of",
    "Anthropic, Gemini, Bedrock": "thinking top_k output_config safety_settings generation_config"
    " guardrailConfig cached_content",
    "vLLM, SGLang": "min_p repetition_penalty length_penalty min_tokens ignore_eos stop_token_ids bad_words"
    " skip_special_tokens spaces_between_special_tokens include_stop_str_in_output no_stop_trim"
    " add_generation_prompt continue_final_message chat_template chat_template_kwargs guided_json"
    " guided_regex guided_choice guided_grammar guided_decoding_backend structured_outputs json_schema regex"
    " ebnf use_beam_search early_stopping truncate_prompt_tokens prompt_logprobs priority separate_reasoning",
    "llama.cpp, Ollama and others": "top_a typical_p tfs_z no_repeat_ngram_size grammar repeat_penalty"
    " repeat_last_n mirostat mirostat_eta mirostat_tau num_ctx num_predict n_predict dynatemp_range"
    " dynatemp_exponent dry_multiplier dry_base dry_allowed_length dry_penalty_last_n dry_sequence_breakers"
    " xtc_probability xtc_threshold cache_prompt samplers keep_alive think do_sample watermark",
    "OpenRouter, DashScope, Mistral": "provider models route transforms reasoning include_reasoning plugins"
    " enable_thinking thinking_budget enable_search safe_prompt random_seed prompt_mode",
    "LiteLLM": "extra_body allowed_openai_params drop_params additional_drop_params",
}
MEANT = {  # other names for them
    "max_new_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "maxoutputtokens": "max_tokens",
    "stop_sequences": "stop",
    "num_return_sequences": "n",
}
PARAMETERS = frozenset(name for names in BY_TAKER.values() for name in names.split())
ENVIRONMENT = "the environment of the run, where LiteLLM reads it"
ELSEWHERE = {  # the right place: regular expressions of keys, in lower case with _ for -
    "model.api_base": r"api_?base|base_?url|(azure_)?endpoint|api_url",
    "model.api_key_env, the name of the variable that holds it": r"(\w+_)?api_?key(s|_env)?|auth(orization)?"
    r"|token|(?!max|min|stop|num)\w+_token(_file)?|\w*(secret|password|credential)\w*",
    "model.timeout": r"(request_|stream_)?timeout",
    "model.retries": r"(max|num)_retries|retry_\w+",
    "model.name": r"model|model_(name|id)|deployment_id|custom_llm_provider|base_model|hf_model_name|engine",
    "model.fallbacks": r"(\w+_)?fallbacks|context_window_fallback_dict|model_list",
    "model.requests_per_minute": r"rpm|tpm|max_parallel_requests",
    "model.price": r"((in|out)put_)?cost_per_\w+|model_info",
    ENVIRONMENT: r"organization|project|api_(version|type)|region_name|(extra_|default_)?headers|prox(y|ies)"
    r"|(default|extra)_query|ssl_\w+|verify|cert|use_litellm_proxy"
    r"|(aws|azure|vertex|watsonx|oci|databricks|s3|gcs|langfuse|langsmith|arize)_\w+",
    "what the run itself sends": r"messages|prompt|input|stream",
    "nothing that a recipe can set": r"mock_\w+|(success_|failure_)?callbacks?|logger_fn|log_\w+|no_log"
    r"|verbose|litellm_\w+|(a|http_?|async_)?client|shared_session|cach(e|ing)|cache_key|prompt_(id|variables|label|version)|guardrails"
    r"|tags|(user|assistant)_continue_message|initial_prompt_value|final_prompt_value|roles|[be]os_token|hooks"
    r"|ensure_alternating_roles|mcp_\w+|preset_\w+|turn_off_\w+|merge_\w+|disable_\w+|no_proxy"
    r"|acompletion|aembedding|atext_completion",
}
NESTED = ("extra_body", "metadata", "litellm_metadata", "litellm_params", "provider_options")
ONLY_IN_BODY = ("metadata", "tags", "cache", "guardrails", "roles", "disable_fallbacks")  # for a gateway


@lru_cache(maxsize=1024)
def elsewhere(key: str) -> str | None:
    """The right place for a key, in any spelling, that is not a sampling parameter; None if it may be one."""
    plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()).strip("_")
    if key in PARAMETERS:
        return None
    return next((where for where, names in ELSEWHERE.items() if re.fullmatch(names, plain)), None)
