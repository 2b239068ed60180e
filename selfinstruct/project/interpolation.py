"""What `${…}` may do in a recipe, in a file of conf and in an override: stand for another key, no more.

OmegaConf also calls functions there (`${oc.env:NAME}` reads the environment), Hydra adds some, and so may any
package that is installed. What they say would be written down with the run or shown in a message, and a
recipe from somebody else could ask for a key in this way. So while anything of ours composes or resolves,
only those functions answer that look at nothing but the config itself. Hydra's own settings may also use
Hydra's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from threading import Lock
from typing import Any

Resolver = Callable[..., Any]
ENVIRONMENT = "reads the environment (oc.env), which would be written down with the run"
ENVIRONMENT_REMEDY = (
    "a model's key is named, not read: api_key_env=NAME; let the shell fill in other values: KEY=$NAME"
)
FUNCTION = "a recipe cannot use the function"
FUNCTION_REMEDY = (
    "only ${KEY} is known there, which stands for another key; let the shell fill in other values: "
    "run_dir=runs/$(date +%F)"
)
OF_ENVIRONMENT = ("oc.env", "env")
OF_CONFIG = ("oc.create", "oc.decode", "oc.deprecated", "oc.select", "oc.dict.keys", "oc.dict.values")
OF_HYDRA = ("hydra", "now", "python_version")  # in Hydra's own settings, such as the name of a sweep's folder

_inside = 0  # how many callers are at work, in all threads
_LOCK = Lock()


@contextmanager
def closed() -> Iterator[None]:
    """Let `${…}` read the config alone, in the whole process, until the end of the block."""
    global _inside
    _enter()
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1


def close() -> None:
    """Let `${…}` read the config alone from now on, in a process that is ours alone."""
    _enter()


def refusal(words: str) -> tuple[str, str] | None:
    """What is wrong and what to do, if a text of OmegaConf's or Hydra's comes from a refusal here."""
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
    """Put ourselves where OmegaConf looks a function up, whoever adds one, and when."""
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
    """What a function of Hydra's says to a setting of Hydra's; refused to all others."""
    place = str(node._get_full_key(None))
    if resolver is None or place.partition(".")[0] != "hydra":
        _refuse(name)
    return resolver(root, parent, node, *arguments) if resolver else None


def _refuse(name: str, *arguments: Any) -> None:
    raise ValueError(ENVIRONMENT if name in OF_ENVIRONMENT else f"{FUNCTION} {name!r}")
