"""`selfinstruct new`: writes a recipe and a seed file with which a user starts a new domain.

The recipe has only the keys that differ from its base, and as comments the lines that people often change.
Editors find its keys in a copy of the JSON Schema beside it. A path into the package would differ on each
machine and a URL would need a network, but a copy can be committed with the recipe.
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
from selfinstruct.project.layout import headline, listing, no_path, packaged
from selfinstruct.project.resolving import resolved
from selfinstruct.recipe.compose import compose
from selfinstruct.recipe.overrides import readable
from selfinstruct.schema.validation import compile_schema
from selfinstruct.sources.pool import SEED_STAGE
from selfinstruct.stages import STAGES, StageKind
from selfinstruct.where import Where

BASE = "chat"
SCHEMA = "conf/recipe.schema.json"
COPY = ".recipe.schema.json"
EXAMPLES = "seeds/examples/{}.jsonl"  # by language; English is used for languages without such a file
TOPICS = {  # the variables of a prompt that name the topic of its tasks, with an English text for each
    "scope": "about {}",
    "header": "Here is a varied list of tasks about {}:",
    "topic": "{}",
}
HELP = f"""\
selfinstruct new NAME [--from RECIPE]

  Writes recipes/NAME.yaml with the keys that differ from RECIPE (default: {BASE}), and seeds/NAME.jsonl with
  a few example tasks for you to replace. Then it prints the next commands. It never overwrites a file. The
  files that it writes pass `selfinstruct check` at once.

  selfinstruct new garden                     tasks about a garden, for a chat model
  selfinstruct new garden --from quickstart   for the embedded model: no key, no GPU

  NAME     letters, digits, _ and -
  --from   any recipe, shipped or your own: selfinstruct --help lists them
"""


@dataclass(frozen=True)
class Base:
    """The recipe that a new one starts from.

    Attributes:
        name: its name.
        keys: its composed keys.
        tasks: example tasks in the form that it needs, one for each line of a seed file.
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
        """The stage that asks for more tasks like the seeds."""
        return next((name for name, kind in self._kinds() if kind.shows_seeds), None)

    @property
    def loads(self) -> str | None:
        """The stage that begins with other material than seeds, such as documents."""
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
    """The result of `create`.

    Attributes:
        written: the files written, with a short text about each.
        keys: the environment variables that must be set before the recipe can run.
        faults: all other faults that `check` finds.
        notes: further lines for the user.
    """

    name: str
    written: dict[str, str]
    keys: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def create(name: str, base_name: str, project: Path) -> Made:
    """Write a recipe and its seeds.

    Args:
        name: the name of the new recipe.
        base_name: the recipe it starts from.
        project: the user's folder.

    Raises:
        UserError: if the name cannot be used, a file exists already, or the folder cannot be written.
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
    written = {str(recipe): f"the keys that differ from {base_name}; others to change, as comments"}
    if base.draws:
        written[str(seeds)] = f"{len(base.tasks)} example tasks; replace them with yours"
    try:
        for path in written:
            _folder((project / path).parent)
        if base.draws:
            _write(project / seeds, rows)
        _write(project / recipe, "\n".join(lines(name, base, first)) + "\n")
        if not in_checkout:
            notes = _copy_schema(project / "recipes" / COPY)
    except FileExistsError as error:
        raise UserError(f"{error.filename}: exists already, and nothing is overwritten") from error
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be written: {error.strerror}") from error
    return Made(name, written, *_checked(name, project), notes)


def summary_of(made: Made) -> str:
    """The text that the command prints: the files written, and the next three commands."""
    name, wide = made.name, max(map(len, made.written))
    out = [f"wrote {path:<{wide}}  {word}" for path, word in made.written.items()]
    out += ["", "next, with these examples or your own:"]
    steps = {
        f"selfinstruct check recipe={name}": "what would it do? nothing is sent",
        f"selfinstruct recipe={name} target=5": "a first look",
        f"selfinstruct recipe={name}": "the whole run; it goes on from there",
    }
    long = max(map(len, steps))
    out += [f"  {step:<{long}}  {word}" for step, word in steps.items()]
    if made.keys:
        keys = " ".join(f"{key}=…" for key in made.keys)
        out += ["", f"To run it (not to check it), its model needs a key: export {keys}"]
    if made.faults:
        out += ["", "check still finds faults for you to fix:", *(f"  {fault}" for fault in made.faults)]
    return "\n".join([*out, *made.notes])


def load(name: str, project: Path) -> Base:
    """The recipe to start from, with the example tasks in its language."""
    composed = compose([f"recipe={name}"], project)
    built = composed.recipe()  # raises if it has a fault
    keys = resolved(composed.config)
    seeds = keys["seeds"]
    language = re.split("[-_]", str(seeds.get("language", "en")))[0].lower()
    path = packaged() / EXAMPLES.format(language)
    path = path if path.is_file() else packaged() / EXAMPLES.format("en")
    tasks = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    where = Where.of(seeds.get("where"))
    taken = sum(map(where.fits, tasks))
    if not taken:  # the examples lack the fields that `seeds.where` asks for
        tasks, taken = [{**task, **where.example()} for task in tasks], len(tasks)
    each = seeds.get("instances_key")
    shaped = [_shaped(task, each) for task in tasks]
    valid = compile_schema(keys["schema"].get(SEED_STAGE, {}), "", [])
    if valid and any(map(valid, shaped)):  # it needs fields of its own, which its own seeds have
        shaped = [{"id": seed.id, **seed.data} for seed in built.seeds.tasks[: len(shaped)]]
        taken = len(shaped)
    return Base(name, keys, shaped, taken)


def lines(name: str, base: Base, schema: str) -> Iterator[str]:
    """The recipe, line by line. A `#` right before a key is a suggestion; before a space, a comment."""
    topic = re.sub("[_-]+", " ", name)
    yield f"# yaml-language-server: $schema={schema}"
    yield f"# Tasks about {topic}."
    yield "# (Describe it in the line above: `selfinstruct --help` shows that line.)"
    yield "#"
    yield f"#   selfinstruct check recipe={name}"
    yield f"#   selfinstruct recipe={name}"
    yield f"# It has only what differs from {base.name}; all keys: selfinstruct recipe={name} --cfg job"
    yield "# To use a suggestion (a # right before a key or a -), remove the # there and above it."
    yield "defaults:"
    yield f"  - {base.name}"
    yield "  #- override /model: openai   # the model: a file of conf/model; see selfinstruct --help"
    yield "  - _self_"
    yield ""
    yield from _source(base, name)
    yield ""
    yield from _prompts(base, topic)
    yield ""
    yield "target: 100   # how many records to accept; with a larger number, the run goes on"
    yield ""
    if base.draws:
        yield from _mix(base)
    yield from _suggestions(base)


def _source(base: Base, name: str) -> Iterator[str]:
    """The lines for its material: the seeds, or the files that a stage loads."""
    if base.loads and not base.draws:
        yield "pipeline:"
        yield f"  {base.loads}:"
        path = base.keys["pipeline"][base.loads].get("path")
        yield f"    path: {_quoted(path)}   # a folder, a file, or a pattern such as notes/**/*.md"
        return
    yield "seeds:"
    yield f"  path: seeds/{name}.jsonl   # one task a line; replace the examples, and add as many as you can"
    yield f"  language: {base.language}   # a BCP 47 tag: decides how texts are split into words"
    columns = base.keys["seeds"].get("columns") or {}
    own = ", ".join(f"{field}: null" for field, column in columns.items() if isinstance(column, str))
    if own:
        yield f"  columns: {{{own}}}   # {base.name} names columns of its own file; the examples lack them"


def _prompts(base: Base, topic: str) -> Iterator[str]:
    """The lines for each stage's prompt: the variables that name its topic, and its rules."""
    lines = list(_of_stages(base, topic))
    return iter(lines if len(lines) > 1 else [])  # a title without a line would be a key without a value


def _of_stages(base: Base, topic: str) -> Iterator[str]:
    parts = {stage: part.get("variables") or {} for stage, part in base.keys["prompts"].items()}
    mine = [key for key in parts.get(base.draws or "", {}) if key in TOPICS]
    template = base.keys["prompts"].get(base.draws or "", {}).get("template")
    if not mine and template:
        yield "# Its prompts have no variable for the topic; the seeds show it. Or write your own template:"
    elif not mine and base.draws:
        yield "# Its prompts have no variable for the topic; a system message can name it:"
    off = "" if mine else "#"
    yield f"{off}prompts:"
    if not mine and template:
        yield f"  #{base.draws}: {{template: {_quoted(template)}}}"
    elif not mine and base.draws:
        said = _quoted(f"You answer questions about {topic}.")
        yield f"  #{base.draws}: {{messages: [{{role: system, content: {said}}}]}}"
    for stage, variables in parts.items():
        rules = [key for key, value in variables.items() if key.endswith("rules") and isinstance(value, dict)]
        active = "" if stage == base.draws and mine else "#"
        if active and (not rules or stage == base.draws):  # which has a suggestion already
            continue
        yield f"  {active}{stage}:"
        yield f"    {active}variables:"
        for key in mine if not active else ():
            yield f"      {key}: {_topic(base, key, variables[key], topic)}   # the topic of the tasks"
        for key in rules:
            yield f'      #{key}: {{mine: "A rule of your own."}}   # NAME: null removes a rule'


def _mix(base: Base) -> Iterator[str]:
    mix = base.keys["mix"]
    examples, machine = mix["examples"], mix["generated"]
    if examples > base.taken:
        yield f"# {base.name} shows {examples} examples; with more seeds, this recipe can too."
        yield f"mix: {{examples: {base.taken}, generated: {min(machine, base.taken)}}}"
    else:
        yield f"#mix: {{examples: {examples}, generated: {machine}}}   # generated: how many a model wrote"


def _suggestions(base: Base) -> Iterator[str]:
    """The keys that people often change, with their values in the base."""
    model = base.keys["model"]
    *_, last = (stage for stage in base.keys["pipeline"] if stage in base.keys["prompts"])  # asks a model
    name = _quoted(model["name"])
    yield f"#model: {{name: {name}, concurrency: {model['concurrency']}}}   # its name for LiteLLM"
    if base.draws and last != base.draws:
        yield f"#pipeline: {{{last}: {{model: anthropic}}}}   # another model for {last}"
    yield "#budget: {requests: 1000}   # or usd, or tokens: stop when that much is spent"
    checks = base.keys.get("filters", {}).get(base.draws, {})
    known = {
        "word_count": "{minimum: 5}   # shorter texts are rejected",
        "banned_words": "{words: {map: false}}   # false allows a word; true bans one",
        "rouge_l": "{threshold: 0.6}   # lower: accepted texts differ more",
        "first_character_ascii": "null   # null removes a check",
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
    """A text quoted for YAML, with `${` escaped for OmegaConf."""
    return json.dumps(str(text).replace("${", "\\${"), ensure_ascii=False)


def _shaped(task: dict[str, Any], each: str | None) -> dict[str, Any]:
    """An example task in the recipe's form: its instances under `each`, or the fields of the first one."""
    rest = {key: value for key, value in task.items() if key != "instances"}
    return {**rest, each: task["instances"]} if each else {**rest, **task["instances"][0]}


def _check_name(name: str, project: Path, paths: Sequence[Path]) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name):
        raise UserError(f"{name!r} cannot name a recipe: use letters, digits, _ and -")
    if wrong := no_path(f"{name}.jsonl"):
        raise UserError(f"{name[:40]!r} {wrong}; give the recipe a shorter name")
    if not readable(name):
        raise UserError(f"{name!r} cannot name a recipe: on the command line it is not read as a word")
    if (packaged() / f"recipes/{name}.yaml").is_file():
        about = headline(packaged() / f"recipes/{name}.yaml")
        raise UserError(f"a shipped recipe has the name {name!r} ({about})\n  give yours another name")
    for path in paths:
        if os.path.lexists(project / path):
            raise UserError(f"{path}: exists already, and nothing is overwritten\n  use another name")


def _folder(path: Path) -> None:
    """Make a folder if it does not exist."""
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "it is not a folder", str(path))
    path.mkdir(parents=True, exist_ok=True)


def _write(path: Path, text: str) -> None:
    """Write a new file; fail if it exists."""
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _copy_schema(path: Path) -> list[str]:
    """Write the JSON Schema beside the recipe, unless there is one; return a note if that one differs."""
    ours = packaged() / SCHEMA
    if not path.exists():
        path.write_bytes(ours.read_bytes())
    elif path.read_bytes() != ours.read_bytes():
        return ["", f"recipes/{path.name} is from another version; if you delete it, `new` writes a new one"]
    return []


def _checked(name: str, project: Path) -> tuple[list[str], list[str]]:
    """The model keys that are not set, and the other faults that `check` finds in the new recipe."""
    try:
        wanting = compose([f"recipe={name}"], project).recipe().wanting
    except RecipeError as error:
        return [], [str(fault) for fault in error.faults]
    return [found[1] for fault in wanting if (found := re.search(r"variable (\w+) is", fault.what))], []
