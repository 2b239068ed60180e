"""The story of a record for a terminal: what became of it and why comes first, then how it was made.

To add a part, write a function that yields what rich can print, and list it in `SECTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from selfinstruct.show.neighbours import KEEPS
from selfinstruct.show.pieces import COLOURS, clipped, fields, figure, marked, name_of, piece, short
from selfinstruct.show.story import NOT_REACHED
from selfinstruct.text.readable import readable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

WIDE = 90  # columns from which two texts are side by side
SIGNS = {"passed": "✓", "rejected": "✗"}
Told = Mapping[str, Any]


def show_story(story: Told, console: Console) -> None:
    """Print the story of a record; see `story.story`."""
    from rich.padding import Padding

    console.print(_head(story))
    for title, section in SECTIONS.items():
        for place, part in enumerate(section(story, console)):
            if not place:
                console.print(piece(f"\n{title}", "bold"))
            console.print(Padding(part, (0, 0, 0, 2)))


def _head(story: Told) -> Text:
    head = name_of(story)
    if "kind" not in story:
        return head
    where = f"stage {story['stage']} ({story['kind']})"
    place = ""
    if story["request"]:
        position = [one["id"] for one in story["candidates"]].index(story["id"]) + 1
        place = f", request {story['request']['number']}, candidate {position} of {len(story['candidates'])}"
    head += piece(f"\n{where}{place}", "dim")
    if story["left_out"]:
        head += piece(f"\nnot in the dataset, since the label {story['left_out']} was rejected", "red")
    return head


def _record(story: Told, console: Console) -> Iterator[RenderableType]:
    yield fields(story["data"])


def _mended(story: Told, console: Console) -> Iterator[RenderableType]:
    for one in story.get("mended", ()):
        for when in ("before", "after"):
            yield piece(f"{one['field']} {when:<6}  ", "dim") + piece(clipped(readable(one[when])))


def _checks(story: Told, console: Console) -> Iterator[RenderableType]:
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    later = [row["name"] for row in story.get("checks", ()) if row["result"] == NOT_REACHED]
    for row in story.get("checks", ()):
        if row["result"] == NOT_REACHED:
            continue
        style = COLOURS.get(row["result"], "dim")
        kind = f" ({row['kind']})" if row["kind"] not in ("", row["name"]) else ""
        figures = {name: figure(value) for name, value in row["detail"].items()}
        said = row["reason"] or ""  # mostly with the figures in it
        detail = ", ".join(f"{name} {value}" for name, value in figures.items() if value not in said)
        words = row["reason"] or ("" if row["result"] == "passed" else row["result"])
        table.add_row(
            piece(SIGNS.get(row["result"], "·"), style),
            piece(f"{row['name']}{kind}", style if row["reason"] else ""),
            piece(words) + piece(f"  {detail}" if words and detail else detail, "dim"),
        )
    if table.row_count:
        yield table
    if later:
        yield piece(f"·  not reached: {', '.join(later)}", "dim")
    in_neighbours = {*KEEPS, "average_similarity"}
    for name, value in story.get("details", {}).items():
        if name in in_neighbours:
            continue
        yield piece(f"{name}: {figure(value)}", "dim")


def _neighbours(story: Told, console: Console) -> Iterator[RenderableType]:
    from rich.table import Table

    for one in story.get("neighbours", ()):
        common, coloured = one["common"], console.color_system is not None
        score = "" if one["score"] is None else f" {one['score']:.3f}"
        found = "" if one["kept"] else ", looked up now"
        yield piece(f"{one['measure']}{score} ({one['check']}{found}), ") + piece(
            f"{common['tokens']} tokens in common, of {common['of'][0]} and {common['of'][1]}", "dim"
        )
        fate = {"seed": "a seed task", None: "not found"}.get(one["fate"], one["fate"])
        names = [piece(story["id"], "dim"), piece(f"{one['id']}, {fate}", "dim")]
        texts = [
            marked(*pair, coloured, "bold green") for pair in zip(one["texts"], common["spans"], strict=True)
        ]
        table = Table.grid(padding=(0, 3, 0, 0), expand=True)
        if console.width >= WIDE:
            table.add_column(ratio=1)
            table.add_column(ratio=1)
            table.add_row(*names)
            table.add_row(*texts)
        else:
            for name, text in zip(names, texts, strict=True):
                table.add_row(name)
                table.add_row(text)
        yield table


def _labels(story: Told, console: Console) -> Iterator[RenderableType]:
    for one in story.get("labels", ()):
        values = ", ".join(f"{name}: {readable(value)}" for name, value in one["values"].items())
        whose = "" if one["parent"] == story["id"] else f", of {one['parent']}"
        yield name_of(one) + piece(f"  {values}") + piece(whose, "dim")
        if one["reason"]:
            yield piece(f"  {one['reason']}")
        if reply := one["reply"]:
            said = short(reply["choices"][0]["text"])
            yield piece(f"  {reply['model']}: ", "dim") + piece(said) + piece(f"  ({_paid(reply)})", "dim")


def _family(key: str) -> Callable[[Told, Console], Iterator[RenderableType]]:
    def those(story: Told, console: Console) -> Iterator[RenderableType]:
        for one in story.get(key, ()):
            yield name_of(one) + piece(f"  {short(one['text'])}")

    return those


def _siblings(story: Told, console: Console) -> Iterator[RenderableType]:
    for one in story.get("siblings", ()):
        named = f"  {', '.join(one['named'])}" if one["named"] else ""
        yield name_of(one) + piece(named, "bold") + piece(f"  {short(one['text'])}")


def _reviews(story: Told, console: Console) -> Iterator[RenderableType]:
    for reviewer, said in story.get("reviews", {}).items():
        yield piece(f"{reviewer}: {readable(said)}")


def _prompt(story: Told, console: Console) -> Iterator[RenderableType]:
    request = story.get("request")
    if not request:
        return
    variant = {"variant": request["variant"]} if request["variant"] else {}
    facts = {**variant, **request["lines"], **request["sampling"]}
    yield piece(", ".join(f"{name}: {short(readable(value), 60)}" for name, value in facts.items()), "dim")
    if request["system"]:
        yield piece("system message", "dim")
        yield piece(clipped(request["system"]))
    for one in request["before"]:
        yield piece(f"message of the {one['role']}", "dim")
        yield piece(clipped(one["text"]))
    if request["opens"]:
        yield piece(f"the chat template opens a message of the {request['opens']} here", "dim")
        return
    if request["system"] or request["before"]:
        yield piece("message", "dim")
    spans = sorted(one["span"] for one in request["examples"] if one["span"])
    yield marked(request["prompt"], spans, console.color_system is not None, "cyan")
    if request["start"]:
        yield piece("start of the answer", "dim")
        yield piece(clipped(request["start"]))


def _examples(story: Told, console: Console) -> Iterator[RenderableType]:
    for one in (story.get("request") or {}).get("examples", ()):
        yield piece(f"{one['id']} ({one['from']})", "cyan") + piece(f"  {short(one['text'])}")


def _reply(story: Told, console: Console) -> Iterator[RenderableType]:
    reply = story.get("reply")
    if not reply:
        return
    yield piece(f"{reply['model']}, {_paid(reply)}", "dim")
    if reply["error"]:
        yield piece(reply["error"], "red")
    for place, choice in enumerate(reply["choices"], 1):
        name = f"choice {place}, " if len(reply["choices"]) > 1 else ""
        yield piece(f"{name}finish reason {choice['finish_reason']}", "dim")
        if choice["thought"]:
            yield piece("thought", "dim")
            yield piece(clipped(choice["thought"]), "dim")
            yield piece("answer" if choice["text"] else "no answer", "dim")
        if choice["text"] or not choice["thought"]:
            yield piece(clipped(choice["text"]))


def _candidates(story: Told, console: Console) -> Iterator[RenderableType]:
    for place, one in enumerate(story.get("candidates", ()), 1):
        this = piece("  (this record)" if one["id"] == story["id"] else "", "bold")
        by = f" by {one['check']}" if one["check"] else ""
        fate = piece(f"{one['fate']}{by}", COLOURS.get(one["fate"], ""))
        reason = piece(short(f": {one['reason']}") if one["reason"] else "")
        yield piece(f"{place:>2}  ", "dim") + fate + reason + this
        yield piece(f"    {short(one['text']) or '(nothing could be read)'}")


def _cost(story: Told, console: Console) -> Iterator[RenderableType]:
    cost = story.get("cost") or {"replies": 0}
    if cost["replies"]:
        usd = "" if cost["usd"] is None else f"${cost['usd']:.6f}, "
        replies = "1 reply" if cost["replies"] == 1 else f"{cost['replies']} replies"
        amounts = f"{usd}{cost['tokens']:,.0f} tokens, {cost['seconds']:.1f} s"
        yield piece(f"{amounts}: its share of {replies}, with its parents and labels")


def _paid(reply: Told) -> str:
    cost = "" if reply["cost_usd"] is None else f", ${reply['cost_usd']:.6f}"
    time = "from the cache" if reply["cached"] else f"{reply['seconds']:.1f} s"
    again = f", {reply['attempts']} attempts" if reply["attempts"] > 1 else ""
    known = f" ({reply['cached_tokens']:,} cached)" if reply["cached_tokens"] else ""
    thought = f" ({reply['thinking_tokens']:,} of thinking)" if reply["thinking_tokens"] else ""
    said = f"{reply['completion_tokens']:,} tokens{thought}"
    return f"{reply['prompt_tokens']:,}{known} + {said}{cost}, {time}{again}"


SECTIONS: dict[str, Callable[[Told, Console], Iterable[RenderableType]]] = {
    "record": _record,
    "mended by a check": _mended,
    "checks": _checks,
    "nearest other text": _neighbours,
    "labels": _labels,
    "made from": _family("parents"),
    "made from it": _family("children"),
    "made from the same record": _siblings,
    "reviews": _reviews,
    "prompt": _prompt,
    "examples in the prompt": _examples,
    "reply": _reply,
    "read from the reply": _candidates,
    "cost": _cost,
}
