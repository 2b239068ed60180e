"""The parameters that a request may have, by who takes them.

All are sent as they are; one that is not here is taken for a misspelling, and goes into `extra_body` if it is
none. To add one, add it to the line of who takes it.
"""

from __future__ import annotations

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
    "LiteLLM": "extra_body extra_headers headers api_version allowed_openai_params drop_params"
    " additional_drop_params vertex_project vertex_location vertex_credentials aws_region_name",
}
MEANT = {  # what others call them
    "max_new_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "maxoutputtokens": "max_tokens",
    "stop_sequences": "stop",
    "num_return_sequences": "n",
}
PARAMETERS = frozenset(name for names in BY_TAKER.values() for name in names.split())
