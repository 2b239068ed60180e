"""Closed registries: the only way from a name in YAML to code.

A registry maps names to factories, functions whose keyword arguments are the options that a recipe may
set. Nothing in a recipe can name code outside a registry, so a recipe from somebody else runs no Python.
To add an entry, decorate a factory in one of the modules that its registry lists; an installed distribution
adds one by an entry point (`plugins`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, Generic, TypeVar, get_type_hints

from selfinstruct import plugins
from selfinstruct.errors import Fault, unknown
from selfinstruct.plugins import Plugin, PluginError
from selfinstruct.safety.expressions import made_for

T = TypeVar("T")
OURS = "selfinstruct itself"
_MISNAMED = "misnamed"  # pydantic's type of an error: a text that names no entry, or one that cannot be used


class Registry(Generic[T]):
    """Named factories of one sort of thing.

    Args:
        kind: what its entries are, for messages ("filter").
        modules: the modules whose import registers the built-in entries; imported at the first look.
        group: what its entries are called together ("filters"); plug-ins come from the entry points in the
            group of that name.
        makes: the type of what a factory makes, to which those of plug-ins are held.
    """

    def __init__(self, kind: str, modules: tuple[str, ...], group: str, makes: Any) -> None:
        self.kind, self.group = kind, group
        self._modules, self._makes = modules, makes
        self._factories: dict[str, Callable[..., T]] = {}
        self._brought: dict[str, Callable[..., T]] = {}  # by plug-ins, as far as they were used

    def register(self, factory: Callable[..., T]) -> Callable[..., T]:
        """Enter a factory under its own name; a decorator.

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

    def summary(self, name: str) -> str:
        """The first line of an entry's docstring."""
        self._load()
        return (inspect.getdoc(self._factories[name]) or "").split("\n")[0]

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
            PluginError: if a plug-in cannot be loaded, or brings a name that another entry has.
            KeyError: if there is none of that name.
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
        """Where an entry comes from: `built in`, or the distribution and its version; all of several."""
        brought = plugins.found(self.group).get(name, [])
        return ["built in"] * (name in self.names()) + [plugin.origin for plugin in brought]

    def _clash(self, name: str, brought: list[Plugin]) -> PluginError:
        """Words for several entries of one name."""
        origins = [plugin.origin for plugin in brought]
        everyone = [OURS] * (name in self._factories) + origins
        what = f"{len(everyone)} {self.kind}s are named {name!r}: of {' and of '.join(everyone)}"
        return PluginError(what, f"uninstall what you do not need of: {', '.join(origins)}; or rename one")

    def options(self, name: str) -> Any:
        """A pydantic model of the options that an entry takes."""
        self._load()
        return _options(self._factories[name])

    def doc(self, name: str) -> str:
        """An entry's docstring."""
        self._load()
        return inspect.getdoc(self._factories[name]) or ""

    def marked(self, marker: type, name: str | None = None) -> set[str]:
        """The options whose annotation carries a marker, of built-in entries and the plug-ins in use.

        Args:
            marker: the marker.
            name: the entry, where it is not all of them.
        """
        self._load()
        factories = {**self._brought, **self._factories}
        return {
            option
            for factory in ([factories[name]] if name in factories else [] if name else factories.values())
            for option, hint in _hints(factory).items()
            if marker in getattr(hint, "__metadata__", ())
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
            options: keyword arguments as the recipe has them.
            where: the config key, for messages.
            faults: receives every fault found; nothing is raised for one.
            defaults: options that follow from the rest of the recipe, for an entry that knows them and where
                the recipe does not set them itself.

        Returns:
            What the factory makes, or None where there was a fault.
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
        except ValueError as error:  # a factory's own check of what types cannot say
            faults.append(Fault(where, str(error)))
            return None
        if not isinstance(made, self._makes):
            what = f"the {self.kind} {name!r} makes a {type(made).__name__}, not a {self._makes.__name__}"
            faults.append(Fault(where, what, f"mend {factory.__module__}"))
            return None
        return made

    def _load(self) -> None:
        for module in self._modules:
            import_module(module)


def bind_options(
    factory: Callable[..., Any], options: dict[str, Any], where: str
) -> tuple[dict[str, Any], list[Fault]]:
    """`options` as keyword arguments of `factory`, bound by its annotations, and every fault of them."""
    model = _options(factory)
    bound, faults = validate(model, options, where)
    return {name: getattr(bound, name) for name in model.model_fields} if bound is not None else {}, faults


@lru_cache(maxsize=512)
def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    """A factory's annotations, evaluated."""
    return get_type_hints(factory, include_extras=True)


@lru_cache(maxsize=512)
def _options(factory: Callable[..., Any]) -> Any:
    """A model with a field for each keyword argument of a factory; to make one takes a millisecond."""
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
    """Bind a value to a pydantic model; the bound value (None where it failed) and every fault."""
    from pydantic import ValidationError

    try:
        return model.model_validate(value), []
    except ValidationError as error:
        return None, [_fault(model, item, where) for item in error.errors()]


def misnamed(fault: Fault) -> ValueError:
    """What a validator of an option that names an entry raises; `validate` tells it as the fault itself."""
    from pydantic_core import PydanticCustomError

    words = {"what": str(Fault(fault.where, fault.what)), "remedy": fault.remedy}
    return PydanticCustomError(_MISNAMED, "{what}; {remedy}", words)


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
        said = "yes, on or true" if value else "no, off or false"
        return Fault(key, f"YAML turned this into the boolean {value} (from {said})", "put it in quotes")
    if value is None and item["type"] in ("dict_type", "model_type"):
        return Fault(key, "has nothing in it", "give it keys, write {} for none, or remove the line")
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return Fault(key, f"{message[0].lower()}{message[1:]}, not {repr(value)[:80]}")


def _fields_at(model: Any, loc: tuple[Any, ...]) -> list[str]:
    """The keys that a nested model has at a place, as far as the place can be followed."""
    for part in loc:
        field = getattr(model, "model_fields", {}).get(part)
        if field is not None:
            model = field.annotation
        for inner in getattr(model, "__args__", ()):
            if hasattr(inner, "model_fields"):
                model = inner
    fields = getattr(model, "model_fields", {})
    return [field.alias or name for name, field in fields.items()]
