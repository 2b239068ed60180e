"""The notes of `check` about the seed tasks: they are not faults, but a person would want to know.

Each lint is a function from a `SeedSheet` to sentences, listed in `LINTS`; to add one, write it and list it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from selfinstruct.project.layout import listing
from selfinstruct.recipe.build import Recipe
from selfinstruct.records import Record
from selfinstruct.stages import Stage
from selfinstruct.text.novelty import RougeLIndex
from selfinstruct.text.tokenizers import comparing, tokenizer

OUTPUT, LABEL = "output", "is_classification"
EXAMPLE = "replace_me_"  # the ids of the example tasks that `new` writes begin with this
TOO_SIMILAR = 0.7  # ROUGE-L; above it a candidate would be rejected (arXiv 2212.10560, section 2.2)
FEW = 1_000  # with fewer tasks, comparing all pairs is quicker than the index
SHOWN = 5  # places named in one note
MANY = 0.2  # the share of seeds that a check must reject for a note; a few may be intended

# Each script by the characters that only it has, with the language assumed for a file mostly in it.
_SCRIPTS = {
    "ja": "[\u3041-\u30ff]",
    "ko": "[\uac00-\ud7af]",
    "zh": "[\u4e00-\u9fff]",
    "th": "[\u0e00-\u0e7f]",
    "ar": "[\u0600-\u06ff]",
    "he": "[\u0590-\u05ff]",
    "hi": "[\u0900-\u097f]",
    "el": "[\u0370-\u03ff]",
    "ru": "[\u0400-\u04ff]",
}
_KIN = {"ja": ("ja",), "zh": ("zh", "yue", "ja"), "ar": ("ar", "fa", "ur", "ps"), "hi": ("hi", "mr", "ne")}
_KIN |= {"he": ("he", "yi"), "ru": ("ru", "uk", "bg", "sr", "mk", "be", "kk", "mn", "ky", "tg")}


@dataclass(frozen=True)
class SeedSheet:
    """The seed tasks as a stage that draws from them gets them.

    Attributes:
        recipe: the recipe they belong to.
        stage: the stage.
        field: the field that holds a task's text.
        tasks: the tasks that have this field.
    """

    recipe: Recipe
    stage: Stage
    field: str
    tasks: list[Record]

    @property
    def name(self) -> str:
        """The file or the run, as the recipe names it."""
        return self.recipe.config.seeds.source

    @property
    def unit(self) -> str:
        """The word for a row of the file."""
        return self.recipe.seeds.unit

    def text(self, task: Record) -> str:
        """The text of a task."""
        return str(task.data[self.field])


def notes(recipe: Recipe) -> list[str]:
    """Notes about the seeds of a recipe, as sentences with line numbers."""
    found: dict[str, None] = {}  # two stages may draw from the same seeds
    for stage in recipe.stages:
        if not stage.shows_seeds:
            continue
        field = stage.prompts[0].parse.fields[0]
        tasks = [task for task in recipe.seeds.tasks if field in task.data]
        if tasks:
            sheet = SeedSheet(recipe, stage, field, tasks)
            found |= dict.fromkeys(note for lint in LINTS for note in lint(sheet))
    return [*found, *overlapping(recipe)]


def overlapping(recipe: Recipe) -> Iterator[str]:
    """Tasks that a filter with files of its own would reject, such as those from an evaluation file."""
    checks = [check for stage in recipe.stages for _, check in stage.judge.checks if check.loaded]
    seeds, found = recipe.seeds, dict[int, str]()
    for each in [check.each for check in checks if check.each]:
        for row in [*seeds.tasks, *seeds.rows]:
            rejection = each(row)
            if rejection:
                found.setdefault(row.request, f"{seeds.unit} {row.request} ({rejection.reason})")
    if found:
        count = f"{len(found)} tasks overlap" if len(found) > 1 else "1 task overlaps"
        yield (
            f"{recipe.config.seeds.source}: {count} with an evaluation file: {_some(list(found.values()))}. "
            "Seeds are never filtered, so prompts show them; leave them out of the seeds"
        )


def examples(sheet: SeedSheet) -> Iterator[str]:
    """Tasks that `new` wrote as examples to replace."""
    left = [task for task in sheet.tasks if task.id.startswith(EXAMPLE)]
    if left:
        words = "still the example that `selfinstruct new` wrote"
        yield f"{sheet.name}: {_tasks(left)} {words}: {_lines(sheet, left)}"


def duplicates(sheet: SeedSheet) -> Iterator[str]:
    """Tasks that are equal to an earlier one, or nearly."""
    written_in = script(map(sheet.text, sheet.tasks)) or sheet.recipe.config.seeds.language
    name = comparing(written_in)  # the rouge tokenizer ignores kana
    index = RougeLIndex(TOO_SIMILAR, name) if _resembling(map(sheet.text, sheet.tasks), name) else None
    first: dict[str, Record] = {}
    same, near, unit = [], [], sheet.unit
    for task in sheet.tasks:
        text = sheet.text(task)
        earlier = first.setdefault(_plain(text), task)
        match = index.nearest(text) if index is not None and earlier is task else None
        if earlier is not task:
            same.append(f"{unit} {task.request} of {unit} {earlier.request}")
        elif match:
            near.append(f"{unit} {task.request} of {unit} {match.id} ({match.score:.2f})")
        if index is not None:
            index.add(text, str(task.request))
    if same:
        yield f"{sheet.name}: repeated tasks: {_some(same)}"
    if near:
        yield f"{sheet.name}: nearly repeated tasks, ROUGE-L above {TOO_SIMILAR}: {_some(near)}"


def _resembling(texts: Iterable[str], name: str) -> bool:
    """Whether any two share so many tokens that they could be too similar.

    This is an upper bound of what the index finds, and mostly the answer is no: importing the index imports
    NumPy, which takes longer than all of `check` may.
    """
    tokens = tokenizer(name)
    seen: list[tuple[set[str], int]] = []
    for text in texts:
        if len(seen) >= FEW:
            return True
        words = tokens(text)
        own, count = set(words), len(words)
        for other, size in seen:
            shared = len(own & other) + min(count - len(own), size - len(other))
            if 2 * shared > TOO_SIMILAR * (count + size):
                return True
        seen.append((own, count))
    return False


def empty_outputs(sheet: SeedSheet) -> Iterator[str]:
    """Instances without an output, which an export would teach to a model."""
    rows = [row for row in sheet.recipe.seeds.rows if not str(row.data.get(OUTPUT, "full")).strip()]
    if rows:
        yield f"{sheet.name}: {len(rows)} empty {_s('output', rows)}: {_lines(sheet, rows)}"


def balance(sheet: SeedSheet) -> Iterator[str]:
    """The share of classification tasks, if the recipe distinguishes them and does not select them."""
    recipe = sheet.recipe
    labelled = any(LABEL in stage.own for stage in recipe.stages if stage.labels)
    kinds = [bool(task.data[LABEL]) for task in sheet.tasks if LABEL in task.data]
    if not labelled or not kinds or LABEL in recipe.config.seeds.where:
        return
    if not any(kinds):
        yield (
            f"{sheet.name}: no task is a classification task ({LABEL}), so few new ones will be; "
            "about one in six is usual"
        )
    elif sum(kinds) * 2 > len(kinds):
        yield (
            f"{sheet.name}: {sum(kinds)} of {len(kinds)} tasks are classification tasks, so most "
            "new ones will be too; about one in six is usual"
        )


def label_words(sheet: SeedSheet) -> Iterator[str]:
    """Labels that differ only in case or spaces, unless their tasks ask for exactly these spellings."""
    spellings: dict[str, dict[str, Record]] = defaultdict(dict)
    asked: set[str] = set()
    for row in sheet.recipe.seeds.rows:
        said = row.data.get(OUTPUT)
        if row.data.get(LABEL) is True and isinstance(said, str) and said.strip():
            spellings[_plain(said)].setdefault(said, row)
            if said in str(row.data.get(sheet.field, "")):
                asked.add(said)
    for one in spellings.values():
        if len(one) > 1 and not set(one) <= asked:
            words = ", ".join(f"{said!r} ({sheet.unit} {row.request})" for said, row in one.items())
            yield f"{sheet.name}: labels that differ only in case or spaces: {words}"


def language(sheet: SeedSheet) -> Iterator[str]:
    """Seeds in the script of another language than the recipe's."""
    said = sheet.recipe.config.seeds.language
    found = script(map(sheet.text, sheet.tasks))
    other = [task for task in sheet.tasks if _apart(sheet.text(task), found)]
    ours = re.split("[-_]", said)[0].lower()
    if found and ours not in _KIN.get(found, (found,)):
        remedy = f"seeds.language={found}"
        yield f"{sheet.name}: its tasks look like {found}, but seeds.language is {said}: {remedy}"
    elif not found and ours in _SCRIPTS:
        yield f"{sheet.name}: its tasks are in Latin letters, but seeds.language is {said}"
    if other:
        yield f"{sheet.name}: {_tasks(other)} in another script than the rest: {_lines(sheet, other)}"


def own_filters(sheet: SeedSheet) -> Iterator[str]:
    """Checks of the stage that many seeds would not pass, so few tasks made like them would."""
    rejected: dict[str, int] = {}
    for name, check in sheet.stage.judge.checks:
        if not check.each or check.learn or check.loaded or not check.fields:
            continue
        seen = [task for task in sheet.tasks if all(field in task.data for field in check.fields)]
        count = sum(check.each(task) is not None for task in seen)
        if count >= max(2, MANY * len(sheet.tasks)):
            rejected[name] = count
    if rejected:
        total, where = len(sheet.tasks), f"filters.{sheet.stage.name}"
        failing = ", ".join(f"{count} of {total} tasks {where}.{name}" for name, count in rejected.items())
        yield (
            f"{sheet.name}: would not pass: {failing}. Seeds are never filtered, but tasks like them are; "
            + _remedy(sheet)
        )


def script(texts: Iterable[str]) -> str | None:
    """The language of a text's script; None for Latin letters, or if no script prevails."""
    text = "".join(texts)
    counts = {name: len(re.findall(pattern, text)) for name, pattern in _SCRIPTS.items()}
    if counts["ja"] * 10 > counts["zh"]:  # Japanese mixes Chinese characters with kana
        counts["ja"], counts["zh"] = counts["ja"] + counts["zh"], 0
    name = max(counts, key=lambda key: counts[key])
    return name if counts[name] * 2 > sum(map(str.isalpha, text)) else None


def _apart(text: str, found: str | None) -> bool:
    """Whether a text has no letter of its file's script."""
    own = script([text])
    return own != found if found is None else own != found and not re.search(_SCRIPTS[found], text)


def _remedy(sheet: SeedSheet) -> str:
    """A remedy: the filters for the language of the seeds, if there are any and it is not English."""
    said = sheet.recipe.config.seeds.language
    found = script(map(sheet.text, sheet.tasks)) or re.split("[-_]", said)[0].lower()
    if found == "en":
        return "loosen the check, or make sure that the seeds suit the recipe"
    files = [name for name in listing("conf/filters", sheet.recipe.project) if name.endswith(f"_{found}")]
    return " ".join(
        ["are seeds and filters of the same language?", " or ".join(f"filters={n}" for n in files)]
    )


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _some(parts: Sequence[str]) -> str:
    rest = len(parts) - SHOWN
    return ", ".join(parts[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _lines(sheet: SeedSheet, records: Sequence[Record]) -> str:
    """The numbers of the records' lines, items or rows."""
    numbers = [str(number) for number in dict.fromkeys(record.request for record in records)]
    return f"{_s(sheet.unit, numbers)} {_some(numbers)}"


def _tasks(tasks: Sequence[Record]) -> str:
    return f"{len(tasks)} tasks are" if len(tasks) > 1 else "1 task is"


def _s(word: str, items: Sequence[object]) -> str:
    return word if len(items) == 1 else f"{word}s"


LINTS: tuple[Callable[[SeedSheet], Iterator[str]], ...] = (
    examples,
    duplicates,
    empty_outputs,
    balance,
    label_words,
    language,
    own_filters,
)
