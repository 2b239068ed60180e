"""The order of the wings: each part of the package imports only parts below it, inside functions too."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from conftest import ROOT

PACKAGE = ROOT / "selfinstruct"
# Top to bottom. A module may import its own wing and those below it.
WINGS = (
    *("cli", "sweeps", "api", "runner", "replay", "report", "plan", "run_folder", "describe", "recipe"),
    *("stages", "filters", "export", "llm", "prompts", "parse", "text", "registry", "monitor"),
    *("sources", "plugins", "journal", "schema", "project", "config", "where", "records", "safety", "errors"),
)
ASIDE = {"__init__", "__main__", "novelty", "tokenizers"}  # the front door, and names of before


def wing(module: str) -> str:
    """The wing of a module, given from the package's name on."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(tree: ast.AST, modules: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Line and module of each import from the package, also inside functions and for types alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield node.lineno, whole if whole in modules else node.module


def sources() -> dict[str, Path]:
    """Each module of the package by its name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def arrows() -> dict[tuple[str, str], list[str]]:
    """From each wing to each other wing that it imports, with the lines that do."""
    found = defaultdict(list)
    paths = sources()
    for module, path in paths.items():
        for line, name in imports(ast.parse(path.read_text(encoding="utf-8")), frozenset(paths)):
            if name.partition(".")[0] == "selfinstruct" and wing(name) != wing(module):
                found[wing(module), wing(name)].append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    return found


def test_each_module_is_in_a_wing() -> None:
    """A new module goes to a wing, or to a new line of the list above."""
    assert {wing(module) for module in sources()} - ASIDE == set(WINGS)


def test_no_import_goes_upward() -> None:
    """Where one does, move what is imported down, or have the caller hand it over."""
    place = {name: number for number, name in enumerate(WINGS)}
    upward = [
        line
        for (here, there), lines in arrows().items()
        if here not in ASIDE and not (there in place and place[here] < place[there])
        for line in lines
    ]
    assert not upward, "\n".join(upward)
