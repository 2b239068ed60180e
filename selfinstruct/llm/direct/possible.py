"""Which models cannot be asked directly, known without importing LiteLLM.

Everything that is not listed here is expected to be possible, and is verified before the first request.
"""

from __future__ import annotations

from selfinstruct.config import ModelConfig
from selfinstruct.errors import Fault

LITELLM = "litellm"  # the kind of model that has these ways
DIRECT, THROUGH_LITELLM = "direct", "litellm"  # the values of model.transport
SIGNED = "it signs each request"
LIFETIME = "its keys have a lifetime, and LiteLLM renews them"
OTHERWISE = "LiteLLM asks it in another way than by one HTTP request"
REASONS = {
    **dict.fromkeys(("bedrock", "bedrock_converse", "bedrock_mantle", "oci"), SIGNED),
    **dict.fromkeys(("sagemaker", "sagemaker_chat", "sagemaker_nova"), SIGNED),
    **dict.fromkeys(("vertex_ai", "vertex_ai_beta", "watsonx", "watsonx_text", "databricks"), LIFETIME),
    **dict.fromkeys(("github_copilot", "chatgpt", "gigachat", "sap", "snowflake", "gdc"), LIFETIME),
    **dict.fromkeys(("replicate", "predibase", "petals", "nlp_cloud", "oobabooga", "triton"), OTHERWISE),
    **dict.fromkeys(("vllm", "custom", "langgraph", "langflow", "a2a", "auto_router"), OTHERWISE),
}


def why_not(config: ModelConfig) -> str | None:
    """Why a model cannot be asked directly; None if it can, as far as is known."""
    return REASONS.get(config.name.partition("/")[0])


def way(config: ModelConfig) -> str:
    """How a model is asked, and why, in words for the plan."""
    reason = why_not(config)
    if config.batch:
        return "as files of requests, which LiteLLM writes"
    if config.transport == THROUGH_LITELLM:
        return "through LiteLLM, since model.transport says so"
    return f"through LiteLLM, since {reason}" if reason else "directly, as LiteLLM writes the requests"


def transport_faults(config: ModelConfig, where: str) -> list[Fault]:
    """The fault of a model that is to be asked directly and cannot be."""
    reason = why_not(config) if config.transport == DIRECT else None
    if reason is None:
        return []
    what = f"{config.name} cannot be asked directly: {reason}"
    return [Fault(f"{where}.transport", what, f"leave {where}.transport out")]
