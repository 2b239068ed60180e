"""Reads files that people write, and explains what is wrong with them: encoding, YAML, duplicate keys.

If a mapping has a key twice, PyYAML silently takes the last one, or its error does not name the key; here the
message names the key and both lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault
from selfinstruct.project.filetypes import type_of
from selfinstruct.project.yaml_limits import BYTES, excess
from selfinstruct.project.yaml_shape import event_faults, node_faults

_MARKS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters, halves of characters
_REMEDY = "save it as UTF-8"
_SAMPLE = 400  # bytes in which zeros are counted, to recognise UTF-16 and UTF-32


def read(path: Path, faults: list[Fault]) -> str | None:
    """The text of a file, without a byte order mark; None if a fault was added."""
    data = read_bytes(path, faults)
    text = None if data is None else decode(data, str(path), faults)
    if text is not None and "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        faults.append(Fault(str(path), f"has a NUL character on line {line}", "remove it"))
        return None
    return text


def read_yaml(path: Path, faults: list[Fault]) -> str | None:
    """The text of a YAML file; None if a fault was added: it is not a file, too large, or not text."""
    if not path.is_file():
        faults.append(Fault(str(path), "is not a file", "remove it, or put a file there"))
        return None
    size = path.stat().st_size
    if size > BYTES:
        what = f"has {size:,} bytes; a YAML file may have {BYTES:,} at most"
        faults.append(Fault(str(path), what, "remove the parts that are not needed"))
        return None
    return read(path, faults)


def read_bytes(path: Path, faults: list[Fault]) -> bytes | None:
    """The bytes of a file; None if a fault was added."""
    try:
        return path.read_bytes()
    except OSError as error:
        faults.append(Fault(str(path), f"cannot be read: {error.strerror}"))
        return None


def decode(data: bytes, where: str, faults: list[Fault]) -> str | None:
    """Bytes as text, without a byte order mark; None if a fault was added.

    Args:
        data: the bytes of a file.
        where: the file, for messages.
        faults: gets a fault if the file is not text, or has another encoding.
    """
    other = type_of(data)
    if other and not _wide(data):
        faults.append(Fault(where, f"is {other.name}", other.remedy))
        return None
    if wide := _wide(data):
        faults.append(Fault(where, f"is not UTF-8 but {wide}", _REMEDY))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        guess = data[error.start : error.start + 1].decode("cp1252", "replace")
        at = f"byte {error.start} (line {line}, where Latin-1 would have {guess!r})"
        faults.append(Fault(where, f"is not UTF-8 at {at}", _REMEDY))
        return None


def _wide(data: bytes) -> str | None:
    """`UTF-16` or `UTF-32`, found by its mark or by its many zero bytes; None for other encodings."""
    marked = next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)
    if marked:
        return marked
    sample = data[:_SAMPLE]
    zeros = [sample[start::4].count(0) * 4 / max(1, len(sample)) for start in range(4)]
    if sum(share > 0.9 for share in zeros) >= 2 and sum(zeros) > 2.5:
        return "UTF-32"
    even, odd = (zeros[0] + zeros[2]) / 2, (zeros[1] + zeros[3]) / 2
    return "UTF-16" if max(even, odd) > 0.2 and min(even, odd) < 0.05 else None


def yaml_faults(text: str) -> list[str]:
    """The faults of a YAML text, with their lines: it is not valid, is too large, or has duplicate keys."""
    import yaml

    loader_of = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast
    try:
        beyond = excess(text, loader_of)
        unfit = [beyond] if beyond else event_faults(text, loader_of)
        if unfit:
            return unfit
        loader = loader_of(text)
        node = loader.get_single_node()
        return node_faults(node) or list(_twice(node, loader, set())) if node else []
    except (yaml.YAMLError, ValueError) as error:  # a ValueError: an impossible date, such as 2026-13-45
        return [_broken(error, text)]


def empty_keys(text: str) -> list[tuple[str, ...]]:
    """The keys of a YAML text with nothing after them, not even null, each with the keys above it.

    Such a key is left if all lines of its section are commented out.
    """
    import yaml

    node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return list(_empty(node, ()))


def _empty(node: Any, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    import yaml

    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        path = (*above, str(key.value))
        if isinstance(value, yaml.ScalarNode) and value.value == "" and not value.style:
            yield path
        yield from _empty(value, path)


# PyYAML reports these errors far below the mistake. For each of its contexts, the fault in the line where the
# context began:
_BEGAN = {
    "while scanning a simple key": "no colon follows",
    "while parsing a flow sequence": "a '[' is not closed in",
    "while parsing a flow mapping": "a '{' is not closed in",
    "while scanning a quoted scalar": "a quotation mark is not closed in",
}


def _broken(error: Any, text: str) -> str:
    """A sentence that says where a text is not valid YAML, and why."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:  # a character that YAML does not allow
        return f"is not valid YAML: {' '.join(str(error).split())}"
    lines = [*text.split("\n"), ""]
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    began = getattr(error, "context_mark", None)
    if context in _BEGAN and began:
        return f"line {began.line + 1}: is not valid YAML: {_BEGAN[context]} {lines[began.line].strip()!r}"
    if problem == "mapping values are not allowed in this context":
        return _second_colon(lines, mark)
    why = ": ".join(part for part in (context, problem) if part)
    remedy = "; indent with spaces, not with a tab" if "\t" in lines[mark.line] else ""
    return f"line {mark.line + 1}, column {mark.column + 1}: is not valid YAML ({why}){remedy}"


def _second_colon(lines: list[str], mark: Any) -> str:
    """Why a colon is wrong: a line has two, or the line above has none, or it already has a value."""
    place = f"line {mark.line + 1}, column {mark.column + 1}: is not valid YAML"
    if ": " in lines[mark.line][: mark.column]:
        return f"{place}: a value that has ': ' in it needs quotes around it"
    above = max((n for n in range(mark.line) if lines[n].split("#")[0].strip()), default=0)
    if ":" not in lines[above]:
        return f"line {above + 1}: is not valid YAML: no colon follows {lines[above].strip()!r}"
    return f"{place}: it is indented below a key that has a value already; align it with the keys above"


def _twice(node: Any, loader: Any, seen: set[int]) -> Iterator[str]:
    """A sentence for each duplicate key of a mapping, compared by value: `yes` and `on` are both true."""
    import yaml

    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for inner in node.value:
            yield from _twice(inner, loader, seen)
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[Any, int] = {}
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            name, line = loader.construct_object(key), key.start_mark.line + 1
            if name in first:
                read_as = "" if str(name) == key.value else f" (read as {name})"
                yield f"line {line}: the key {key.value!r}{read_as} is there already, on line {first[name]}"
            first.setdefault(name, line)
        yield from _twice(value, loader, seen)
