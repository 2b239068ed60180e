"""The filter `decontaminate`: no record that overlaps with an evaluation file gets into a dataset.

Its options are tried on the filter itself, its files and its place in a recipe through `check` and runs.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import Typed, lines
from results import refused, summary

from selfinstruct.errors import Fault
from selfinstruct.filters import FILTERS, Filter
from selfinstruct.records import Record, Rejection
from selfinstruct.text.copies import Words
from selfinstruct.text.overlap import Overlaps

FILTER = "filters.ideas.decontaminate"
QUESTION = "Which of the two trains that leave the harbour at noon reaches the quarry first?"
EVALUATION = [
    {"id": 1, "question": QUESTION, "answers": [{"text": "The slower one, since it takes the short line."}]},
    {"id": 2, "question": "Name a glacier.", "answers": [{"text": "yes"}]},
    {"id": 3, "question": "Describe how a violin is tuned.", "answers": []},
]
# eight words of the question, and no nine
EIGHT = "Tell me: two trains that leave the harbour at NOON; which one is late?"


@pytest.fixture
def evals(project: Path) -> Path:
    """An evaluation file in the user's folder."""
    path = project / "evals/test.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in EVALUATION), encoding="utf-8")
    return path


def loaded(project: Path, files: str | list[str] = "evals", **options: Any) -> Filter | list[Fault]:
    """The filter with its files read, or the faults."""
    faults: list[Fault] = []
    made = FILTERS.build("decontaminate", {"files": files, **options}, FILTER, faults)
    made = made.load(project, FILTER, faults) if made and made.load else None
    return made or faults


def met(project: Path, files: str | list[str] = "evals", *, data: Any, **options: Any) -> Rejection | None:
    """The filter's verdict on a record with these fields, or with this instruction."""
    check = loaded(project, files, **options)
    assert isinstance(check, Filter), check
    assert check.each
    fields = {"instruction": data} if isinstance(data, str) else data
    return check.each(Record("a-1", "ideas", 1, 0, fields))


# --- what overlaps


@pytest.mark.usefixtures("evals")
def test_eight_words_in_a_row_are_enough_and_seven_are_not(project: Path) -> None:
    """Case and punctuation make no difference; the detail has the file, the line and the words."""
    found = met(project, data=EIGHT)
    assert found
    shared = "two trains that leave the harbour at noon"
    assert found.reason == f"instruction shares {shared!r} with evals/test.jsonl line 1"
    assert found.detail == {
        "file": "evals/test.jsonl",
        "line": 1,
        "field": "instruction",
        "shared": shared,
        "share": 0.533,
    }
    assert met(project, data=EIGHT.replace("NOON", "night")) is None


@pytest.mark.usefixtures("evals")
def test_thirteen_words_as_lm_evaluation_harness_has_it(project: Path) -> None:
    """A larger run of words lets more through."""
    thirteen = " ".join(QUESTION.split()[1:14])
    assert met(project, data=f"So {thirteen}, please", ngram_size=13)
    assert met(project, data=EIGHT, ngram_size=13) is None


@pytest.mark.usefixtures("evals")
@pytest.mark.parametrize(
    ("words", "options", "rejected"),
    [
        ("describe how a violin is tuned", {}, True),  # six words, all of the text
        ("Describe how a violin is tuned today.", {}, False),
        ("Name a glacier!", {}, False),  # three words, fewer than five
        ("Name a glacier!", {"shortest": 3}, True),
        ("Yes", {}, False),
        (QUESTION.upper(), {"ngram_size": None}, True),
        (EIGHT, {"ngram_size": None}, False),
    ],
)
def test_a_shorter_text_is_compared_whole(
    project: Path, words: str, options: dict[str, Any], rejected: bool
) -> None:
    """A label or a name is not compared at all."""
    assert (met(project, data=words, **options) is not None) is rejected


@pytest.mark.usefixtures("evals")
def test_a_share_of_the_evaluation_text(project: Path) -> None:
    """As in Tulu 3: a short phrase of a long question passes, and half of it does not."""
    assert met(project, data=EIGHT, share=0.5)  # 8 of 15 words
    assert met(project, data=EIGHT, share=0.6) is None
    apart = "Which of the two trains that leave the harbour, or: harbour at noon reaches the quarry first?"
    assert met(project, data=apart, share=0.6, ngram_size=5)  # two runs of one text count together


@pytest.mark.usefixtures("evals")
def test_rouge_l_finds_what_no_run_of_words_shows(project: Path) -> None:
    """The words of the question with others in between."""
    words = QUESTION.rstrip("?").split()
    spread = " ".join([*words[:5], "fast", *words[5:10], "sharp", *words[10:]])
    assert met(project, data=spread) is None
    found = met(project, data=spread, rouge_l=0.7)
    assert found
    assert found.reason == "ROUGE-L of instruction is 0.938 to evals/test.jsonl line 1"
    assert found.detail["score"] == pytest.approx(0.9375)
    assert met(project, data="yes", rouge_l=0.7) is None


@pytest.mark.usefixtures("evals")
def test_fields_and_columns(project: Path) -> None:
    """All fields and all columns at any depth, or those that are named."""
    answer = {"instruction": "Say it.", "output": "The slower one, since it takes the short line. Really."}
    found = met(project, data=answer)
    assert found
    assert found.detail["field"] == "output"
    assert met(project, data=answer, fields=["instruction"]) is None
    assert met(project, data=answer, columns=["question"]) is None
    assert met(project, data=answer, columns=["answers"])
    assert met(project, data=EIGHT, columns=["question"])
    (project / "evals/more.txt").write_text(
        "A line of text has no columns to choose from.\n", encoding="utf-8"
    )
    assert met(project, data="a line of text has no columns to choose", columns=["question"])


@pytest.mark.parametrize(
    ("question", "other"),
    [
        (
            "明天早上从港口出发的两列火车里，哪一列先到采石场？",
            "请问：从港口出发的两列火车里，哪一列先到？另外，谁最后到？",
        ),
        (
            "港を正午に出る二本の列車のうち、先に採石場に着くのはどちらですか。",
            "二本の列車のうち、先に採石場に着くのは、赤い列車でしょうか。",
        ),
    ],
)
def test_in_scripts_without_spaces_two_characters_are_a_word(
    project: Path, question: str, other: str
) -> None:
    """Sixteen characters in a row are too many, fifteen are not; they are shown without spaces."""
    (project / "evals.txt").write_text(f"# nothing\n{question}\n", encoding="utf-8")
    found = met(project, "evals.txt", data=other)
    assert found
    assert found.detail["line"] == 2
    shared = found.detail["shared"]
    assert " " not in shared
    assert len(shared) >= 16
    assert met(project, "evals.txt", data=other.replace(shared[15], "x", 1)[:16]) is None
    fifteen = shared[:15]
    assert met(project, "evals.txt", data=f"再说一遍{fifteen}吧") is None


def test_finds_what_a_comparison_of_each_pair_finds() -> None:
    """On random texts of two scripts, with many repeated words."""
    rng = Random(5)
    known = ["a", "b", "c", "d", "猫", "犬", "の"]
    found = 0
    for _ in range(30):
        texts = [" ".join(rng.choices(known, k=rng.randint(0, 12))) for _ in range(20)]
        run, share = rng.randint(1, 5), rng.choice([0.0, 0.4, 0.8])
        index = Overlaps(texts, run, shortest=1)
        for _ in range(20):
            one = " ".join(rng.choices(known, k=rng.randint(0, 14)))
            expected = [number for number, other in enumerate(texts) if _overlap(one, other, run, share)]
            best = index.best(one, share)
            assert (best is not None) == bool(expected), (one, texts, run, share)
            assert best is None or best.number in expected
            found += best is not None
    assert 50 < found < 550


def _overlap(one: str, other: str, run: int, share: float) -> bool:
    """Whether two texts overlap, found by trying all runs of the other."""
    mine, its = Words(one), Words(other)
    if its.length < 2:
        return False
    if its.length < 2 * run:
        return mine.tokens == its.tokens
    runs = set(mine.runs(2 * run))
    places = [(start, len(tokens)) for start, tokens in enumerate(its.runs(2 * run)) if tokens in runs]
    covered = {at for start, size in places for at in range(start, start + size)}
    return bool(covered) and sum(its.halves[at] for at in covered) >= share * its.length


# --- the files


def _jsonl(path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in EVALUATION), encoding="utf-8")


def _packed(path: Path) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n" + "".join(json.dumps(row) + "\n" for row in EVALUATION))


def _squad(path: Path) -> None:
    path.write_text(json.dumps({"version": "2.0", "data": EVALUATION}), encoding="utf-8")


def _csv(path: Path) -> None:
    path.write_text(f'id,question\n7,"Name a\nglacier."\n8,"{QUESTION}"\n', encoding="utf-8")


def _parquet(path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    parquet.write_table(arrow.Table.from_pylist(EVALUATION), path)


@pytest.mark.parametrize(
    ("name", "write", "place"),
    [
        ("a.jsonl", _jsonl, {"line": 1}),
        ("a.jsonl.gz", _packed, {"line": 2}),
        ("a.json", _squad, {"item": 1}),
        ("a.csv", _csv, {"line": 4}),
        ("a.txt", lambda path: path.write_text(f"Name a glacier.\n\n{QUESTION}\n"), {"line": 3}),
        ("a.parquet", _parquet, {"row": 1}),
    ],
)
@pytest.mark.parametrize("named", ["evals/{}", "evals", "evals/*"])
def test_any_format_names_its_row(
    project: Path, name: str, write: Callable[[Path], object], place: dict[str, int], named: str
) -> None:
    """By the file's name, its folder or a pattern."""
    (project / "evals").mkdir()
    write(project / "evals" / name)
    found = met(project, named.format(name), data=EIGHT)
    assert found
    assert found.detail["file"] == f"evals/{name}"
    assert place.items() <= found.detail.items()


def test_each_file_of_a_folder_has_its_own_rows(project: Path) -> None:
    """Also in subfolders, without hidden files; `check` says which other kinds are passed over."""
    others = ("evals/.hidden.txt", "evals/dataset_info.json", "evals/more.txt.zst", "evals/README.md")
    for name in ("evals/mmlu/test.txt", "evals/gsm.txt", *others):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(f"first\nThis line is of the file {name} alone.\n", encoding="utf-8")
    found = met(project, data="This line is of the file evals/mmlu/test.txt alone.")
    assert found
    assert (found.detail["file"], found.detail["line"]) == ("evals/mmlu/test.txt", 2)
    check = loaded(project)
    assert isinstance(check, Filter)
    assert check.loaded
    assert check.loaded.note == (
        "compares with 3 texts of 2 files; 2 of them have 5 words or more; passed over: 1 .md, 1 .zst"
    )


@pytest.mark.parametrize(
    ("files", "content", "options", "words"),
    [
        ("nope.jsonl", "", {}, f"{FILTER}.files: there is no file nope.jsonl"),
        ("a.jsonl", "", {}, "a.jsonl: has no text to compare with"),
        ("a.jsonl", '{"n": 1}\n{"n": 2}\n', {}, "a.jsonl: has no text to compare with"),
        ("a.jsonl", '{"q": "yes"}\n', {}, f"{FILTER}: none of the 1 evaluation texts has 5 words or more"),
        ("a.jsonl", '{"q": "one"}\n{"q": two}\n', {}, "a.jsonl line 2: is not valid JSON"),
        ("a.parquet", "PAR1 cut short", {}, "a.parquet: is a Parquet file, but it cannot be read"),
        ("a.txt", "<!doctype html><p>404", {}, "a.txt: is a web page (HTML)"),
        ("a.pdf", "%PDF-1.7", {}, "a.pdf: is a PDF file"),
        ("a.md", "# A page", {}, "a.md: is a kind of text file that cannot be read as evaluation texts"),
        ("a.jsonl", '{"question": "x"}', {"columns": ["questoin"]}, "did you mean 'question'?"),
        ([], "", {}, f"{FILTER}: files is empty"),
        ("a.jsonl", "{}", {"columns": []}, f"{FILTER}: columns is empty"),
        ("a**b/*.txt", "", {}, f"{FILTER}.files: "),
        (".", "", {}, f"{FILTER}.files: . is a folder without an evaluation file"),
    ],
)
def test_a_fault_of_a_file_has_its_place(
    project: Path, files: Any, content: str, options: dict[str, Any], words: str
) -> None:
    """A missing, empty or broken file is never passed over."""
    if isinstance(files, str) and files not in ("nope.jsonl", "a**b/*.txt", "."):
        (project / files).write_text(content, encoding="utf-8")
    faults = loaded(project, files, **options)
    assert isinstance(faults, list)
    assert len(faults) == 1
    assert words in str(faults[0]) + faults[0].remedy


# --- in a recipe


def asked(project: Path, *words: str, said: Sequence[str] = ()) -> list[str]:
    """The arguments of a run of the tiny recipe, with these replies."""
    replies = [{"stage": "ideas", "number": at, "reply": f"1. {one}"} for at, one in enumerate(said, 1)]
    (project / "replies.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in replies), encoding="utf-8"
    )
    return ["recipe=tiny", "model=scripted", "model.options.replies=replies.jsonl", "run_dir=run", *words]


@pytest.mark.usefixtures("tiny", "evals")
def test_a_run_counts_and_keeps_what_it_drops(typed: Typed, project: Path) -> None:
    """With the file and the line, in rejected.jsonl; it refuses to continue with other evaluation texts."""
    said = [EIGHT, "Idea of its own", "describe how a violin is tuned", "Another idea"]
    words = asked(project, f"+{FILTER}={{files: evals}}", "target=2", said=said)
    code, out, err = typed("check", *words)
    assert code == 0, err
    told = "decontaminate compares with 5 texts of evals/test.jsonl; 3 of them have 5 words or more"
    assert f"           {told}\n" in out
    assert "overlap" not in out
    code, _, err = typed(*words)
    assert code == 0, err
    assert {row["instruction"] for row in lines(project / "run/ideas.jsonl")} == {said[1], said[3]}
    dropped = {row["detail"]["line"]: row for row in lines(project / "run/rejected.jsonl")}
    assert {row["check"] for row in dropped.values()} == {"decontaminate"}
    assert dropped[1]["detail"]["shared"] == "two trains that leave the harbour at noon"
    assert dropped[3]["reason"].endswith("with evals/test.jsonl line 3")
    assert summary(project / "run")["stages"]["ideas"]["rejected"] == {"decontaminate": 2}

    (project / "evals/test.jsonl").rename(project / "moved.jsonl")
    words = asked(project, f"+{FILTER}={{files: [moved.jsonl]}}", "target=2", said=said)
    assert typed(*words)[0] == 0  # the same texts in another file
    with (project / "moved.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"question": "Where does the ferry to the orchard begin its way home?"}\n')
    refused(typed(*words), f"{FILTER} (contents): ")


@pytest.mark.usefixtures("tiny")
def test_faults_are_found_before_the_first_request(typed: Typed, project: Path) -> None:
    """Together with the recipe's other faults."""
    (project / "bad.jsonl").write_text('{"question": "What is it?"}\n{"question": \n', encoding="utf-8")
    words = asked(project, f"+{FILTER}={{files: [bad.jsonl, gone.csv]}}", "mix.examples=99")
    refused(typed(*words), f"{FILTER}.files: there is no file gone.csv", "mix.examples")
    refused(typed(*asked(project, f"+{FILTER}={{files: bad.jsonl}}")), "bad.jsonl line 2: is not valid JSON")
    assert not (project / "run").exists()


@pytest.mark.usefixtures("tiny")
def test_a_recipe_names_no_file_outside_the_project(typed: Typed, project: Path) -> None:
    """Whoever wrote it; the file may not even be read. Typed, any file is allowed."""
    secret = project.parent / f"{project.name}.jsonl"
    secret.write_text(json.dumps({"question": QUESTION}) + "\n", encoding="utf-8")
    recipe = project / "recipes/tiny.yaml"
    plain = recipe.read_text(encoding="utf-8")
    option = f"filters: {{ideas: {{decontaminate: {{files: ['{secret}']}}}}}}\n"
    recipe.write_text(plain + option, encoding="utf-8")
    result = typed("check", *asked(project))
    refused(result, f"{FILTER}.files.0: {secret} is outside of the project")
    code, _, err = typed("check", *asked(project, f"{FILTER}.files=[{secret}]"))
    assert code == 0, err
    secret.unlink()


@pytest.mark.usefixtures("tiny")
def test_check_tells_of_seeds_that_overlap(typed: Typed, project: Path) -> None:
    """Seeds are never filtered, and the prompts would show them."""
    seed = lines(project / "seeds/tiny.jsonl")[4]
    rows = [{"q": "Something else that is long enough."}, {"q": seed["instruction"]}]
    (project / "evals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    code, out, err = typed("check", *asked(project, f"+{FILTER}={{files: evals.jsonl}}"))
    assert code == 0, err
    assert "note: seeds/tiny.jsonl: 1 task overlaps with an evaluation file: line 5 (instruction " in out
    assert "with evals.jsonl line 2). Seeds are never filtered" in out


def test_the_part_needs_one_key(typed: Typed, evals: Path) -> None:
    """`+parts=decontaminate` puts the filter into both stages."""
    files = f"filters.instructions.decontaminate.files=[{evals}]"
    code, out, err = typed("check", "recipe=paper", "model=scripted", "+parts=decontaminate", files)
    assert code == 0, err
    assert out.count(f"decontaminate compares with 5 texts of {evals}") == 2


# --- on real data


def test_the_papers_user_tasks(shared: Path, project: Path) -> None:
    """Every task of the evaluation is met by itself, and hardly any instruction of Alpaca is."""
    path = shared / "user_oriented_instructions.jsonl"
    check = loaded(project, str(path))
    assert isinstance(check, Filter)
    assert check.each
    short = 0
    for number, task in enumerate(lines(path), 1):
        words = len(Words(task["instruction"]).tokens)
        said = task["instruction"] if words < 8 else f"Please: {task['instruction']} Thank you."
        found = check.each(Record("a-1", "tasks", 1, 0, {"instruction": said}))
        short += words < 5
        assert (found is not None) is (words >= 5), said
        if found:
            assert found.detail["file"] == str(path)
            assert 1 <= found.detail["line"] <= number  # an earlier task may have the same text
    assert short == 3
    alpaca = [row["instruction"] for row in lines(shared / "alpaca_instructions_10k.jsonl")]
    rejected = [words for words in alpaca if check.each(Record("a-1", "tasks", 1, 0, {"instruction": words}))]
    assert len(rejected) == 1
    assert "what do you think is the most important" in rejected[0].lower()
