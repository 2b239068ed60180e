"""Closed registries: the only way from a name in YAML to code.

A registry maps names to factories. A factory is a function; its keyword arguments are the options that a
recipe may set. A recipe can only name what is in a registry, so a recipe from somebody else runs no Python.
To add an entry, decorate a factory in one of the modules that its registry lists; an installed distribution
adds one by an entry point (`plugins`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from selfinstruct import plugins
from selfinstruct.errors import Fault, unknown
from selfinstruct.plugins import Plugin, PluginError
from selfinstruct.safety.expressions import made_for

if TYPE_CHECKING:
    from selfinstruct.config import Asks

T = TypeVar("T")
OURS = "selfinstruct itself"
_MISNAMED = "misnamed"  # our pydantic error type: the name is unknown, or its entry cannot be used
_TYPE = re.compile(
    r"(?:str|int|float|bool|none|dict|list)(?:\[.*\])?|constrained-\w+"
)  # as pydantic names it
_CLASS = re.compile(r" or instance of \w+")  # a word for developers


class Registry(Generic[T]):
    """Named factories of one kind.

    Args:
        kind: the word for one entry, for messages ("filter").
        modules: the modules that register the built-in entries; they are imported at the first use.
        group: the word for all entries ("filters"); plug-ins are entry points in the group of that name.
        makes: the type of the objects that the factories make; the objects of plug-ins are checked for it.
    """

    def __init__(self, kind: str, modules: tuple[str, ...], group: str, makes: Any) -> None:
        self.kind, self.group = kind, group
        self._modules, self._makes = modules, makes
        self._factories: dict[str, Callable[..., T]] = {}
        self._brought: dict[str, Callable[..., T]] = {}  # the factories of plug-ins that were used

    def register(self, factory: Callable[..., T]) -> Callable[..., T]:
        """Register a factory under its own name; a decorator.

        Raises:
            ValueError: if the name is taken.
        """
        name = factory.__name__
        if name in self._factories:
            raise ValueError(f"two {self.kind}s are named {name!r}")
        self._factories[name] = factory
        return factory

    def names(self) -> list[str]:
        """The names of the built-in entries, sorted."""
        self._load()
        return sorted(self._factories)

    def known(self) -> list[str]:
        """All names that a recipe may use, sorted: of built-in entries and of plug-ins."""
        return sorted({*self.names(), *plugins.found(self.group)})

    def factory(self, name: str) -> Callable[..., T]:
        """The factory of a built-in entry."""
        self._load()
        return self._factories[name]

    def find(self, name: str) -> Callable[..., T]:
        """The factory of any entry; the module of a plug-in is imported now.

        Raises:
            PluginError: if a plug-in cannot be loaded, or its name is that of another entry.
            KeyError: if no entry has that name.
        """
        self._load()
        own, brought = self._factories.get(name), plugins.found(self.group).get(name, [])
        if own and not brought:
            return own
        if not brought:
            raise KeyError(name)
        if own or len(brought) > 1:
            raise self._clash(name, brought)
        if name not in self._brought:
            self._brought[name] = brought[0].load()
        return self._brought[name]

    def origins(self, name: str) -> list[str]:
        """The origins of all entries with a name: `built in`, or the distribution and its version."""
        brought = plugins.found(self.group).get(name, [])
        return ["built in"] * (name in self.names()) + [plugin.origin for plugin in brought]

    def _clash(self, name: str, brought: list[Plugin]) -> PluginError:
        """The error for several entries with one name."""
        origins = [plugin.origin for plugin in brought]
        everyone = [OURS] * (name in self._factories) + origins
        what = f"{len(everyone)} {self.kind}s are named {name!r}: of {' and of '.join(everyone)}"
        return PluginError(what, f"uninstall what you do not need ({', '.join(origins)}), or rename one")

    def options(self, name: str) -> Any:
        """A pydantic model of the options that a built-in entry takes."""
        return options_of(self.factory(name))

    def marked(self, marker: type, name: str | None = None) -> set[str]:
        """The options with a marker in their annotation, of built-in entries and the plug-ins in use.

        Args:
            marker: the marker.
            name: the entry; without it, all of them.
        """
        self._load()
        factories = {**self._brought, **self._factories}
        return {
            option
            for factory in ([factories[name]] if name in factories else [] if name else factories.values())
            for option, hint in _hints(factory).items()
            if marker in getattr(hint, "__metadata__", ())
        }

    def models(self, name: str) -> dict[str, tuple[Asks, Any]]:
        """The options of an entry that say which model it asks: where they look, and the default."""
        from selfinstruct.config import Asks

        try:
            factory = self.find(name)
        except (KeyError, PluginError):  # which `build` reports
            return {}
        parameters = inspect.signature(factory).parameters
        return {
            option: (mark, parameters[option].default)
            for option, hint in _hints(factory).items()
            for mark in getattr(hint, "__metadata__", ())
            if isinstance(mark, Asks)
        }

    def build(
        self,
        name: str,
        options: dict[str, Any],
        where: str,
        faults: list[Fault],
        defaults: Mapping[str, Any] | None = None,
    ) -> T | None:
        """Make an entry with the options that a recipe gives, checked against the factory's signature.

        Args:
            name: the entry.
            options: the keyword arguments in the recipe.
            where: the config key, for messages.
            faults: every fault found is added to this list; none is raised.
            defaults: options that follow from the rest of the recipe; one is used if the entry has such an
                option and the recipe does not set it.

        Returns:
            The object that the factory makes, or None if there was a fault.
        """
        try:
            factory = self.find(name)
        except KeyError:
            faults.append(Fault(where, *unknown(self.kind, name, self.known())))
            return None
        except PluginError as error:
            faults.append(Fault(where, error.what, error.remedy))
            return None
        parameters = inspect.signature(factory).parameters
        implied = {option: value for option, value in (defaults or {}).items() if option in parameters}
        bound, found = bind_options(factory, {**implied, **options}, where)
        faults.extend(found)
        if found:
            return None
        try:
            with made_for(where):
                made = factory(**bound)
        except ValueError as error:  # the factory's own check, for rules that types cannot express
            faults.append(Fault(where, str(error)))
            return None
        if not isinstance(made, self._makes):
            what = f"the {self.kind} {name!r} makes a {type(made).__name__}, not a {self._makes.__name__}"
            faults.append(Fault(where, what, f"fix {factory.__module__}"))
            return None
        return made

    def _load(self) -> None:
        for module in self._modules:
            import_module(module)


def bind_options(
    factory: Callable[..., Any], options: dict[str, Any], where: str
) -> tuple[dict[str, Any], list[Fault]]:
    """`options` as keyword arguments for `factory`, checked against its annotations; and all their faults."""
    model = options_of(factory)
    bound, faults = validate(model, options, where)
    return {name: getattr(bound, name) for name in model.model_fields} if bound is not None else {}, faults


@lru_cache(maxsize=512)
def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    """A factory's annotations, evaluated."""
    return get_type_hints(factory, include_extras=True)


@lru_cache(maxsize=512)
def options_of(factory: Callable[..., Any]) -> Any:
    """A pydantic model with a field for each keyword argument of a factory; made in a millisecond."""
    from pydantic import ConfigDict, create_model

    hints = _hints(factory)
    fields: dict[str, Any] = {
        parameter.name: (
            hints.get(parameter.name, Any),
            ... if parameter.default is inspect.Parameter.empty else parameter.default,
        )
        for parameter in inspect.signature(factory).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)
    return create_model(factory.__name__, __config__=config, **fields)


def validate(model: Any, value: Any, where: str) -> tuple[Any, list[Fault]]:
    """Bind a value to a pydantic model; return the bound value (None if that failed) and every fault."""
    from pydantic import ValidationError

    try:
        return model.model_validate(value), []
    except ValidationError as error:
        return None, [_fault(model, item, where) for item in _untagged(error.errors())]


def misnamed(fault: Fault) -> ValueError:
    """The error for a validator to raise if an option names no entry; `validate` makes it the fault again."""
    from pydantic_core import PydanticCustomError

    words = {"what": str(Fault(fault.where, fault.what)), "remedy": fault.remedy}
    return PydanticCustomError(_MISNAMED, "{what}; {remedy}", words)


def _untagged(items: Sequence[Any]) -> list[Any]:
    """The errors without the types that pydantic adds to a place where one of several types fits.

    A value that fits none of the types has one error, and not one for each.
    """
    after: dict[tuple[Any, ...], set[str]] = {}
    for item in items:
        for place, part in enumerate(item["loc"]):
            after.setdefault(item["loc"][:place], set()).add(str(part))
    several = {at for at, parts in after.items() if len(parts) > 1 and all(map(_TYPE.fullmatch, parts))}
    inner = {item["loc"][:place] for item in items for place in range(len(item["loc"]) - 1)} & several
    found: list[Any] = []
    of_union: dict[tuple[Any, ...], Any] = {}
    for item in items:
        loc, at = item["loc"], item["loc"][:-1]
        if at not in several:
            kept = tuple(part for place, part in enumerate(loc) if loc[:place] not in several)
            found.append({**item, "loc": kept})
        elif at in of_union:
            of_union[at]["msg"] += f" or {item['msg'].removeprefix('Input should be ')}"
        elif at not in inner:  # otherwise an error inside says more
            of_union[at] = {**item, "loc": at}
            found.append(of_union[at])
    return found


def _fault(model: Any, item: Any, where: str) -> Fault:
    path = [str(part) for part in item["loc"]]
    key = ".".join([where, *path] if where else path)
    value = item.get("input")
    if path[-1:] == ["[key]"] or item["type"] == "invalid_key":
        place = ".".join(
            [*([where] if where else []), *path[: -2 if path[-1] == "[key]" else -1], str(value)]
        )
        return Fault(place, "is a key that YAML does not read as text", "put it in quotes")
    if item["type"] == _MISNAMED:
        return Fault(key, item["ctx"]["what"], item["ctx"]["remedy"])
    if item["type"] == "extra_forbidden":
        known = _fields_at(model, item["loc"][:-1])
        return Fault(key, *unknown("key", path[-1], known))
    if item["type"] == "missing":
        return Fault(key, "is missing", f"set {key}=…")
    if isinstance(value, bool) and item["type"] == "string_type":
        written = "yes, on or true" if value else "no, off or false"
        return Fault(key, f"YAML turned this into the boolean {value} (from {written})", "put it in quotes")
    if value is None and item["type"] in ("dict_type", "model_type"):
        return Fault(key, "has nothing in it", "give it keys, write {} for none, or remove the line")
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if item["type"] == "value_error":  # our own message, which says what is wrong and what to write
        return Fault(key, message)
    message = _CLASS.sub("", message)
    if item["type"] in ("too_short", "too_long"):  # it says how many there are
        return Fault(key, f"{message[0].lower()}{message[1:].replace(' after validation', '')}")
    return Fault(key, f"{message[0].lower()}{message[1:]}, not {repr(value)[:80]}")


def _fields_at(model: Any, loc: tuple[Any, ...]) -> list[str]:
    """The keys of a nested model at `loc`, as far as that path can be followed."""
    for part in loc:
        field = getattr(model, "model_fields", {}).get(part)
        if field is not None:
            model = field.annotation
        for inner in getattr(model, "__args__", ()):
            if hasattr(inner, "model_fields"):
                model = inner
    fields = getattr(model, "model_fields", {})
    return [field.alias or name for name, field in fields.items()]
