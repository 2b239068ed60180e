"""`selfinstruct new`: a recipe and a seed file to start a domain of one's own from.

The recipe says only what differs from another one, with the lines that people change as comments. Editors
find its keys in a copy of the JSON Schema beside it: a path into the package would be another one on each
machine, an address would need a network, and a copy can be committed with the recipe.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault, RecipeError, UserError, unknown
from selfinstruct.project.jsonl import json_line
from selfinstruct.project.layout import headline, listing, no_path, packaged, resolved
from selfinstruct.recipe.compose import compose
from selfinstruct.recipe.overrides import readable
from selfinstruct.stages import STAGES, StageKind

BASE = "chat"
SCHEMA = "conf/recipe.schema.json"
COPY = ".recipe.schema.json"
EXAMPLES = "seeds/examples/{}.jsonl"  # by language; English stands in for those that have none
TOPICS = {  # the variables of a prompt that say what its tasks are about, with English words for it
    "scope": "about {}",
    "header": "Here is a varied list of tasks about {}:",
    "topic": "{}",
}
HELP = f"""\
selfinstruct new NAME [--from RECIPE]

  Writes recipes/NAME.yaml, which says what differs from RECIPE ({BASE} unless given), and seeds/NAME.jsonl
  with a few example tasks to replace, and prints the commands that follow. Nothing is ever overwritten. What
  it wrote passes `selfinstruct check` at once.

  selfinstruct new garden                     tasks about a garden, for a chat model
  selfinstruct new garden --from quickstart   for the embedded model: no key, no GPU

  NAME     letters, digits, _ and -
  --from   any recipe, ours or one of your own: selfinstruct --help lists them
"""


@dataclass(frozen=True)
class Base:
    """The recipe that a new one starts from.

    Attributes:
        name: its name.
        keys: its composed keys.
        tasks: the example tasks that it takes, as lines of a seed file.
        taken: how many of them a prompt may show.
    """

    name: str
    keys: dict[str, Any]
    tasks: list[dict[str, Any]]
    taken: int

    @property
    def language(self) -> str:
        """The language of its seeds."""
        return str(self.keys["seeds"].get("language", "en"))

    @property
    def draws(self) -> str | None:
        """The stage that asks for more of what the seeds are."""
        return next((name for name, kind in self._kinds() if kind.shows_seeds), None)

    @property
    def loads(self) -> str | None:
        """The stage that begins with something else than seeds, such as documents."""
        return next((name for name, kind in self._kinds() if kind.reads_files), None)

    def _kinds(self) -> Iterator[tuple[str, StageKind]]:
        for name, part in self.keys["pipeline"].items():
            found: list[Fault] = []
            options = {key: value for key, value in part.items() if key not in ("kind", "model")}
            kind = STAGES.build(part.get("kind", ""), options, "", found)
            if kind:
                yield str(name), kind


@dataclass(frozen=True)
class Made:
    """What `create` wrote.

    Attributes:
        written: the files with a word on each.
        keys: the environment variables that have to be set before the recipe can be used.
        faults: what else `check` finds.
        notes: what else there is to say.
    """

    name: str
    written: dict[str, str]
    keys: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def create(name: str, base_name: str, project: Path) -> Made:
    """Write a recipe and its seeds.

    Args:
        name: of the new recipe.
        base_name: the recipe it starts from.
        project: the user's folder.

    Raises:
        UserError: for a name that cannot be used, a file that is there, or a folder that cannot be written.
    """
    recipe, seeds = Path(f"recipes/{name}.yaml"), Path(f"seeds/{name}.jsonl")
    _check_name(name, project, (recipe, seeds))
    if base_name not in listing("recipes", project):
        what, known = unknown("recipe", base_name, listing("recipes", project))
        raise UserError(f"--from: {what}\n  {known}")
    base = load(base_name, project)
    rows = "".join(map(json_line, base.tasks))
    in_checkout = (project / SCHEMA).is_file()
    first = f"../{SCHEMA}" if in_checkout else COPY
    notes: list[str] = []
    written = {str(recipe): f"what differs from {base_name}, and lines to change as comments"}
    if base.draws:
        written[str(seeds)] = f"{len(base.tasks)} example tasks, to be replaced by yours"
    try:
        for path in written:
            _folder((project / path).parent)
        if base.draws:
            _write(project / seeds, rows)
        _write(project / recipe, "\n".join(lines(name, base, first)) + "\n")
        if not in_checkout:
            notes = _copy_schema(project / "recipes" / COPY)
    except FileExistsError as error:
        raise UserError(f"{error.filename}: is there already, and nothing is overwritten") from error
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be written: {error.strerror}") from error
    return Made(name, written, *_checked(name, project), notes)


def told(made: Made) -> str:
    """What the command prints: what was written, and the three commands that follow."""
    name, wide = made.name, max(map(len, made.written))
    out = [f"wrote {path:<{wide}}  {word}" for path, word in made.written.items()]
    out += ["", "next, with the examples or with yours:"]
    steps = {
        f"selfinstruct check recipe={name}": "what would it do? nothing is sent",
        f"selfinstruct recipe={name} target=5": "a first look",
        f"selfinstruct recipe={name}": "all of it; goes on from there",
    }
    long = max(map(len, steps))
    out += [f"  {step:<{long}}  {word}" for step, word in steps.items()]
    if made.keys:
        keys = " ".join(f"{key}=…" for key in made.keys)
        out += ["", f"Its model needs a key to run, though not to be checked: export {keys}"]
    if made.faults:
        out += ["", "check finds what is left for you to mend:", *(f"  {fault}" for fault in made.faults)]
    return "\n".join([*out, *made.notes])


def load(name: str, project: Path) -> Base:
    """The recipe to start from, with the example tasks in its language."""
    composed = compose([f"recipe={name}"], project)
    composed.recipe()  # which raises, if it has a fault
    keys = resolved(composed.config)
    seeds = keys["seeds"]
    language = re.split("[-_]", str(seeds.get("language", "en")))[0].lower()
    path = packaged() / EXAMPLES.format(language)
    path = path if path.is_file() else packaged() / EXAMPLES.format("en")
    tasks = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    where = seeds.get("where") or {}
    taken = sum(all(task.get(key) == value for key, value in where.items()) for task in tasks)
    if not taken:  # fields that the examples do not have
        tasks, taken = [{**task, **where} for task in tasks], len(tasks)
    each = seeds.get("each")
    return Base(name, keys, [_shaped(task, each) for task in tasks], taken)


def lines(name: str, base: Base, schema: str) -> Iterator[str]:
    """The recipe, line by line. A `#` right before a key is a suggestion; one before a space is prose."""
    topic = re.sub("[_-]+", " ", name)
    yield f"# yaml-language-server: $schema={schema}"
    yield f"# Tasks about {topic}."
    yield "# (Say above what it is, in one line: `selfinstruct --help` shows it.)"
    yield "#"
    yield f"#   selfinstruct check recipe={name}"
    yield f"#   selfinstruct recipe={name}"
    yield f"# It says only what differs from {base.name}; all keys: selfinstruct recipe={name} --cfg job"
    yield "# A # right before a key or a - is a suggestion: take it away, there and above it."
    yield "defaults:"
    yield f"  - {base.name}"
    yield "  #- override /model: openai   # who answers: a file of conf/model; see selfinstruct --help"
    yield "  - _self_"
    yield ""
    yield from _source(base, name)
    yield ""
    yield from _prompts(base, topic)
    yield ""
    yield "target: 100   # records to accept; a larger one goes on with the run"
    yield ""
    if base.draws:
        yield from _mix(base)
    yield from _suggestions(base)


def _source(base: Base, name: str) -> Iterator[str]:
    """What it begins with: the seeds, or what a stage loads."""
    if base.loads and not base.draws:
        yield "pipeline:"
        yield f"  {base.loads}:"
        path = base.keys["pipeline"][base.loads].get("path")
        yield f"    path: {_quoted(path)}   # yours: a folder, a file, or a pattern such as notes/**/*.md"
        return
    yield "seeds:"
    yield f"  path: seeds/{name}.jsonl   # a task a line; replace the examples, and add as many as you can"
    yield f"  language: {base.language}   # as a BCP 47 tag: picks what a word is, when texts are compared"
    columns = base.keys["seeds"].get("columns") or {}
    own = ", ".join(f"{field}: null" for field, column in columns.items() if isinstance(column, str))
    if own:
        yield f"  columns: {{{own}}}   # {base.name} names columns of its own file; the examples have none"


def _prompts(base: Base, topic: str) -> Iterator[str]:
    """The variables of each stage's prompt that say what it is about, and the rules it goes by."""
    parts = {stage: part.get("variables") or {} for stage, part in base.keys["prompts"].items()}
    mine = [key for key in parts.get(base.draws or "", {}) if key in TOPICS]
    if not mine and base.draws:
        yield "# No variable of its prompts says what the tasks are about; the seeds do. Or write a template:"
    off = "" if mine else "#"
    yield f"{off}prompts:"
    if not mine and base.draws:
        yield f"  #{base.draws}: {{template: {_quoted(base.keys['prompts'][base.draws]['template'])}}}"
    for stage, variables in parts.items():
        rules = [key for key, value in variables.items() if key.endswith("rules") and isinstance(value, dict)]
        active = "" if stage == base.draws and mine else "#"
        if not rules and active:
            continue
        yield f"  {active}{stage}:"
        yield f"    {active}variables:"
        for key in mine if not active else ():
            yield f"      {key}: {_topic(base, key, variables[key], topic)}   # what they are about"
        for key in rules:
            yield f'      #{key}: {{mine: "A rule of your own."}}   # null takes one of theirs away'


def _mix(base: Base) -> Iterator[str]:
    mix = base.keys["mix"]
    examples, machine = mix["examples"], mix["machine"]
    if examples > base.taken:
        yield f"# {base.name} shows {examples} examples; with more seeds, so can this."
        yield f"mix: {{examples: {base.taken}, machine: {min(machine, base.taken)}}}"
    else:
        yield f"#mix: {{examples: {examples}, machine: {machine}}}   # in a prompt; of these, machine-made"


def _suggestions(base: Base) -> Iterator[str]:
    """The keys that people change, as they are in the base."""
    model, last = base.keys["model"], list(base.keys["pipeline"])[-1]
    name = _quoted(model["name"])
    yield f"#model: {{name: {name}, concurrency: {model['concurrency']}}}   # its name for LiteLLM"
    if base.draws and last != base.draws:
        yield f"#pipeline: {{{last}: {{model: anthropic}}}}   # {last} by another model than the rest"
    yield "#budget: {requests: 1000}   # or usd, or tokens: stop when so much was spent"
    checks = base.keys.get("filters", {}).get(base.draws, {})
    known = {
        "word_count": "{minimum: 5}   # shorter ones are rejected",
        "banned_words": "{words: {map: false}}   # lets a word through; true bans one more",
        "rouge_l": "{threshold: 0.6}   # lower: what is accepted differs more",
        "first_character_ascii": "null   # null leaves a check out",
    }
    if any(checks.get(name) for name in known):
        yield "#filters:"
        yield f"  #{base.draws}:"
    for name, words in known.items():
        if checks.get(name):
            yield f"    #{name}: {words}"


def _topic(base: Base, key: str, value: str, topic: str) -> str:
    english = base.language.lower().startswith("en")
    return _quoted(TOPICS[key].format(topic) if english else value)


def _quoted(text: str) -> str:
    """A text as YAML takes it, and OmegaConf, to which ${ means something."""
    return json.dumps(str(text).replace("${", "\\${"), ensure_ascii=False)


def _shaped(task: dict[str, Any], each: str | None) -> dict[str, Any]:
    """An example task with its instances where the recipe has them, or with its first one's fields."""
    rest = {key: value for key, value in task.items() if key != "instances"}
    return {**rest, each: task["instances"]} if each else {**rest, **task["instances"][0]}


def _check_name(name: str, project: Path, paths: Sequence[Path]) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name):
        raise UserError(f"{name!r} is no name for a recipe: use letters, digits, _ and -")
    if wrong := no_path(f"{name}.jsonl"):
        raise UserError(f"{name[:40]!r} {wrong}; give the recipe a shorter name")
    if not readable(name):
        raise UserError(f"{name!r} is no name for a recipe: on the command line it is no word")
    if (packaged() / f"recipes/{name}.yaml").is_file():
        about = headline(packaged() / f"recipes/{name}.yaml")
        raise UserError(f"there is a recipe {name!r} of ours ({about})\n  give yours another name")
    for path in paths:
        if os.path.lexists(project / path):
            raise UserError(f"{path}: is there already, and nothing is overwritten\n  take another name")


def _folder(path: Path) -> None:
    """Make a folder where there is none."""
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "it is no folder", str(path))
    path.mkdir(parents=True, exist_ok=True)


def _write(path: Path, text: str) -> None:
    """Write a file that is not there yet."""
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _copy_schema(path: Path) -> list[str]:
    """Put the JSON Schema beside the recipe; one that is there stays."""
    ours = packaged() / SCHEMA
    if not path.exists():
        path.write_bytes(ours.read_bytes())
    elif path.read_bytes() != ours.read_bytes():
        return ["", f"recipes/{path.name} is another version's; delete it, and `new` writes this one's"]
    return []


def _checked(name: str, project: Path) -> tuple[list[str], list[str]]:
    """The keys that are not set, and the other faults that `check` finds in what was written."""
    try:
        wanting = compose([f"recipe={name}"], project).recipe().wanting
    except RecipeError as error:
        return [], [str(fault) for fault in error.faults]
    return [found[1] for fault in wanting if (found := re.search(r"variable (\w+) is", fault.what))], []
