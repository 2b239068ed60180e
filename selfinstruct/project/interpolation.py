"""Limits `${…}` in recipes, files of conf/ and overrides: it may refer to another key, and nothing else.

OmegaConf also calls functions there (`${oc.env:NAME}` reads the environment); Hydra adds some, and any
installed package may add more. Their results would be saved with the run or shown in a message, so a recipe
from somebody else could read an API key in this way. So while this package composes or resolves a config,
only functions that read nothing but the config work. Hydra's own settings may also use Hydra's functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from threading import Lock
from typing import Any

Resolver = Callable[..., Any]
ENVIRONMENT = "reads the environment (oc.env), and the value would be saved with the run"
ENVIRONMENT_REMEDY = (
    "for a model's key, give the variable's name: api_key_env=NAME; for other values, use the shell: "
    "KEY=$NAME"
)
FUNCTION = "a recipe cannot use the function"
FUNCTION_REMEDY = (
    "only ${KEY}, the value of another key, is possible there; for other values, use the shell: "
    "run_dir=runs/$(date +%F)"
)
OF_ENVIRONMENT = ("oc.env", "env")
OF_CONFIG = ("oc.create", "oc.decode", "oc.deprecated", "oc.select", "oc.dict.keys", "oc.dict.values")
OF_HYDRA = ("hydra", "now", "python_version")  # in Hydra's own settings, such as the name of a sweep's folder

_inside = 0  # how many callers are inside `closed` or after `close`, in all threads
_LOCK = Lock()


@contextmanager
def closed() -> Iterator[None]:
    """Restrict `${…}` to the config, in the whole process, until the end of the block."""
    global _inside
    _enter()
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1


def close() -> None:
    """Restrict `${…}` to the config from now on, in a process that runs only this package."""
    _enter()


def refusal(words: str) -> tuple[str, str] | None:
    """The fault and its remedy, if a message from OmegaConf or Hydra contains a refusal from this module."""
    if ENVIRONMENT in words:
        return ENVIRONMENT, ENVIRONMENT_REMEDY
    found = re.search(rf"{FUNCTION} '[^'\n]*'", words)
    return (found[0], FUNCTION_REMEDY) if found else None


def _enter() -> None:
    global _inside
    _install()
    with _LOCK:
        _inside += 1


@cache
def _install() -> None:
    """Replace OmegaConf's look-up of functions, so that functions added later are covered too."""
    from omegaconf import OmegaConf

    known = OmegaConf._get_resolver
    OmegaConf._get_resolver = staticmethod(partial(_resolver, known))  # type: ignore[method-assign]


def _resolver(known: Callable[[str], Resolver | None], name: str) -> Resolver | None:
    if not _inside or name in OF_CONFIG:
        return known(name)
    if name in OF_HYDRA:
        return partial(_of_hydra, name, known(name))
    return partial(_refuse, name)


def _of_hydra(
    name: str, resolver: Resolver | None, root: Any, parent: Any, node: Any, *arguments: Any
) -> Any:
    """Call a function of Hydra for one of Hydra's own settings; refuse it for all others."""
    place = str(node._get_full_key(None))
    if resolver is None or place.partition(".")[0] != "hydra":
        _refuse(name)
    return resolver(root, parent, node, *arguments) if resolver else None


def _refuse(name: str, *arguments: Any) -> None:
    raise ValueError(ENVIRONMENT if name in OF_ENVIRONMENT else f"{FUNCTION} {name!r}")
