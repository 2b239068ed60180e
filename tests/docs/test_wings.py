"""The order of the wings: each part of the package imports only parts below it, inside functions too.

`python tests/docs/test_wings.py` draws the wings anew in docs/architecture.md; a test fails until then.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "selfinstruct"
# Top to bottom. A module may import its own wing and those below it.
WINGS = (
    *(
        "cli",
        "sweeps",
        "train",
        "evaluate",
        "merge",
        "api",
        "review",
        "show",
        "runner",
        "replay",
        "report",
        "dataset",
        "plan",
        "run_folder",
        "describe",
        "recipe",
    ),
    *("stages", "filters", "export", "cluster", "llm", "prompts", "parse", "text", "registry", "monitor"),
    *("sources", "plugins", "journal", "schema", "project", "config", "where", "records", "safety", "errors"),
)
PAGE = ROOT / "docs/architecture.md"
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


def drawing() -> str:
    """The wings as stairs, each with a column of what it imports, and a table of what each is for."""
    there, found = sources(), arrows()
    stairs, table = [], []
    for row, below in enumerate(WINGS):
        marks = ["x" if (above, below) in found else "." for above in WINGS[:row]]
        stairs.append(" ".join([*marks, below]))
        path = there[f"selfinstruct.{below}"]
        words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        name = f"{below}/" if path.name == "__init__.py" else path.name
        table.append(f"| `{name}` | {words.splitlines()[0]} |")
    return "\n".join(["```text", *stairs, "```", "", "| wing | what it is for |", "| --- | --- |", *table])


def drawn(page: str) -> str:
    """The page on the architecture with the drawing as it is now."""
    before, after = re.split(r"(?<=-->\n)[^\0]*(?=<!-- end of wings -->)", page, maxsplit=1)
    return f"{before}\n{drawing()}\n\n{after}"


def test_the_drawing_is_current() -> None:
    """After a change of the imports or of what a wing says of itself: python tests/docs/test_wings.py."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == drawn(page), "docs/architecture.md is stale; renew it: python tests/docs/test_wings.py"


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


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
