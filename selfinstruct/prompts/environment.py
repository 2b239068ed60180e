"""The Jinja environment of prompts and exports: sandboxed, strict about names, and bounded in time and size.

A meter (`meter`) counts all that a template does: each turn of a loop and each call is a step, and the inputs
and results of calls, filters and operators are counted in characters, if possible before a large result is
made. Random functions (`random`, `lipsum`) are removed, since the same recipe must give the same bytes, and
so are slow filters for web pages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from itertools import islice
from types import BuiltinMethodType, ModuleType
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.visitor import NodeTransformer

from selfinstruct.prompts.growth import FILTERS_GROW, METHODS_GROW, after
from selfinstruct.prompts.meter import CALL, meter

LENGTH = 1_000_000  # the most characters of a template
TOKENS = 20_000  # the most words and signs inside its {{ }} and {% %}
LEFT_OUT = ("random", "urlize", "xmlattr", "pprint")
AT_ONCE = ("length", "count")  # filters that take no longer for a large value, which is then not counted
METHODS = {  # the methods of texts and collections that a template may call
    str: "capitalize casefold center count endswith expandtabs find index isalnum isalpha isascii isdecimal"
    " isdigit islower isnumeric isspace istitle isupper join ljust lower lstrip partition removeprefix"
    " removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip"
    " swapcase title upper zfill",
    dict: "get items keys values",
    list: "count index",
    tuple: "count index",
    re.Match: "end group groupdict groups span start",
}
_ALLOWED = {kind: frozenset(names.split()) for kind, names in METHODS.items()}
_COST, _TAKE, _STEPS = " cost", " take", " steps"  # filters that no template can name


def environment(filters: Mapping[str, Callable[..., Any]]) -> BoundedEnvironment:
    """An environment for the templates of recipes, with our own filters in addition to Jinja's."""
    made = BoundedEnvironment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    made.filters.update(filters)
    del made.globals["lipsum"]
    for name in LEFT_OUT:
        del made.filters[name]
    made.filters = {
        name: _stepping(one) if name in AT_ONCE else _bounded(one, FILTERS_GROW.get(name))
        for name, one in made.filters.items()
    }
    made.tests = {name: _bounded(one, None) for name, one in made.tests.items()}
    made.filters.update({_COST: _cost, _TAKE: _take, _STEPS: _steps})
    return made


def chat_environment() -> BoundedEnvironment:
    """An environment for chat templates, which other projects write: a missing name counts as nothing."""
    made = environment({"tojson": partial(json.dumps, ensure_ascii=False)})
    made.undefined, made.keep_trailing_newline = Undefined, False
    made.add_extension("jinja2.ext.loopcontrols")
    made.globals["raise_exception"] = _raised
    return made


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Counts what a template does; a record's field hides a dict method of the same name."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field or an attribute; if both exist, the field, which is also found faster."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item; a key that is a collection is counted, since looking it up takes time."""
        if not isinstance(argument, str | int):
            meter().take(argument)
        return super().getitem(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The result of an operator, unless it is too large."""
        meter().step()
        meter().charge(after(operator, left, right))
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """The result of a function, macro or method, if it may be called and its result is not too large."""
        count, owner = meter(), getattr(__obj, "__self__", None)
        count.step(CALL)
        count.take(args)
        count.take(kwargs)
        if isinstance(__obj, BuiltinMethodType) and not isinstance(owner, ModuleType):
            _method(owner, __obj.__name__, args, kwargs)
        result = super().call(__context, __obj, *args, **kwargs)
        if not isinstance(owner, dict):  # the values of a dict existed before
            count.take(result)
        return result

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """A text's `format` method, changed to count the widths in the format."""
        if super().wrap_str_format(value) is None:
            return None
        text, mapped = str(value.__self__), value.__name__ == "format_map"

        def wrapper(*args: Any, **kwargs: Any) -> str:
            meter().take(text)
            return _Formatter(self).vformat(text, () if mapped else args, args[0] if mapped else kwargs)

        return wrapper

    def from_string(self, source: Any, *args: Any, **kwargs: Any) -> Any:
        """Compile a template.

        Raises:
            TemplateError: if it is not valid, is too long or is nested too deeply.
        """
        with _compilable():
            return super().from_string(source, *args, **kwargs)

    def _parse(self, source: str, *args: Any) -> nodes.Template:
        if len(source) > LENGTH:
            raise TemplateError(f"has {len(source):,} characters; a template has {LENGTH:,} at most")
        with _compilable():
            if sum(1 for _ in islice(self.lexer.tokeniter(source, None), TOKENS + 1)) > TOKENS:
                what = f"has more than {TOKENS:,} words and signs inside its {{{{ }}}} and {{% %}}"
                raise TemplateError(f"{what}; make it shorter")
            return super()._parse(source, *args)

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        return super()._generate(_Counting().visit(source), *args, **kwargs)


def _raised(message: str) -> None:
    """What a chat template calls for messages that it cannot write.

    Raises:
        TemplateError: with its message.
    """
    raise TemplateError(message)


@contextmanager
def _compilable() -> Iterator[None]:
    """Turn the errors of Jinja's and Python's compilers, such as nesting too deep, into plain messages."""
    try:
        yield
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise TemplateError("is nested too deeply; split it with {% set NAME = … %} or loops") from error
    except ValueError as error:
        raise TemplateError(f"has a number that cannot be read ({error})") from error


class _Formatter(SandboxedFormatter):
    def format_field(self, value: Any, format_spec: str) -> Any:
        meter().take(value)
        meter().charge(sum(map(int, re.findall(r"\d+", format_spec))))
        return super().format_field(value, format_spec)


class _Counting(NodeTransformer):
    """Puts the meter into a template at the places where Jinja does not call the environment."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        node.iter = _through(node.iter, _STEPS)
        return self._body(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802
        return self._body(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:  # noqa: N802
        return self._body(node)

    def visit_Block(self, node: nodes.Block) -> nodes.Node:  # noqa: N802
        return self._body(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        node.nodes = [_through(one, _TAKE) for one in node.nodes]
        return self.generic_visit(node)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        if not any(isinstance(side, nodes.Const) for side in (node.expr, *(one.expr for one in node.ops))):
            node.expr = _through(node.expr, _TAKE)  # a comparison takes only as long as its shorter side
        for operand in node.ops:
            if operand.op in ("in", "notin"):
                operand.expr, node.expr = _through(operand.expr, _TAKE), _through(node.expr, _TAKE)
        return self.generic_visit(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        if isinstance(node.arg, nodes.Slice):
            node.node = _through(node.node, _TAKE)
        return self.generic_visit(node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        for pair in node.items:
            pair.key = _through(pair.key, _TAKE)
        return self.generic_visit(node)

    def _body(self, node: Any) -> nodes.Node:
        size = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        cost = nodes.Filter(nodes.Const(size), _COST, [], [], None, None, lineno=node.lineno)
        node.body.insert(0, nodes.ExprStmt(cost, lineno=node.lineno))
        return self.generic_visit(node)


def _through(node: Any, filter: str) -> nodes.Expr:
    """Pass an expression's value through our filter; a constant already counts as part of the template."""
    if isinstance(node, nodes.Const | nodes.TemplateData):
        return node
    return nodes.Filter(node, filter, [], [], None, None, lineno=node.lineno)


def _cost(size: int) -> None:
    """Count the template's own text in a body that may be filled in many times."""
    meter().charge(size)


def _take(value: Any) -> Any:
    meter().take(value)
    return value


def _steps(items: Any) -> Any:
    """Count all turns of a loop, since a loop cannot end early."""
    if hasattr(type(items), "__len__"):  # without a length it is an error elsewhere; iterators never get here
        meter().step(len(items))
    return items


def _shown(value: Any) -> Any:
    """Count a value that is written into the text."""
    meter().take(value)
    return value


def _stepping(function: Any) -> Callable[..., Any]:
    """A filter of which only the call counts."""

    @wraps(function)
    def stepping(value: Any) -> Any:
        meter().step()
        return function(value)

    return stepping


def _bounded(function: Any, grows: Callable[..., int] | None) -> Callable[..., Any]:
    """A filter or a test that counts its inputs and its result; `grows` returns the largest result's size."""
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)  # this also copies Jinja's mark for the first argument
    def bounded(*args: Any, **kwargs: Any) -> Any:
        count = meter()
        count.step()
        for value in args[passed:]:
            count.take(value)
        if kwargs:
            count.take(kwargs)
        if grows:
            count.charge(grows(*args[passed:], **kwargs))
        result = function(*args, **kwargs)
        if isinstance(result, str):
            count.charge(len(result))
            return result
        if isinstance(result, Iterator):  # the size of an iterator is unknown
            result = list(result)
        count.take(result)
        return result

    return bounded


def _method(owner: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Count the input and the result of a method of a text or a collection, before it is called.

    Raises:
        SecurityError: if a template may not call the method.
    """
    kind = next((kind for kind in _ALLOWED if isinstance(owner, kind)), None)
    if kind is None or name not in _ALLOWED[kind]:
        raise SecurityError(f"a template cannot call the method {name!r} of {type(owner).__name__!r}")
    if kind is not dict:
        meter().take(owner)
    if kind is str and name in METHODS_GROW:
        meter().charge(METHODS_GROW[name](owner, *args, **kwargs))
