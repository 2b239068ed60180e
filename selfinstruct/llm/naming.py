"""Check a model's keys before any request: its name, its address, its parameters.

LiteLLM knows providers and models by name, but importing it takes seconds, so both are read from its files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selfinstruct.config import ModelConfig
from selfinstruct.errors import Fault
from selfinstruct.llm.parameters import MEANT, NESTED, ONLY_IN_BODY, PARAMETERS, elsewhere
from selfinstruct.llm.prices import price_list

TYPES = "types/utils.py"  # the file of LiteLLM with a class of all providers
MORE = "llms/openai_like/providers.json"  # more providers, those with OpenAI's interface
PROVIDER = re.compile(r'^    [A-Z][A-Z0-9_]* = "([\w.-]+)"', re.MULTILINE)
ALIASES = {"text-completion-openai": "openai", "bedrock_converse": "bedrock", "cohere_chat": "cohere_chat"}
OWN_SERVER = "for your own server write hosted_vllm/{name} and set api_base=http://HOST:PORT/v1"
ASKED_FOR = re.compile(r"/(chat/completions|completions|embeddings)/?$")


def name_faults(config: ModelConfig, where: str) -> Iterator[Fault]:
    """The faults of the name and the address of a model behind LiteLLM.

    Args:
        config: its keys.
        where: its place in the recipe.
    """
    yield from _name(config.name, f"{where}.name")
    if config.api_base is not None:
        yield from _address(config.api_base, f"{where}.api_base")


def sampling_faults(sampling: Mapping[str, Any], where: str) -> Iterator[Fault]:
    """The faults of parameters that no known provider takes, and of keys that are not parameters."""
    yield from misplaced_parameters(sampling, where)
    for key, value in sampling.items():
        if key in PARAMETERS or value is None or elsewhere(key):
            continue
        near = _near(key.lower())
        if near:
            yield Fault(f"{where}.{key}", f"unknown parameter {key!r}", f"did you mean {near!r}?")
            continue
        remedy = f"if your server accepts it, write {where}.extra_body={{{key}: …}}"
        yield Fault(f"{where}.{key}", f"unknown parameter {key!r}", remedy)


def misplaced_parameters(sampling: Mapping[str, Any], where: str, nested: bool = False) -> Iterator[Fault]:
    """The faults of keys in the sampling that decide where requests go, or with which key."""
    for key, value in sampling.items():
        belongs = None if nested and key in ONLY_IN_BODY else elsewhere(str(key))
        if belongs and value is not None:
            yield Fault(
                f"{where}.{key}", f"{key!r} is not a parameter of sampling", f"it belongs to {belongs}"
            )
        elif isinstance(value, str) and value.startswith("os.environ/"):
            yield Fault(f"{where}.{key}", f"{value!r} would read the environment", "write the value itself")
        elif key in NESTED and isinstance(value, Mapping):
            yield from misplaced_parameters(value, f"{where}.{key}", nested=True)


def misplaced(fault: Fault) -> Fault:
    """A fault of an unknown key; if the key is a parameter of a request, the remedy names its place."""
    section, _, key = fault.where.rpartition(".")
    asks = re.match(r"model$|pipeline\.[^.]+\.model$|prompts\.", section)
    if asks and key in PARAMETERS and fault.what.startswith("unknown key"):
        return Fault(fault.where, fault.what, f"it is a parameter of the request: {section}.sampling.{key}")
    return fault


def _near(key: str) -> str | None:
    """The parameter that was probably meant: a synonym, a similar name, or a name with the same beginning."""
    if key in MEANT:
        return MEANT[key]
    alike = get_close_matches(key, sorted(PARAMETERS), n=1, cutoff=0.75)
    begun = [name for name in sorted(PARAMETERS, key=len) if len(key) > 2 and name.startswith(key)]
    return next(iter([*alike, *begun]), None)


def _name(name: str, key: str) -> Iterator[Fault]:
    provider, slash, rest = name.partition("/")
    known = providers()
    if not known:  # a version of LiteLLM that has them elsewhere
        return
    if slash and provider in known and rest:
        return
    if slash and provider in known:
        yield Fault(key, f"{name!r} does not name a model", f"write {provider}/MODEL")
        return
    full = full_names(name)
    near = get_close_matches(provider.lower(), sorted(known), n=1, cutoff=0.75) if slash and rest else []
    what = f"{name!r} has no provider" if not near else f"{provider!r} is not a provider that LiteLLM knows"
    if near:
        yield Fault(key, what, f"did you mean {near[0]}/{rest}? {OWN_SERVER.format(name=name)}")
    elif full:
        yield Fault(key, what, f"write {' or '.join(full)}; {OWN_SERVER.format(name=name)}")
    else:
        similar = get_close_matches(name.lower(), _bare_names(), n=1, cutoff=0.8)
        hint = f"did you mean {' or '.join(full_names(similar[0]))}? " if similar else ""
        form = "write PROVIDER/MODEL, such as openai/gpt-4o-mini or anthropic/claude-haiku-4-5"
        yield Fault(key, what, f"{hint}{form}; {OWN_SERVER.format(name=name)}")


def _address(api_base: str, key: str) -> Iterator[Fault]:
    address = urlsplit(api_base)
    if address.scheme not in ("http", "https") or not address.hostname:
        host = re.sub(r"^([A-Za-z]+:/+|https?/+|/+)", "", api_base.strip()) or "HOST:PORT/v1"
        local = re.match(r"(localhost|127\.|10\.|192\.168\.|\[?::1)", host) or ":" in host.split("/")[0]
        written = f"{'http' if local else 'https'}://{host}"
        what = f"{api_base!r} does not begin with http:// or https://"
        yield Fault(key, what, f"write {written}")
        return
    end = ASKED_FOR.search(address.path)
    if end:
        what = f"{api_base!r} ends in /{end[1]}, which is added automatically"
        yield Fault(key, what, f"write {ASKED_FOR.sub('', api_base)}")


def full_names(name: str) -> list[str]:
    """The model's full names (PROVIDER/MODEL) in LiteLLM's list, its maker's first, at most three."""
    bare, known = name.lower(), providers()
    own = str(price_list().get(bare, {}).get("litellm_provider", ""))
    own = ALIASES.get(own, own.removesuffix("-language-models"))
    first = [f"{own}/{name}"] if own in known else []
    others = [key for key in price_list() if key.count("/") == 1 and key.endswith(f"/{bare}")]
    makers = [key for key in others if key.partition("/")[0] in bare]  # gemini/gemini-2.5-flash
    return list(dict.fromkeys([*makers, *first, *([] if first or makers else others)]))[:3]


def _bare_names() -> list[str]:
    return [key for key in price_list() if "/" not in key]


@lru_cache(maxsize=1)
def providers() -> frozenset[str]:
    """The providers that LiteLLM knows; empty if they cannot be found."""
    spec = find_spec("litellm")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        types, more = Path(folder) / TYPES, Path(folder) / MORE
        text = types.read_text(encoding="utf-8") if types.is_file() else ""
        found = PROVIDER.findall(text.partition("class LlmProviders(")[2].partition("\n\n\n")[0])
        others = json.loads(more.read_text(encoding="utf-8")) if found and more.is_file() else ()
        return frozenset([*found, *others])
    return frozenset()
