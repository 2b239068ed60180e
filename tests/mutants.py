"""What the fuzzer tries: each sort of mutant is made from its number alone, written to disk and checked.

`keys` changes the composed keys of a recipe and builds it, as `check` does after composing. `files` changes a
recipe or a file of conf/, `overrides` what is typed; both go through the command line. `seeds` changes what a
recipe reads: seed files of each format, documents, lines. A mutant is at fault where anything but a
`UserError` with words in it comes out.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import hostile
import mutations
import yaml

from selfinstruct.cli.main import command
from selfinstruct.errors import RecipeError, UserError
from selfinstruct.plan.text import plan
from selfinstruct.project.layout import GROUPS, packaged
from selfinstruct.project.resolving import resolved
from selfinstruct.recipe.build import build
from selfinstruct.recipe.compose import compose

RUN = 25  # mutants in a row that share what takes long to compose
OURS = packaged()
RECIPES = sorted(path.stem for path in (OURS / "recipes").glob("*.yaml"))
BASES = ("quickstart", "grounded", "personas", "judged", "evolve", "alpaca_original", "german", "chinese")
QUICK = "defaults: [quickstart, _self_]\n"


class NoWords(Exception):
    """A mutant was refused, or not, in a way that tells the user nothing."""


Mutant = tuple[str, Callable[[], None]]  # what it is, for a reader; and what checks it


def mutant(sort: str, seed: int, number: int) -> Mutant:
    """The mutant of this number; it is the same at each call, whatever was made before."""
    return SORTS[sort](random.Random(f"{seed} {sort} {number}"), number)


def _keys(rng: random.Random, number: int) -> Mutant:
    base = RECIPES[number // RUN % len(RECIPES)]
    keys = mutations.tree(_composed(base), rng)
    return f"{base} with {_shown(keys)}", lambda: _built(base, keys)


def _files(rng: random.Random, number: int) -> Mutant:
    """A recipe of the user's, or a file of conf/ that a recipe chooses or a stage names as its model."""
    paths = sorted([*(OURS / "recipes").glob("*.yaml"), *(OURS / "conf").glob("[!h]*/*.yaml")])
    path = rng.choice(paths)
    if rng.random() < 0.4:
        path = OURS / "recipes" / f"{rng.choice(RECIPES)}.yaml"
    changed = _changed_yaml(path.read_bytes(), rng)
    group = path.parent.name
    if group == "recipes":
        name = rng.choice(("mine", "mine", "mine", *hostile.NAMES))
        name = name if "/" not in name and 0 < len(name) < 200 and f"{name}.yaml" not in _taken() else "mine"
        return f"recipe {name!r} {changed!r}", lambda: _filed({f"recipes/{name}.yaml": changed}, name, rng)
    chosen = f"defaults: [quickstart, {{override /{group}: mine}}, _self_]\n"
    if group == "model" and rng.random() < 0.5:
        chosen = f"{QUICK}pipeline: {{instructions: {{model: mine}}}}\n"
    files = {f"conf/{group}/mine.yaml": changed, "recipes/mine.yaml": chosen.encode()}
    return f"conf/{group}/mine.yaml {changed!r}", lambda: _filed(files, "mine", rng)


def _changed_yaml(given: bytes, rng: random.Random) -> bytes:
    how = rng.random()
    if how < 0.35:
        return mutations.data(given, rng)
    if how < 0.7:
        return mutations.text(given.decode(), (*hostile.YAML, *hostile.TEXTS), rng).encode()
    tree = mutations.tree(yaml.safe_load(given), rng)
    return yaml.safe_dump(tree, allow_unicode=rng.random() < 0.5, sort_keys=False).encode()


def _overrides(rng: random.Random, number: int) -> Mutant:
    typed = [_override(rng) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    recipe = f"recipe={rng.choice(hostile.NAMES) if rng.random() < 0.1 else 'quickstart'}"
    return f"{recipe} {typed!r}", lambda: _checked([recipe, *typed])


def _override(rng: random.Random) -> str:
    """An override of a key that there is, of one below or beside it, or of a group; with any value."""
    parts = rng.choice(_paths())
    if rng.random() < 0.3:
        parts = (*parts[: rng.randrange(len(parts) + 1)], str(rng.choice(hostile.KEYS)))
    if rng.random() < 0.15:
        parts = (*parts, rng.choice(("y", "0", "-1", "kind", "x.y", "[0]", "")))
    key = ".".join(map(str, parts))
    if rng.random() < 0.25:
        key = rng.choice(
            (*GROUPS, "recipe", "seeds/common@seeds", "model@x", "/model", "hydra/launcher", "nope")
        )
    texts = (*hostile.TEXTS, *hostile.NAMES, *hostile.YAML, *map(repr, hostile.VALUES), "\udcff")
    typed = rng.choice(("", "", "", "+", "++", "~")) + key
    typed += rng.choice(("=", "=", "=", "=", "", "==", " = ")) + rng.choice(texts)
    if rng.random() < 0.2:
        typed = mutations.data(typed.encode("utf-8", "replace"), rng).decode("utf-8", "surrogateescape")
    return typed.replace("\0", "") if rng.random() < 0.9 else typed


def _seeds(rng: random.Random, number: int) -> Mutant:
    """A file that a recipe reads: seeds in each format, documents or lines."""
    rows = mutations.tree(_rows(), rng) if rng.random() < 0.5 else _rows()
    suffix = rng.choice(tuple(WRITERS))
    content = WRITERS[suffix](rows)
    if rng.random() < 0.7:
        shape = "surrogatepass"
        text = mutations.text(content.decode("utf-8", shape), (*hostile.JSON, *hostile.TEXTS), rng)
        content = mutations.data(content, rng) if rng.random() < 0.5 else text.encode("utf-8", shape)
    if rng.random() < 0.1:
        content, suffix = gzip.compress(content), f"{suffix}.gz"
        content = mutations.data(content, rng) if rng.random() < 0.5 else content
    base, keys = _reading(f"read{suffix}", rng)
    return f"{base} reads read{suffix} {content[:3000]!r}", lambda: _read(
        base, keys, f"read{suffix}", content
    )


def _reading(file: str, rng: random.Random) -> tuple[str, dict[str, Any]]:
    """A recipe that reads a file: as seeds mostly, at times with columns set; as documents, as lines."""
    how = rng.random()
    base = "grounded" if how < 0.15 else "personas" if how < 0.25 else "quickstart"
    keys: dict[str, Any] = deepcopy(_composed(base))
    if base == "grounded":
        keys["pipeline"]["passages"]["path"] = file
    elif base == "personas":
        keys["pipeline"]["instructions"]["lines"] = {"persona": file}
    else:
        keys["seeds"]["path"] = file
        keys["seeds"].update(
            rng.choice(
                ({}, {}, {"columns": {"output": "a"}}, {"where": {"id": None}}, {"instances_key": "x"})
            )
        )
    return base, keys


def _csv(mark: str) -> Callable[[Any], bytes]:
    def write(rows: Any) -> bytes:
        out = io.StringIO()
        made = csv.writer(out, delimiter=mark, escapechar="\\")
        made.writerow(["instruction", "input", "output"])
        for row in rows if isinstance(rows, list) else []:
            made.writerow(list(row.values()) if isinstance(row, dict) else [row])
        return out.getvalue().encode("utf-8", "surrogatepass")

    return write


def _json(**options: Any) -> Callable[[Any], bytes]:
    return lambda rows: json.dumps(_text_keys(rows), default=repr, **options).encode("utf-8", "surrogatepass")


def _text_keys(node: Any) -> Any:
    """A tree that JSON can hold: YAML's other keys become text."""
    if isinstance(node, dict):
        return {str(key): _text_keys(inner) for key, inner in node.items()}
    return [_text_keys(inner) for inner in node] if isinstance(node, list) else node


def _lines(rows: Any) -> bytes:
    return b"".join(
        _json(ensure_ascii=False)(row) + b"\n" for row in (rows if isinstance(rows, list) else [rows])
    )


WRITERS: dict[str, Callable[[Any], bytes]] = {
    ".jsonl": _lines,
    ".json": _json(indent=1),
    ".ndjson": _lines,
    ".csv": _csv(","),
    ".tsv": _csv("\t"),
    ".txt": lambda rows: "\n".join(map(str, rows)).encode("utf-8", "surrogatepass"),
    ".md": lambda rows: "\n\n# ".join(map(str, rows)).encode("utf-8", "surrogatepass"),
    ".html": lambda rows: "".join(f"<p>{row}<ul><li>" for row in rows).encode("utf-8", "surrogatepass"),
    "": _lines,
}
SORTS: dict[str, Callable[[random.Random, int], Mutant]] = {
    "keys": _keys,
    "files": _files,
    "overrides": _overrides,
    "seeds": _seeds,
}


@cache
def _composed(name: str) -> dict[str, Any]:
    """A recipe's keys, with few seeds, so that it is soon built."""
    keys = resolved(compose([f"recipe={name}"], Path.cwd()).config)
    seeds = (OURS / keys["seeds"]["path"]).read_text(encoding="utf-8").splitlines(keepends=True)
    Path(f"few_{name}.jsonl").write_text("".join(seeds[:12]), encoding="utf-8")
    keys["seeds"]["path"] = f"few_{name}.jsonl"
    return keys


@cache
def _rows() -> list[dict[str, Any]]:
    lines = (OURS / "seeds/starter_en.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:10]]


@cache
def _paths() -> list[tuple[Any, ...]]:
    """The path of each key of a recipe."""

    def below(node: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        items = node.items() if isinstance(node, dict) else ()
        return [path, *(one for key, inner in items for one in below(inner, (*path, key)))]

    return below(_composed("quickstart"), ())[1:]


@cache
def _taken() -> frozenset[str]:
    return frozenset(path.name for path in (OURS / "recipes").glob("*"))


def _built(name: str, keys: dict[str, Any]) -> None:
    try:
        plan(build(name, keys, Path.cwd()), Path("runs/x"))
    except RecipeError as error:
        if not error.faults or not all(fault.what.strip() for fault in error.faults):
            raise NoWords(repr(error)) from error
    except UserError as error:
        if not str(error).strip():
            raise NoWords(repr(error)) from error


def _read(name: str, keys: dict[str, Any], file: str, content: bytes) -> None:
    Path(file).write_bytes(content)
    try:
        _built(name, keys)
    finally:
        Path(file).unlink()


def _filed(files: dict[str, bytes], name: str, rng: random.Random) -> None:
    for file, content in files.items():
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_bytes(content)
    try:
        _checked([f"recipe={name}"])
    finally:
        for file in files:
            Path(file).unlink()


def _checked(typed: list[str]) -> None:
    """Type `check` and so on; it ends with 0, or with 1 and a message."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = command(["check", *typed])
    said = err.getvalue() if status else out.getvalue()
    said.encode("utf-8", "backslashreplace" if status else "strict")  # as the two streams do
    words = said.partition("selfinstruct:")[2] if status else said
    if status not in (0, 1) or not words.strip():
        raise NoWords(f"status {status}, said {said!r}")


def _shown(keys: Any) -> str:
    return repr(keys)[:20_000]
