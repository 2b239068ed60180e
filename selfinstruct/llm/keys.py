"""Keys: the environment variables and hosts of each provider, and the only place where a key is read.

Providers' variables and hosts are read from LiteLLM's files, since importing it takes seconds. `trust`
decides whether a model may have its key; a model that was not cleared there gets no key here. Plug-ins ask
here too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from selfinstruct.config import ModelConfig
from selfinstruct.llm.addresses import Address, read

ROUTES = "litellm_core_utils/get_llm_provider_logic.py"  # LiteLLM's file with keys and hosts of providers
CHECKS = "utils.py"  # LiteLLM's file that checks whether a key is missing
MORE = "llms/openai_like/providers.json"
BRANCH = re.compile(r'^( +)(?:el)?if ([^\n]*custom_llm_provider[^\n]*"[^\n]*):\n((?:\1 +.*\n|\n)*)', re.M)
KEY = r"[A-Z][A-Z0-9]*_[A-Z0-9_]*(?:KEY|TOKEN|SECRET|JWT|PASSWORD|CREDENTIALS|KEY_ID)"
NAMED = re.compile(rf'"({KEY})"')
READ = re.compile(rf'(?:get_secret(?:_str)?|getenv|environ\.get|environ)[(\[]\s*"({KEY})"')
URL = re.compile(r'"(https://[^"]+)"')
BASE = re.compile(r'"([A-Z][A-Z0-9_]*_(?:API_BASE|BASE_URL|ENDPOINT))"')
FAMILY = {  # other names of a provider
    "text-completion-openai": "openai",
    "custom_openai": "openai",
    "text-completion-codestral": "codestral",
    "text-completion-inception": "inception",
    "anthropic_text": "anthropic",
    "cohere_chat": "cohere",
    "ollama_chat": "ollama",
    "azure_text": "azure",
    "vertex_ai_beta": "vertex_ai",
    "watsonx_text": "watsonx",
    "sagemaker_chat": "sagemaker",
    "bedrock_converse": "bedrock",
    "ai21_chat": "ai21",
    "qwencloud": "dashscope",
    "qwen_ai_platform": "dashscope",
}
VARIABLES = {  # variables that LiteLLM's files do not name in the usual form
    "bedrock": ("AWS_BEARER_TOKEN_BEDROCK", "AWS_SESSION_TOKEN"),
    "huggingface": ("HF_TOKEN",),
    "hosted_vllm": ("HOSTED_VLLM_API_KEY",),
    "gemini": ("GOOGLE_API_KEY",),
    "vertex_ai": ("VERTEX_API_KEY", "GOOGLE_API_KEY"),
}
HOSTS = {  # hosts that they do not name in the usual form
    "openai": ("api.openai.com",),
    "anthropic": ("api.anthropic.com",),
    "openrouter": ("openrouter.ai",),
    "gemini": ("generativelanguage.googleapis.com",),
    "groq": ("api.groq.com",),
    "mistral": ("api.mistral.ai",),
    "cohere": ("api.cohere.com", "api.cohere.ai"),
    "fireworks_ai": ("api.fireworks.ai",),
    "xai": ("api.x.ai",),
    "together_ai": ("api.together.xyz",),
    "huggingface": ("router.huggingface.co",),
}
BASES = {"openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"), "azure": ("AZURE_API_BASE",)}
PLACEHOLDER = "none"  # what LiteLLM sends where there is no key


def key_of(config: ModelConfig) -> str | None:
    """The key that a model sends; None if there is none, or if it was not cleared for this address."""
    if not config.cleared:
        return None
    if config.api_key_env:
        return os.environ.get(config.api_key_env) or None
    provider = config.name.partition("/")[0]
    if config.api_base or not lends_openai(provider):  # LiteLLM finds the keys of the others
        return None
    return next((os.environ[name] for name in sorted(variables(provider)) if os.environ.get(name)), None)


def known_keys(given: str | None, provider: str) -> list[str]:
    """The keys that a request to a provider may carry.

    Args:
        given: the key that LiteLLM is given, if there is one.
        provider: the provider, whose other keys are in the environment.
    """
    of_environment = (os.environ.get(name) for name in sorted(variables(provider)))
    return [key for key in (given, *of_environment, PLACEHOLDER) if key]


def is_set(variable: str | None) -> bool:
    """Whether an environment variable has a value."""
    return bool(variable and os.environ.get(variable))


def lends_openai(provider: str) -> bool:
    """Whether LiteLLM would send OpenAI's key to a provider if it gets no other key."""
    found = _source("constants.py").partition("\nopenai_compatible_providers")[2].partition("]\n")[0]
    listed = re.findall(r'"([\w.-]+)"', found)
    of_text = provider.startswith("text-completion-")  # in a separate list, and used with OpenAI's client
    return of_text or FAMILY.get(provider, provider) == "openai" or provider in listed or provider in _more()


@lru_cache
def variables(provider: str) -> frozenset[str]:
    """The environment variables that hold a provider's keys."""
    name = FAMILY.get(provider, provider)
    own = {found for text in _branches(name) for found in NAMED.findall(text)}
    own |= {entry["api_key_env"] for slug, entry in _more().items() if slug == name}
    of_others = {found for other, names in _by_provider().items() if other != name for found in names} - own
    own |= {found for text in _folder(name) for found in READ.findall(text)} - of_others
    return frozenset([*own, *VARIABLES.get(name, ())])


def owner(variable: str) -> str | None:
    """The provider that a variable belongs to; None if no provider is known to have it."""
    named = [name for name, found in _by_provider().items() if variable in found]
    return min(named, key=len, default=None)


def hosts(provider: str) -> list[Address]:
    """A provider's own addresses: those in LiteLLM, and those in the user's environment."""
    name = FAMILY.get(provider, provider)
    texts = [*_branches(name)]
    urls = [url for text in texts for url in URL.findall(text)]
    urls += [entry["base_url"] for slug, entry in _more().items() if slug == name]
    named = [*BASES.get(name, ()), *(variable for text in texts for variable in BASE.findall(text))]
    urls += [os.environ[variable] for variable in named if os.environ.get(variable)]
    known = [Address(host, 443, "https") for host in HOSTS.get(name, ())]
    return [*known, *filter(None, map(read, urls))]


@lru_cache
def _by_provider() -> dict[str, set[str]]:
    found = {name: {*names} for name, names in VARIABLES.items()}
    found |= {slug: {entry["api_key_env"]} for slug, entry in _more().items()}
    for names, text in _parts():
        for name in names:
            found.setdefault(name, set()).update(NAMED.findall(text))
    return found


def _branches(name: str) -> Iterator[str]:
    return (text for names, text in _parts() if name in names)


@lru_cache(maxsize=1)
def _parts() -> list[tuple[frozenset[str], str]]:
    """The parts of LiteLLM's code that handle a provider by its name."""
    routes = _source(ROUTES).partition("def _get_openai_compatible_provider_info(")[2]
    checks = _source(CHECKS).partition("\ndef validate_environment(")[2].partition("\ndef ")[0]
    found = BRANCH.findall(routes) + BRANCH.findall(checks)
    return [(frozenset(re.findall(r'"([\w.-]+)"', head)), text) for _, head, text in found]


@lru_cache(maxsize=1)
def _more() -> dict[str, dict[str, str]]:
    text = _source(MORE)
    return dict(json.loads(text)) if text else {}


def _folder(provider: str) -> Iterator[str]:
    """The texts of LiteLLM's files for a provider."""
    root = _root()
    if root and re.fullmatch(r"[\w-]+", provider):
        for path in sorted((root / "llms" / provider).rglob("*.py")):
            yield path.read_text(encoding="utf-8")


def _source(name: str) -> str:
    root = _root()
    return (root / name).read_text(encoding="utf-8") if root and (root / name).is_file() else ""


@lru_cache(maxsize=1)
def _root() -> Path | None:
    spec = find_spec("litellm")
    return next((Path(folder) for folder in (spec.submodule_search_locations or [])), None) if spec else None
