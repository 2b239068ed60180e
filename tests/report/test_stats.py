"""The numbers of a report, each of which a reader can check by hand from the replies below."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed

from selfinstruct import run
from selfinstruct.config import ReportConfig
from selfinstruct.journal.store import Journal
from selfinstruct.records import ACCEPTED, Record, Rejection, Reply, Request
from selfinstruct.report.numbers.check_steps import dataset_files
from selfinstruct.report.numbers.comparison import compare
from selfinstruct.report.numbers.measures import verbs_or_words
from selfinstruct.report.numbers.nearest import Similarity
from selfinstruct.report.numbers.progress_curve import Progress, knee_of
from selfinstruct.report.numbers.stats import Stats, gather, stats_text
from selfinstruct.report.numbers.tables import quotas
from selfinstruct.run_folder.opened import opened
from selfinstruct.text.verbs import parser

REPLIES = Path(__file__).parents[1] / "replies"
SEEDS = ("Name two rivers.", "Sing about rain.")
TASKS = (
    [
        "Name three rivers of Europe.",
        "Name three rivers of Europe now.",  # 5 words in common with the first, of 5 and 6: 10 / 11
        "Write a poem about rain.",
        "Draw a map of the old town.",
    ],
    ["Write a letter about snow.", "Name three rivers of Europe.", "Is this review positive or negative?"],
)
ANSWERS: dict[str, list[dict[str, str]]] = {
    "Name three rivers of Europe.": [{"input": "", "output": "Rhine, Danube, Seine."}],
    "Write a poem about rain.": [{"input": "", "output": "Rain falls on the roof tonight."}],
    "Write a letter about snow.": [{"input": "", "output": ""}],
    "Is this review positive or negative?": [
        {"input": "I loved it.", "output": "positive"},
        {"input": "It broke.", "output": "negative"},
    ],
}
SETTINGS = (
    "model=scripted",
    "model.mode=chat",
    "model.options.replies=replies.jsonl",
    "seeds.path=mine.jsonl",
)
MIX = ("mix.examples=2", "mix.generated=0", "pipeline.instructions.window=1")


def write(project: Path) -> None:
    """The seeds and the replies of the run."""
    seeds = [{"id": f"s{n}", "instruction": text, "output": "Done."} for n, text in enumerate(SEEDS)]
    replies: list[dict[str, Any]] = [
        {
            "stage": "instructions",
            "number": number,
            "reply": json.dumps({"tasks": [{"instruction": task} for task in tasks]}),
        }
        for number, tasks in enumerate(TASKS, 1)
    ]
    replies += [{"stage": "instructions", "match": ".", "reply": '{"tasks": []}'}]
    for number, (task, answers) in enumerate(ANSWERS.items(), 1):
        label = {"is_classification": task.startswith("Is ")}
        replies.append({"stage": "classification", "number": number, "reply": json.dumps(label)})
        replies.append({"stage": "instances", "number": number, "reply": json.dumps({"instances": answers})})
    for name, rows in (("mine", seeds), ("replies", replies)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (project / f"{name}.jsonl").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the finished run; no test changes it."""
    project = tmp_path_factory.mktemp("project")
    write(project)
    run("chat", [*SETTINGS, *MIX, "target=4", "run_dir=x"], project=project, quiet=True)
    return project / "x"


@pytest.fixture(scope="module")
def stats(finished: Path) -> Stats:
    """Its numbers."""
    with opened(finished) as one:
        return gather(one)


def test_the_facts_of_the_run(stats: Stats) -> None:
    """Recipe, seeds, models, and each stage with a sentence on what its kind does."""
    facts = stats["run"]
    assert (facts["recipe"], facts["state"], facts["target"], facts["language"]) == (
        "chat",
        "finished",
        4,
        "en",
    )
    assert facts["seeds"] == {"file": "mine.jsonl", "count": 2, "taken": 2}
    assert facts["models"] == {name: ["scripted"] for name in ("instructions", "classification", "instances")}
    assert "target=4" in facts["overrides"]
    assert facts["notes"] == []
    assert [stage["what"].split()[0] for stage in facts["stages"]] == ["Asks", "Sets", "Makes"]
    assert "rapidfuzz" in facts["versions"]


def test_the_funnel_goes_down_to_what_was_accepted(stats: Stats) -> None:
    """Seven candidates of two replies: one each went for a banned word, as a copy, and as too similar."""
    first, label, last = stats["funnel"]
    assert (first["candidates"], first["accepted"], first["left"], first["waiting"]) == (7, 4, 4, 0)
    steps = {step["check"]: (step["rejected"], step["left_over"]) for step in first["steps"]}
    assert {check: step for check, step in steps.items() if step[0]} == {
        "banned_words": (1, 6),
        "exact_duplicate": (1, 5),
        "rouge_l": (1, 4),
    }
    assert list(steps)[-1] == "schema"
    assert steps["schema"] == (0, 4)
    similar = next(step for step in first["steps"] if step["check"] == "rouge_l")
    assert similar["what"] == "were too similar to an existing text"
    assert similar["does"].startswith("Rejects a text if its ROUGE-L")
    assert (label["candidates"], label["accepted"]) == (4, 4)
    assert (last["candidates"], last["accepted"], last["left"]) == (5, 4, 4)


def test_the_files_of_the_dataset(finished: Path, tmp_path: Path) -> None:
    """Their rows, in each format; a line break in a cell of a table begins no row."""
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "run.sqlite").write_bytes((finished / "run.sqlite").read_bytes())
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"a": 1}\n{"a": 2}\n', encoding="utf-8")
    (folder / "b.csv").write_text('text\n"two\nlines, ""quoted"""\n"' + "x" * 200_000 + '"\n')
    (folder / "README.md").write_text("# A dataset\n", encoding="utf-8")
    parquet.write_table(pyarrow.table({"a": [1, 2, 3]}), folder / "c.parquet")
    with opened(tmp_path) as one:
        files = {row["file"]: row["rows"] for row in dataset_files(one)}
    assert files == {"a.jsonl": 2, "b.csv": 2, "c.parquet": 3}


def test_similarity_to_seeds_and_to_earlier_texts(stats: Stats) -> None:
    """ROUGE-L of two texts is twice the words in common, over the words of both."""
    found = stats["similarity"]["instructions"]
    seed = found["to_seed"]  # 2 of 3 and 5; 2 of 3 and 5; 1 of 3 and 5; none
    assert (seed["count"], seed["mean"], seed["max"]) == (4, (0.5 + 0.5 + 0.25 + 0) / 4, 0.5)
    assert [seed["counts"][place] for place in (0, 5, 10)] == [1, 1, 2]
    made = found["to_machine"]  # the first has none before it; none; 3 of 5 and 5; none
    assert (made["count"], made["texts"], made["max"], made["mean"]) == (3, 4, 0.6, 0.2)
    rejected = found["rejected"]
    assert (rejected["count"], rejected["min"], rejected["max"]) == (2, round(10 / 11, 6), 1.0)
    assert found["threshold"] == 0.7


def test_the_scores_that_a_run_has_kept() -> None:
    """The nearest text that is no seed comes from the details; if only seeds were kept, it is computed."""
    found = Similarity("instruction", ["rouge_l"], {"s0"})
    kept: list[dict[str, float]] = [{}, {"s0": 0.6, "i-1": 0.4}, {"s0": 0.5}]
    for number, similar in enumerate(kept, 1):
        data = {"instruction": ["Name a river.", "Name a lake.", "Name a river now."][number - 1]}
        detail = {"most_similar": similar} if similar else {}
        found.see(Record(f"i-{number}", "i", number, 0, data, fate=ACCEPTED, detail=detail))
    scores = found.scores(["Name a river."], "en", 0)
    assert list(scores.seed) == [1, 2 * 2 / 6, 2 * 3 / 7]
    assert isnan(scores.machine[0]) and list(scores.machine[1:]) == [0.4, 2 * 3 / 7]
    assert scores.between(1, 1) == [1]
    assert scores.between(2, 3) == [2 * 2 / 6, 2 * 3 / 7]


def test_the_curve_has_a_point_for_each_request(stats: Stats) -> None:
    """Counts are those so far; rate and score those of the window."""
    curve = stats["progress"]["instructions"]
    assert curve["window"] == 1
    assert curve["points"] == [
        {"request": 1, "candidates": 4, "accepted": 2, "rate": 0.5, "score": 0.5},
        {"request": 2, "candidates": 7, "accepted": 4, "rate": 0.666667, "score": 0.3},
    ]
    assert curve["knee"] is None
    assert "too few" in curve["knee_why"]


def test_lengths_classes_and_sizes(stats: Stats) -> None:
    """Words are those between spaces; empty inputs are counted apart; a refused answer is no record."""
    words = {field: one["words"] for field, one in stats["lengths"].items()}
    assert {field: one["mean"] for field, one in words.items()} == {
        "instruction": (5 + 5 + 5 + 6) / 4,
        "input": (3 + 2) / 2,
        "output": (3 + 6 + 1 + 1) / 4,
    }
    assert stats["lengths"]["input"]["empty"] == 2
    assert stats["lengths"]["output"]["tokens"]["count"] == 4
    label, answers = stats["classes"]
    assert label["field"] == "is_classification"
    assert label["values"] == [{"value": "no", "count": 3}, {"value": "yes", "count": 1}]
    assert label["balance"] == 0.811278  # the entropy of 3/4 and 1/4, in bits
    assert answers["title"] == "answers to classification tasks"
    assert answers["balance"] == 1
    assert stats["sizes"] == {"instructions": 4, "classification": 1, "instances": 4, "empty_input": 2}


def test_the_paper_beside_the_run(stats: Stats) -> None:
    """The paper's table 1, and the run's own."""
    rows = {row["what"]: (row["paper"], row["run"]) for row in stats["paper"]}
    assert rows["instructions"] == (52_445, 4)
    assert rows["classification tasks"] == (0.220879, 0.25)
    assert rows["instances with empty input"] == (0.435207, 0.5)
    assert rows["mean length of an instruction"] == (15.9, 5.25)
    assert not any("review" in what for what in rows)


def test_a_slow_parser_reads_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Always the same one for a seed; the page says how large it is, and the rules read all texts."""
    texts = [f"{verb} a {noun}." for verb in ("Write", "Draw", "Sing") for noun in ("poem", "map", "song")]
    rules = replace(parser("en"), slow=False)
    monkeypatch.setattr("selfinstruct.report.numbers.measures.PARSED", 4)
    monkeypatch.setattr(
        "selfinstruct.report.numbers.measures.parser", lambda language: replace(rules, slow=True)
    )
    sample, again, other = (verbs_or_words(texts, "en", seed)["verbs"] for seed in (1, 1, 2))
    assert sample == again != other
    assert (sample["texts"], sample["paired"]) == (4, 4)
    assert sample["how"].endswith("It was used on a random sample of 4 of the 9 texts.")
    monkeypatch.setattr(
        "selfinstruct.report.numbers.measures.parser", lambda language: replace(rules, slow=False)
    )
    assert verbs_or_words(texts, "en", 1)["verbs"]["texts"] == 9


def test_verbs_and_diversity(stats: Stats) -> None:
    """Two of the four texts ask to write something."""
    verbs = {verb["verb"]: verb["count"] for verb in stats["verbs"]["verbs"]}
    assert verbs["write"] == 2
    assert stats["verbs"]["texts"] == 4
    measures = {one["name"]: one["value"] for one in stats["diversity"]}
    assert measures["near_pairs"] == 0
    assert measures["distinct_1"] == round(18 / 21, 6)  # of 21 words, write, a and about come twice
    assert all(one["how_to_read"].endswith(".") for one in stats["diversity"])


def test_the_tables(stats: Stats) -> None:
    """The records with their parents, and the rejected ones with the text that they were too like."""
    records, rejected = stats["records"], stats["rejected"]
    assert records["total"] == len(records["rows"]) == 4
    last = dict(zip(records["columns"], records["rows"][-1], strict=True))
    assert last["output"] == "negative"
    assert last["is_classification"] is True
    assert last["parent"].startswith("instructions-000002")
    assert rejected["total"] == 4
    rows = [dict(zip(rejected["columns"], row, strict=True)) for row in rejected["rows"]]
    near = next(row for row in rows if row["check"] == "rouge_l")
    assert near["text"] == "Name three rivers of Europe now."
    assert near["nearest_text"] == "Name three rivers of Europe."
    assert near["score"] == round(10 / 11, 6)
    assert next(row for row in rows if row["stage"] == "instances")["check"] == "input_equals_output"


def test_the_text_is_the_same_for_the_same_replies(finished: Path, stats: Stats, tmp_path: Path) -> None:
    """Except seconds and cost; the tables of the page are not in it."""
    write(tmp_path)
    run(
        "chat",
        [*SETTINGS, *MIX, "target=4", "run_dir=x", "model.concurrency=1"],
        project=tmp_path,
        quiet=True,
    )
    with opened(tmp_path / "x") as other:
        again = gather(other)
    assert "records" not in json.loads(stats_text(stats))

    def steady(of: Stats) -> str:
        rows = [{**row, "seconds": 0} for row in of["spending"]]
        facts = {**of["run"], "overrides": []}
        return stats_text({**of, "spending": rows, "total": {**of["total"], "seconds": 0}, "run": facts})

    assert steady(again) == steady(stats)


def made(recipe: str, language: str, project: Path) -> Stats:
    """The numbers of a small run of a recipe of ours, with the replies of its language."""
    replies = f"model.options.replies={REPLIES / language}.jsonl"
    run(recipe, [*SETTINGS[:2], replies, "target=3", "export=none", "run_dir=x"], project=project, quiet=True)
    with opened(project / "x") as one:
        return gather(one)


def test_the_scores_of_judges(tmp_path: Path) -> None:
    """Also of what was rejected for its score; one that gave words instead is counted apart."""
    first, again = made("judged", "en", tmp_path)["scores"]
    assert (first["field"], first["stage"], first["without"]) == ("score", "judge", 1)
    assert first["histogram"]["edges"] == [1.5, 2.5, 3.5, 4.5, 5.5]
    assert first["histogram"]["counts"] == [1, 0, 1, 2]
    assert (again["stage"], again["histogram"]["mean"]) == ("judge_again", 4)


def test_another_language(tmp_path: Path) -> None:
    """Words instead of verbs, and no mean lengths beside the paper's, which are of English words."""
    found = made("japanese", "ja", tmp_path)
    assert "verbs" not in found
    assert {"word": "メッセージ", "count": 1} in found["words"]["words"]
    assert [row["what"] for row in found["paper"] if row["unit"] == "words"] == []
    assert found["lengths"]["instruction"]["words"]["min"] > 20  # characters


def test_a_run_that_missed_its_target(typed: Typed, project: Path) -> None:
    """It says so, and has the numbers of what there is."""
    write(project)
    status, out, err = typed(
        "recipe=chat", *SETTINGS, *MIX, "target=9", "run_dir=y", "pipeline.instructions.patience=2"
    )
    assert status == 4, out + err
    with opened(project / "y") as one:
        found = gather(one)
    assert found["run"]["state"] == "missed"
    assert "short of its target" in found["run"]["notes"][0]
    assert found["funnel"][0]["accepted"] == 4


def test_a_run_without_a_reply(typed: Typed, project: Path) -> None:
    """Every section is there, or empty; nothing fails on the lack of records."""
    write(project)
    (project / "replies.jsonl").write_text("{}\n", encoding="utf-8")
    assert typed("recipe=chat", *SETTINGS, *MIX, "target=4", "run_dir=y")[0] == 1
    with opened(project / "y") as one:
        found = gather(one)
    assert found["run"]["state"] == "unfinished"
    assert "not finished" in found["run"]["notes"][0]
    assert (found["funnel"][0]["replies"], found["funnel"][0]["candidates"]) == (0, 0)
    assert found["progress"] == {}
    assert found["records"]["rows"] == []
    assert found["classes"] == []
    assert stats_text(found)


def test_a_run_while_it_is_written(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that this is not all."""
    monkeypatch.setattr("selfinstruct.run_folder.opened.in_use", lambda folder: True)
    with opened(finished) as one:
        found = gather(one)
    assert found["run"]["running"] is True
    assert "still being written" in found["run"]["notes"][0]


def test_a_run_without_its_saved_config(finished: Path, tmp_path: Path) -> None:
    """The thresholds are missing, and the report says why."""
    (tmp_path / "z").mkdir()
    (tmp_path / "z/run.sqlite").write_bytes((finished / "run.sqlite").read_bytes())
    with opened(tmp_path / "z") as one:
        found = gather(one)
    assert "saved config cannot be read" in found["run"]["notes"][-1]
    assert found["similarity"]["instructions"]["threshold"] is None
    assert found["similarity"]["instructions"]["to_seed"]["count"] == 4


@pytest.fixture
def reviewed(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, with the reviews of two people."""
    folder = tmp_path / "reviewed"
    (folder / ".hydra").mkdir(parents=True)
    for name in ("run.sqlite", "summary.json", ".hydra/config.yaml"):
        (folder / name).write_bytes((finished / name).read_bytes())
    journal = Journal(folder / "run.sqlite")
    ids = [record.id for record in journal.records("instances", ACCEPTED)]
    good = {"instruction": "ok", "input": "ok", "output": "ok"}
    bad = {**good, "output": "wrong"}
    for reviewer, answers in (("ann", [good, bad, good, bad]), ("bob", [good, bad, bad, None])):
        for id, given in zip(ids, answers, strict=True):
            if given:
                fact = {"answers": given, "edit": None, "note": "", "at": "2026-01-01T00:00:00+00:00"}
                journal.set_meta(f"review/{reviewer}/{id}", fact)
    journal.set_meta(f"review/eve/{ids[0]}", {"answers": {}, "edit": None, "note": "", "at": ""})
    journal.close()
    return folder


def test_the_summary_of_a_review(reviewed: Path) -> None:
    """Three records have two reviews: they agree on two; doubt about the third counts as bad."""
    with opened(reviewed) as one:
        found = gather(one)
    review = found["review"]
    assert review["reviewers"] == [{"name": "ann", "reviewed": 4}, {"name": "bob", "reviewed": 3}]
    assert (review["records"], review["other_questions"]) == (4, 0)
    instruction, _, output = review["questions"]
    assert instruction["share_good"] == 1
    assert instruction["kappa"] is None  # with only one answer, chance explains everything
    assert (output["share_good"], output["both"]) == (0.25, 3)
    assert output["choices"] == [
        {"value": "ok", "text": "Yes", "count": 1},
        {"value": "wrong", "text": "No", "count": 3},
    ]
    # they agree on 2 of 3; by chance on (2*1 + 1*2) / 9 = 4/9
    assert output["kappa"] == round((2 / 3 - 4 / 9) / (1 - 4 / 9), 6)
    assert output["interval"] == [0.045587, 0.699358]  # Wilson's for 1 of 4
    assert review["all_good"]["share"] == 0.25
    rows = {row["what"]: (row["paper"], row["run"]) for row in found["paper"]}
    assert rows["review: all three"] == (0.54, 0.25)


def test_the_questions_of_a_review_can_be_named(reviewed: Path) -> None:
    """Where they are not those of the run; what answers other questions is counted as such."""
    mine = {"useful": {"text": "Is it of use?", "choices": {"yes": {"key": "y", "text": "Yes"}}}}
    with opened(reviewed) as one:
        review = gather(one, questions=mine)["review"]
    assert [question["name"] for question in review["questions"]] == ["useful"]
    assert (review["records"], review["other_questions"]) == (0, 7)
    assert review["questions"][0]["share_good"] is None


def test_runs_side_by_side(stats: Stats) -> None:
    """What was typed differently, and each figure in every run."""
    other = {**stats, "run": {**stats["run"], "overrides": ["target=9"]}, "lengths": {}}
    table = compare([("a", stats), ("b", other)])
    assert table["runs"] == ["a", "b"]
    assert {"key": "target", "values": ["4", "9"]} in table["settings"]
    assert not any(row["key"] == "run_dir" for row in table["settings"])
    rows = {row["what"]: row["values"] for row in table["figures"]}
    assert rows["share accepted"] == [4 / 7, 4 / 7]
    assert rows["mean length of output"] == [2.75, None]
    assert rows["rejected most by"] == ["banned_words 14%"] * 2
    assert "requests stop paying from" not in rows


@pytest.mark.parametrize(
    ("accepted", "knee"),
    [
        pytest.param([3] * 100, None, id="always the same"),
        pytest.param([4] * 60 + [1] * 40, 61, id="a fall"),
        pytest.param([4] * 60 + [1] * 20 + [4] * 20, None, id="a dip"),
        pytest.param([4] * 60 + [2] * 40, None, id="exactly half"),
        pytest.param([4] * 95 + [0] * 5, None, id="only the last part"),
        pytest.param([0] * 100, None, id="nothing at all"),
        pytest.param([4] * 20 + [0] * 19, None, id="too few requests"),
        pytest.param([4] * 20 + [0] * 20, 21, id="just enough requests"),
        pytest.param([round(8 * 0.98**n) for n in range(100)], 41, id="a slow fall"),
    ],
)
def test_the_knee(accepted: list[int], knee: int | None) -> None:
    """The first request of the twentieth from which on each yields less than half of the first two."""
    found, why = knee_of(dict(enumerate(accepted, 1)))
    assert found == knee
    assert why.endswith(".")


def test_the_curve_of_a_long_stage() -> None:
    """At most 200 points, and requests without a candidate count."""
    progress = Progress()
    for number in range(1, 2_001, 2):
        record = Record(f"i-{number}", "i", number, 0, {}, fate=ACCEPTED)
        progress.see(record)
    curve = progress.curve(range(1, 2_001))
    assert curve["window"] == 10
    assert len(curve["points"]) == 200
    assert curve["points"][-1]["accepted"] == 1_000
    assert curve["points"][-1]["request"] == 2_000


def test_each_check_gets_rows() -> None:
    """A rare check is shown as a whole, and the rest goes to the frequent ones."""
    counts = {("a", "common"): 900, ("a", "rare"): 3, ("b", "some"): 40}
    assert quotas(counts, 63) == {("a", "rare"): 3, ("a", "common"): 30, ("b", "some"): 30}
    assert quotas(counts, 2_000) == counts


@pytest.fixture
def crowded(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the run with more rejected records, texts that are no texts, and a very long one."""
    (tmp_path / "run.sqlite").write_bytes((finished / "run.sqlite").read_bytes())
    journal = Journal(tmp_path / "run.sqlite")
    hostile = "<script>alert(1)</script>\x1b[31m" + "x" * 1_000_000
    records = [
        Record(f"instructions-000099-{n}", "instructions", 99, n, {"instruction": hostile}) for n in range(30)
    ]
    for record in records:
        record.reject("rouge_l", Rejection("near", {"nearest": "gone-1", "score": 0.9}))
    records.append(
        Record("instructions-000099-30", "instructions", 99, 30, {"instruction": 7}, fate=ACCEPTED)
    )
    journal.sent([Request("instructions", 99, "?")])
    journal.arrived(Request("instructions", 99, "?"), Reply("…"))
    journal.take("instructions", 99, records)
    journal.close()
    yield tmp_path


def test_odd_records(crowded: Path) -> None:
    """Rows are as many as asked for, long texts are cut, and a neighbour that is gone is empty."""
    with opened(crowded) as one:
        found = gather(one, ReportConfig.model_validate({"rows": 10}))
    rows = [dict(zip(found["rejected"]["columns"], row, strict=True)) for row in found["rejected"]["rows"]]
    assert len(rows) == 10
    assert found["rejected"]["total"] == 34
    assert {row["check"] for row in rows} >= {"rouge_l", "banned_words", "exact_duplicate"}
    odd = next(row for row in rows if row["nearest"] == "gone-1")
    assert odd["nearest_text"] is None
    assert len(odd["text"]["text"]) == 20_000
    assert odd["text"]["of"] > 1_000_000
    assert found["similarity"]["instructions"]["to_seed"]["count"] == 5
    assert stats_text(found)
