"""Decide which key may go to which server.

People share recipes, and a recipe names servers and the environment variables that hold keys. A value that
the user has typed, or has in `conf/` or in the environment, is the user's own choice. A value from a recipe's
file may come from a stranger: then a key goes only to its provider's own server, unless the user trusts
another server with it, once (`trust=HOST`) or permanently (`selfinstruct trust HOST VARIABLE`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from selfinstruct.config import ModelConfig
from selfinstruct.errors import Fault
from selfinstruct.llm import addresses, keys
from selfinstruct.llm.addresses import Address
from selfinstruct.llm.trusted import remembered

# For these, LiteLLM sends only the key that it is given.
# Other providers may sign in with data on the machine: cloud profiles, tokens, credential files.
PLAIN = ("openai", "text-completion-openai", "hosted_vllm", "ollama", "ollama_chat")
OVER_LITELLM = "litellm"
ASKS_NOBODY = ("local", "scripted")  # kinds that send nothing to an address that a recipe can name
NAME = re.compile(r"[\w.:/@+~-]+", re.ASCII)


@dataclass(frozen=True)
class Model:
    """A model, and the source of each of its keys.

    Attributes:
        config: its keys.
        where: its place in the recipe.
        said: the keys set in a recipe's file.
        typed: the keys that the user typed.
    """

    config: ModelConfig
    where: str
    said: frozenset[str]
    typed: frozenset[str]

    def key(self, name: str) -> str:
        """The place of one of its keys."""
        return f"{self.where}.{name}"

    @property
    def provider(self) -> str:
        """The first part of its name."""
        return self.config.name.partition("/")[0]


@dataclass
class Trust:
    """The servers to which the user allows keys to go.

    Attributes:
        here: the servers of `trust=`.
        remembered: by server, the variables that it may always have.
        notes: notes on the servers that get prompts because a recipe names them.
    """

    here: Sequence[Address] = ()
    remembered: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def clear(self, model: Model) -> list[Fault]:
        """The faults of a model; if there are none, the model may use its key from now on."""
        config = model.config
        if config.kind in ASKS_NOBODY:
            return []
        faults = list(self._faults(model))
        if not faults:
            config.clear(known=not _named(model) or _at_home(model))
        return faults

    def allows(self, place: Address, variable: str) -> bool:
        """Whether the user allows a variable to go to a server."""
        others = ((addresses.read_place(host), names) for host, names in self.remembered.items())
        lasting = [host for host, names in others if host and variable in names]
        return any(host.covers(place) for host in (*self.here, *lasting))

    def _faults(self, model: Model) -> Iterator[Fault]:
        config = model.config
        if config.kind == OVER_LITELLM and "name" in model.said and "://" in config.name:
            what = f"{config.name!r} has an address in it"
            yield Fault(model.key("name"), what, f"write the address in {model.key('api_base')}")
        elif config.kind == OVER_LITELLM and "name" in model.said and not _usual(model):
            yield Fault(
                model.key("name"), f"no model has a name like {config.name!r}", "write PROVIDER/MODEL"
            )
        elif not _named(model):
            yield from self._of_variable(model)
        else:
            place = addresses.read(config.api_base or "")
            if place is None:
                what = f"{config.api_base!r} is not an address that every program reads in the same way"
                yield Fault(model.key("api_base"), what, addresses.REMEDY)
            elif _at_home(model):
                yield from self._of_variable(model)
            else:
                yield from self._of_place(model, place)

    def _of_place(self, model: Model, place: Address) -> Iterator[Fault]:
        """The faults of a key that would go to a server named by a recipe that is not the provider's own."""
        variable = model.config.api_key_env
        if keys.is_set(variable):
            assert variable
            what = f"the value of {variable} would go to {_plainly(place)}, a server that the recipe names"
            yield from self._unless_allowed(model.key("api_base"), what, place, variable)
        elif model.config.kind == OVER_LITELLM and model.provider not in PLAIN:
            what = (
                f"models of {model.provider} sign in with credentials from this machine, which would go to "
                f"{_plainly(place)}, a server that the recipe names"
            )
            yield from self._unless_allowed(model.key("api_base"), what, place, model.provider)
        if not place.local:
            note = f"{model.key('api_base')}: the prompts go to {_plainly(place)}, which the recipe names"
            self.notes.extend([note] * (note not in self.notes))

    def _of_variable(self, model: Model) -> Iterator[Fault]:
        """The fault of a key that would go to a server that may have a key, but not this one."""
        variable, provider = model.config.api_key_env, model.provider
        if not keys.is_set(variable) or "api_key_env" in model.typed:
            return
        if variable in keys.variables(provider) and not _brought_together(model):
            return
        assert variable
        place, where = _place(model), model.key("api_key_env")
        if "api_key_env" in model.said:
            what = f"the value of {variable}, which the recipe names, would go to {_plainly(place)}"
        elif _mixed(model):
            what = f"the value of {variable} would go to {_plainly(place)}, where the recipe's model is"
        elif _slipped(model):
            what = f"{variable} is a key of {keys.owner(variable)}, but would go to {_plainly(place)}"
        else:
            return
        own = " or ".join(sorted(keys.variables(provider)))
        first = f"set {where}={own}; or, " if own else ""
        yield from self._unless_allowed(where, what, place, variable, first)

    def _unless_allowed(
        self, where: str, what: str, place: Address, variable: str, first: str = ""
    ) -> Iterator[Fault]:
        if self.allows(place, variable):
            return
        lasting = f"selfinstruct trust {place} {variable}"
        yield Fault(where, what, f"{first}if you want that, trust={place} this once, or for good: {lasting}")


def trust_of(hosts: Iterable[str], faults: list[Fault]) -> Trust:
    """The servers that the user trusts, typed now or remembered.

    Args:
        hosts: the values of `trust`.
        faults: receives their faults.
    """
    here = []
    for text in hosts:
        place = addresses.read(text) or addresses.read_place(text)
        if place:
            here.append(place)
        else:
            faults.append(Fault("trust", f"{text!r} is not a host", "write trust=HOST or trust=HOST:PORT"))
    return Trust(here, remembered())


def _named(model: Model) -> bool:
    """Whether a recipe sets the model's address."""
    return bool(model.config.api_base) and "api_base" in model.said


def _at_home(model: Model) -> bool:
    """Whether its address is one of its provider's own."""
    place = addresses.read(model.config.api_base or "")
    return place is not None and place in keys.hosts(model.provider)


def _place(model: Model) -> Address:
    """The server that a key would go to: the address that is set, the provider's own, or just its name."""
    given = model.config.api_base and addresses.read(model.config.api_base)
    own = keys.hosts(model.provider) if model.config.kind == OVER_LITELLM else []
    named = model.provider if model.config.kind == OVER_LITELLM else model.config.kind
    return given or next(iter(own), None) or Address(named)


def _brought_together(model: Model) -> bool:
    """Whether a recipe combines its model and key with an address that the user set for another model."""
    by_recipe = {"name", "api_key_env"} <= model.said and "api_base" not in model.typed
    return bool(model.config.api_base) and by_recipe and not _at_home(model)


def _mixed(model: Model) -> bool:
    """Whether the recipe sends the user's key to another server by naming another model."""
    if model.config.kind != OVER_LITELLM:  # a plug-in's options may contain its address
        texts = any(isinstance(value, str) for value in model.config.options.values())
        return "kind" in model.said or ("options" in model.said and texts)
    elsewhere = bool(model.said & {"name", "kind"})
    return elsewhere and not (model.config.api_base and model.provider in PLAIN)


def _slipped(model: Model) -> bool:
    """Whether the user typed another provider's model but did not change the key."""
    if model.config.kind != OVER_LITELLM or model.config.api_base or "name" not in model.typed:
        return False
    return keys.owner(model.config.api_key_env or "") is not None


def _usual(model: Model) -> bool:
    """Whether a name cannot redirect a request; providers that get the name unchanged allow any name."""
    return model.provider in PLAIN or bool(NAME.fullmatch(model.config.name))


def _plainly(place: Address) -> str:
    return f"{place}, which is not encrypted (http)" if place.bare else str(place)
