"""How the fuzzer changes what it is given: a tree of keys, a text, the bytes of a file."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import hostile

Place = tuple[Any, Any]  # what holds a node, and its key or number there


def tree(root: Any, rng: random.Random) -> Any:
    """A copy of a tree with one to three changes, mostly one."""
    changed = [deepcopy(root)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _change(changed, rng)
    return changed[0]


def text(given: str, parts: tuple[str, ...], rng: random.Random) -> str:
    """A text with one to three of its lines replaced, doubled, swapped, cut, or given a hostile part."""
    lines = given.split("\n")
    for _ in range(rng.choice((1, 1, 2, 3))):
        at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        part, how = rng.choice(parts), rng.randrange(7)
        if how == 0:
            lines[at] = part
        elif how == 1:
            lines.insert(at, part)
        elif how == 2:
            lines.insert(at, lines[other])
        elif how == 3:
            lines[at], lines[other] = lines[other], lines[at]
        elif how == 4:
            lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
        elif how == 5:
            lines[at] = " " * rng.randrange(1, 5) + lines[at]
        else:
            key, colon, _ = lines[at].partition(":")
            lines[at] = f"{key}{colon} {part}"
    return "\n".join(lines)


def data(given: bytes, rng: random.Random) -> bytes:
    """The bytes of a file with a few of them flipped, cut, doubled or put in, or all of it in other ways."""
    how = rng.randrange(12)
    if how == 0:
        return rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0", b"\x1f\x8b", b"PAR1")) + given
    if how == 1:
        return given.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\x85", b"\0")))
    if how == 2:
        encoding = rng.choice(("utf-16", "utf-32", "utf-16-le", "utf-7", "cp1252", "shift_jis"))
        return given.decode("utf-8", "replace").encode(encoding, "replace")
    if how == 3:
        return given[: rng.randrange(len(given) + 1)]
    if how == 4:
        return given.replace(b"    ", b"\t") if rng.random() < 0.5 else given.replace(b"  ", b"\t")
    changed = bytearray(given)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(changed) + 1)
        if how < 7 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif how < 9:
            changed[at:at] = rng.choice(hostile.BYTES)
        elif how < 11:
            del changed[at : at + rng.randrange(1, 40)]
        else:
            changed[at:at] = changed[at : at + rng.randrange(1, 200)]
    return bytes(changed)


def value(rng: random.Random) -> Any:
    """A hostile value."""
    return deepcopy(rng.choice(hostile.TEXTS) if rng.random() < 0.5 else rng.choice(hostile.VALUES))


def places(node: Any) -> Iterator[Place]:
    """Every node below the root, as what holds it and its key there."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, inner in list(items):
        yield node, key
        yield from places(inner)


def _change(root: list[Any], rng: random.Random) -> None:
    """Change one node of the tree in a list, as likely near its root as deep in it."""
    everywhere = list(places(root))
    shallow = [place for place in everywhere if not isinstance(place[0][place[1]], str | int | float | None)]
    holder, key = rng.choice(rng.choice((everywhere, shallow)) or everywhere)
    node, how = holder[key], rng.randrange(11)
    if how < 3:
        holder[key] = value(rng)
    elif how == 3 and holder is not root:
        del holder[key]
    elif how == 4 and isinstance(holder, dict):
        _rename(holder, key, rng.choice(hostile.KEYS))
    elif how == 5 and isinstance(node, dict):
        node[rng.choice(hostile.KEYS)] = value(rng)
    elif how == 5 and isinstance(node, list):
        node.insert(rng.randrange(len(node) + 1), value(rng))
    elif how == 6:
        other, name = rng.choice(everywhere)
        holder[key], other[name] = deepcopy(other[name]), deepcopy(node)
    elif how == 7:
        holder[key] = deepcopy((lambda place: place[0][place[1]])(rng.choice(everywhere)))
    elif how == 8:
        holder[key] = rng.choice(([node], {"a": node}, {str(key): node}, [node, node]))
    elif how == 9:
        holder[key] = (
            str(node)
            if not isinstance(node, str)
            else rng.choice((len(node), [*node[:9]], node.encode("utf-8", "replace")))
        )
    elif isinstance(node, str):
        at = rng.randrange(len(node) + 1)
        holder[key] = node[:at] + rng.choice(hostile.TEXTS) + node[at:]
    else:
        holder[key] = next(iter(node), None) if isinstance(node, dict | list) else rng.choice(hostile.NUMBERS)


def _rename(holder: dict[Any, Any], key: Any, name: Any) -> None:
    """Give a key another name, in its place."""
    items = [(name if each == key else each, inner) for each, inner in holder.items()]
    holder.clear()
    holder.update(items)
