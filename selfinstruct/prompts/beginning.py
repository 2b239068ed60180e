"""The beginning that all requests of a prompt share, which a provider or a server can cache.

A cache of prompts knows a prompt by its beginning. So the text of a template counts up to its first
expression that needs a value drawn for the request; the recipe's own variables are the same every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfinstruct.prompts.meter import end, start

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.nodes import Node


@dataclass(frozen=True)
class Fixed:
    """The text of a template that does not change from request to request.

    Attributes:
        beginning: the text before the first value that is drawn.
        later: the text after that value, joined; no cache recognizes it.
        whole: whether nothing in the template is drawn.
    """

    beginning: str = ""
    later: str = ""
    whole: bool = False

    def shared(self, text: str) -> int:
        """How many characters at the beginning of a filled-in text are fixed."""
        return len(self.beginning) if text.startswith(self.beginning) else 0


def fixed_text(environment: Environment, template: str, variables: Mapping[str, Any]) -> Fixed:
    """See `Fixed`; empty for a template that cannot be filled in, which another check reports.

    Args:
        environment: the environment of prompts.
        template: the template of a text or of a system message.
        variables: the recipe's own variables.
    """
    setting: list[Node] = []
    first: list[Node] = []
    later: list[Node] = []
    known, drawn = set(variables), False
    try:
        for node in _parts(environment, template):
            given, needed = _names(environment, node)
            if not needed <= known:
                known -= given
                drawn |= not given  # setting a name writes nothing
            elif given:
                known |= given
                setting.append(node)
            else:
                (later if drawn else first).append(node)
        texts = [_filled(environment, [*setting, *nodes], variables) for nodes in (first, later)]
    except Exception:  # any error of the recipe's own expressions, as when a prompt is filled in
        return Fixed()
    return Fixed(texts[0], texts[1], not drawn)


def _parts(environment: Environment, template: str) -> Iterator[Node]:
    """The statements and texts of a template, and each of its expressions on its own."""
    from jinja2 import nodes

    for node in environment.parse(template).body:
        if isinstance(node, nodes.Output):
            yield from (nodes.Output([part], lineno=node.lineno) for part in node.nodes)
        else:
            yield node


def _names(environment: Environment, node: Any) -> tuple[set[str], set[str]]:
    """The names that a part of a template sets for what follows, and those that it needs."""
    from jinja2 import meta, nodes

    given: set[str] = set()
    if isinstance(node, nodes.Assign | nodes.AssignBlock):
        targets = [node.target, *node.target.find_all(nodes.Name)]
        given = {target.name for target in targets if isinstance(target, nodes.Name | nodes.NSRef)}
    elif isinstance(node, nodes.Macro):
        given = {node.name}
    return given, meta.find_undeclared_variables(_template(environment, [node]))


def _filled(environment: Environment, nodes: list[Node], variables: Mapping[str, Any]) -> str:
    compiled = environment.from_string(_template(environment, nodes))
    token = start()
    try:
        return compiled.render(variables)
    finally:
        end(token)


def _template(environment: Environment, nodes: list[Node]) -> Any:
    from jinja2.nodes import Template

    return Template(nodes, lineno=1).set_environment(environment)
