"""What the report, the terminal and stats.json say of training and evaluation.

The scores come from the real code over answers that get a share of the words right (tests/tunings.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import tunings
from chromium import Watched, chromium
from conftest import lines

from selfinstruct.cli.main import command
from selfinstruct.evaluate.answers import Answers
from selfinstruct.monitor.progress import Progress
from selfinstruct.monitor.terminal import console
from selfinstruct.report.numbers.tuning import POINTS, tuning_of
from selfinstruct.report.numbers.tuning_files import Difference, Evaluated, Judged
from selfinstruct.report.numbers.verdict import says, warnings
from selfinstruct.report.page.evaluation import evaluation as figures
from selfinstruct.report.page.tuning import tuning
from selfinstruct.train import ending

RUN = ("recipe=chat", "model=scripted", "model.mode=chat", "cache=off", "target=4", "run_dir=run")
REPLIES = Path(__file__).parents[1] / "replies/en.jsonl"
HOSTILE = "<img src=x onerror='window.ran = 1'></script><script>window.ran = 2</script>"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user's folder, in which the commands are typed; the drawing program of the pages is kept there."""
    project = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("XDG_CACHE_HOME", str(project / ".cache"))
        yield project


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for the file."""
    with chromium() as found:
        yield found


def told(folder: Path) -> str:
    """What the terminal says of a folder."""
    stream = StringIO()
    ending.show(folder, folder.parent, console(stream, width=100))
    return stream.getvalue()


def texts(html: str) -> str:
    """The text of a page, with its signs as the terminal has them."""
    return html.replace("\N{MINUS SIGN}", "-").replace("\N{NON-BREAKING HYPHEN}", "-")


def evaluation(folder: Path) -> Any:
    """The numbers of the evaluation in a folder."""
    return tuning_of(folder, 100)["tuning"]["evaluation"]


# The verdict


@pytest.mark.parametrize("right", [0.32, 0.7], ids=["not shown", "shown"])
def test_page_terminal_and_numbers_say_whether_a_difference_is_shown(right: float, home: Path) -> None:
    """With zero in the interval they say that no difference is shown, else which one it is."""
    name = f"model-{right}"
    tunings.write_training(home / name)
    made = tunings.write_evaluation(home / name, {"embedded": 0.3, "tuned": right})
    (one,) = made["differences"]
    between = f"{one['low']:+.1f} to {one['high']:+.1f}"
    if right > 0.5:
        assert one["low"] > 0
        sentence = (
            f"The tuned model scores {one['mean']:.1f} points of ROUGE-L more than its base (95% interval"
        )
        sentence = f"{sentence} {between})."
    else:
        assert one["low"] < 0 < one["high"]
        way = "more" if one["mean"] > 0 else "less"
        sentence = (
            f"No difference is shown: the tuned model scores {abs(one['mean']):.1f} points of ROUGE-L {way}"
        )
        sentence = f"{sentence} than its base, and the 95% interval ({between}) has zero in it."
    assert command(["report", name]) == 0
    numbers = json.loads((home / name / "stats.json").read_text(encoding="utf-8"))
    page = (home / name / "report.html").read_text(encoding="utf-8")
    assert numbers["tuning"]["evaluation"]["differences"][0]["says"] == sentence
    assert f">{sentence}<" in texts(page)
    terminal = told(home / name)
    assert sentence in terminal
    assert ("No difference" in terminal, "No difference is" in page) == (right < 0.5, right < 0.5)


def test_a_figure_says_how_many_tasks_count(tmp_path: Path) -> None:
    """Of exact match, only the tasks that ask for a label."""
    tunings.write_evaluation(tmp_path, {"a": 0.3, "b": 0.8})
    made = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    made["metrics"].append("exact_match")
    for model in made["models"].values():
        for key in ("scores", "at_reference_length"):
            model[key]["exact_match"] = {"mean": 50.0, "low": 40.0, "high": 60.0, "tasks": 7}
    tunings.write(tmp_path / "evaluation.json", made)
    reads = {figure.title: figure.read for figure in figures(evaluation(tmp_path))}
    assert "over 24 tasks" in reads["ROUGE-L of each model"]
    assert "over 7 tasks" in reads["exact match of each model"]


def test_models_that_were_not_tuned_are_called_by_their_names(tmp_path: Path) -> None:
    """A difference of two of three models; a name keeps its case."""
    tunings.write_evaluation(tmp_path, {"gpt": 0.3, "beta": 0.8, "gamma": 0.9})
    found = [one["says"] for one in evaluation(tmp_path)["differences"]]
    assert len(found) == 3
    assert found[0].startswith("beta scores ")
    assert "more than gpt (95% interval" in found[0]


def test_a_difference_that_length_explains_is_said_to(tmp_path: Path) -> None:
    """The same words, but fewer of them: shown as answered, and not at equal length."""
    those = tunings.tasks()
    whole = tunings.answers("tuned", those, 0.6)
    cut = [" ".join(str(text).split()[:4]) for text in whole.texts]
    tunings.write_evaluation(tmp_path, {"base": Answers("base", list(cut)), "tuned": whole})
    tunings.write_training(tmp_path)
    (one,) = evaluation(tmp_path)["differences"]
    assert one["shown"]
    assert not one["at_equal_length"]["shown"]
    (warning,) = one["warnings"]
    assert warning.startswith("Length explains it: with both answers cut to the same number of words")
    assert warning in told(tmp_path)
    tunings.write_evaluation(tmp_path, {"base": whole, "tuned": Answers("tuned", list(cut))})
    (one,) = evaluation(tmp_path)["differences"]
    assert any("their median is 4 words, where the references have 10" in text for text in one["warnings"])


@pytest.mark.parametrize(
    ("mean", "low", "high", "words"),
    [
        (0.0, -1.0, 1.0, "scores the same in ROUGE-L as a, and"),
        (0.04, 0.01, 0.3, "0.04 points of ROUGE-L more than a (99.5% interval +0.01 to +0.3)"),
        (-3.0, -5.0, -1.0, "3.0 points of ROUGE-L less than a (99.5% interval -5.0 to -1.0)"),
    ],
)
def test_small_differences_keep_their_digits(mean: float, low: float, high: float, words: str) -> None:
    """A bound that is not zero is not printed as zero."""
    shown = low > 0 or high < 0
    one = Difference(before="a", after="b", metric="rouge_l", mean=mean, low=low, high=high, shown=shown)
    assert words in says(one, 0.995)


def test_an_equal_length_without_a_task_says_nothing() -> None:
    """If a model answered nothing, no answers can be cut to the same length."""
    none = {"mean": 0.0, "low": 0.0, "high": 0.0, "shown": False, "tasks": 0}
    one = Difference.model_validate(
        {"before": "a", "after": "b", "metric": "rouge_l", "mean": 9, "low": 5, "high": 12, "shown": True}
        | {"at_equal_length": none}
    )
    assert list(warnings(one, Evaluated(scores={}, words=10), 10)) == []


# The files


def test_many_losses_become_a_curve_that_a_page_can_hold(tmp_path: Path) -> None:
    """Each point is the mean of as many steps; the first and the last epoch stay apart."""
    losses = [{"step": n, "epoch": n / 500, "loss": 3.0 - n / 1000} for n in range(1, 1001)]
    tunings.write_training(tmp_path, losses=losses)
    found = tuning_of(tmp_path, 0)["tuning"]["training"]
    assert len(found["losses"]) <= POINTS
    assert found["losses"][0]["loss"] == pytest.approx(sum(3.0 - n / 1000 for n in (1, 2, 3)) / 3)
    assert found["losses"][-1]["step"] == 1000
    assert found["epochs_end"] == [500]
    assert found["first_loss"] > found["last_loss"]


def test_a_loss_that_is_not_a_number_is_said(home: Path) -> None:
    """The page stays valid: JSON has no NaN."""
    losses = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": float("nan")}]
    tunings.write_training(home / "failed", losses=losses, state="stopped")
    assert command(["report", "failed"]) == 0
    page = (home / "failed/report.html").read_text(encoding="utf-8")
    assert "The loss is not a number from step 2 on" in page
    assert "The training was stopped" in page
    assert "NaN" not in (home / "failed/stats.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        (
            "evaluation.json",
            '{"eval": "x", "tasks": 3, "mod',
            "model/evaluation.json is left out: it is not valid",
        ),
        ("evaluation.json", "[]", "model/evaluation.json is left out"),
        ("training.json", '{"state": "finished", "kind": "lora"}', "model/training.json is left out: base"),
        ("answers.jsonl", '{"id": 3}', "model/answers.jsonl is left out: id"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_note(tmp_path: Path, name: str, text: str, note: str) -> None:
    """The rest is shown."""
    folder = tmp_path / "model"
    tunings.write_training(folder)
    tunings.write_evaluation(folder, {"embedded": 0.3, "tuned": 0.6})
    (folder / name).write_text(text, encoding="utf-8")
    found = tuning_of(folder, 100)
    assert found["tuning"]["notes"][0].startswith(note)
    there = {key for key in ("training", "evaluation") if found["tuning"][key]}
    assert there == {"training", "evaluation"} - {name.removesuffix(".json")}


def test_a_run_without_a_model_has_no_such_section(tmp_path: Path) -> None:
    """Not even an empty one."""
    assert tuning_of(tmp_path / "model", 100, tmp_path / "models") == {}


def test_the_evaluation_may_be_in_a_folder_of_its_own(tmp_path: Path) -> None:
    """As `finetune` writes it; the answers are named as they are seen from the page."""
    tunings.write_training(tmp_path)
    tunings.write_evaluation(tmp_path / "evaluation", {"embedded": 0.3, "tuned": 0.6})
    found = tuning_of(tmp_path, 100)
    assert found["tuning"]["evaluation"]["tasks"] == 24
    assert found["answers"]["file"] == "evaluation/answers.jsonl"


# Answers


def test_answers_are_sorted_by_what_was_gained(tmp_path: Path) -> None:
    """The largest gain is first and the largest loss last, also where there is no room for all."""
    tunings.write_evaluation(tmp_path, {"a": 0.4, "b": 0.6})
    table = tuning_of(tmp_path, 6)["answers"]
    every = tuning_of(tmp_path, 100)["answers"]["rows"]
    gains = [row[1] for row in every]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 0 > gains[-1]
    assert [row[0] for row in table["rows"]] == [row[0] for row in [*every[:3], *every[-3:]]]
    assert table["total"] == 24
    first = every[0]
    assert first[1] == pytest.approx(first[8] - first[6])


def test_predictions_of_others_are_evaluated_and_browsable(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], browser: Any
) -> None:
    """`evaluate` ends with its page; a hostile answer is shown as it is."""
    monkeypatch.delenv("SELFINSTRUCT_REPORT")
    tasks = [
        {"instruction": f"Name colour {n}.", "references": [f"the colour {n} is red"]} for n in range(12)
    ]
    answers = {"poor": ["blue"] * 12, "good": [HOSTILE, *(f"colour {n} is red" for n in range(1, 12))]}
    (home / "tasks.jsonl").write_text("".join(json.dumps(one) + "\n" for one in tasks), encoding="utf-8")
    for name, texts_ in answers.items():
        rows = [json.dumps({"prediction": text}) for text in texts_]
        (home / f"{name}.jsonl").write_text("\n".join(rows), encoding="utf-8")
    given = ("eval.path=tasks.jsonl", "predictions=poor.jsonl,good.jsonl", "eval.resamples=200", "to=ev")
    assert command(["evaluate", *given]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "report: ev/report.html"
    assert [len(one["answers"]) for one in lines(home / "ev/answers.jsonl")] == [2] * 12
    watched = Watched(browser, home / "ev/report.html")
    watched.page.wait_for_selector("[data-table=answers][data-ready]")
    shown = watched.page.inner_text("#answers")
    assert HOSTILE in shown
    assert watched.page.evaluate("window.ran") is None
    assert watched.wrong == watched.asked == []
    rows_ = watched.page.query_selector_all("[data-table=answers] tbody tr")
    assert "+" in rows_[0].query_selector("th").inner_text()
    assert HOSTILE in rows_[-1].inner_text(), "what gained the least is last"


# Sweeps


def test_a_sweep_over_examples_is_a_curve_for_each_other_setting(tmp_path: Path) -> None:
    """Over the examples that there were, on a logarithmic axis where they span a lot, beside the base."""
    jobs = [
        ([f"finetune.examples={count}", f"train={kind}"], min(count, 900), right)
        for kind in ("lora", "full")
        for count, right in ((1000, 0.6), (20, 0.3))
    ]
    tunings.write_sweep(tmp_path, jobs)
    found = tuning_of(tmp_path, 0)["tuning"]["ablation"]
    assert found["axis"] == "finetune.examples"
    assert [(one["series"], one["x"]) for one in found["points"]] == [
        ("train=full", 20),
        ("train=full", 900),
        ("train=lora", 20),
        ("train=lora", 900),
    ]
    assert found["base"] == pytest.approx(found["points"][0]["base"])
    curve = figure(tmp_path, "ablation-score")
    assert [layer["encoding"].get("x", {}).get("scale", {}).get("type") for layer in curve["layer"]][
        -1
    ] == "log"
    assert "No difference is shown for finetune.examples=20" in told(tmp_path)


def test_a_sweep_over_words_is_a_list(tmp_path: Path) -> None:
    """A job that was not evaluated is named."""
    tunings.write_sweep(
        tmp_path,
        [(["finetune.records=accepted"], 50, 0.6), (["finetune.records=all"], 50, 0.4), ([], 9, 0.5)],
    )
    data = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    data["jobs"][2] |= {"evaluation": {}, "error": "the memory ran out"}
    (tmp_path / "comparison.json").write_text(json.dumps(data), encoding="utf-8")
    found = tuning_of(tmp_path, 0)["tuning"]["ablation"]
    assert found["axis"] is None
    assert [one["label"] for one in found["points"]] == ["finetune.records=accepted", "finetune.records=all"]
    assert [one["job"] for one in found["missing"]] == ["2"]
    assert "job 2: the memory ran out" in told(tmp_path)
    rows = figure(tmp_path, "ablation-difference")["data"]["values"]
    assert [row["name"] for row in rows] == [one["label"] for one in found["points"]]


def figure(folder: Path, name: str) -> Any:
    """The specification of a figure."""
    return next(one.spec for one in tuning(tuning_of(folder, 0)) if one.name == name)


# Judgement


def judged() -> dict[str, Any]:
    """A judgement of 10 answers each: a judge that prefers length and position, and disagrees with people."""
    part = {"mean": 50.0, "low": 20.0, "high": 80.0}
    counts = dict(zip("ABCD", (1, 2, 3, 4), strict=True))
    levels = {level: {"count": count, **part, "mean": 10.0 * count} for level, count in counts.items()}
    model = {"rated": 10, "left_out": 1, "levels": levels}
    return {
        "judge": "umpire",
        "ratings": {
            "levels": list("ABCD"),
            "judge": {"models": {"embedded": model, "tuned": model}},
            "agreement": {"records": 30, "same": 0.4, "kappa": 0.1, "weighted_kappa": 0.2, "disagrees": True},
        },
        "pairs": {
            "judge": [
                {
                    "before": "embedded",
                    "after": "tuned",
                    "pairs": 24,
                    "wins": 16,
                    "ties": 4,
                    "losses": 4,
                    "win_rate": {"mean": 75.0, "low": 60.0, "high": 90.0},
                    "shown": True,
                    "at_equal_length": part,
                    "position": {"named": 40, "first_share": 70.0},
                }
            ]
        },
    }


def test_a_judgement_is_told_with_what_speaks_against_it(tmp_path: Path) -> None:
    """Who wins, whether length or position decides, and that the judge disagrees with people."""
    made = tunings.write_evaluation(tmp_path, {"embedded": 0.3, "tuned": 0.6})
    tunings.write(tmp_path / "evaluation.json", {**made, "judged": judged()})
    found = evaluation(tmp_path)["judged"]
    (one,) = found["comparisons"]
    assert one["says"].startswith(
        "By umpire, tuned wins 75.0% of 24 comparisons with embedded (95% interval 60.0%"
    )
    assert [text.partition(":")[0] for text in one["warnings"]] == [
        "Length explains it",
        "The position decides",
    ]
    assert "kappa of 0.20" in found["agreement"][0]["says"]
    assert "The judge disagrees with people" in found["agreement"][0]["says"]
    bars = figure(tmp_path, "ratings")["data"]["values"]
    assert [bar["words"] for bar in bars[:4]] == ["A 10%", "B 20%", "C 30%", "D 40%"]
    tunings.write(tmp_path / "evaluation.json", {**made, "judged": {"pairs": {"judge": [{}]}}})
    assert evaluation(tmp_path)["judged"] is None
    assert "The judgement is left out: judged.pairs" in tuning_of(tmp_path, 0)["tuning"]["notes"][0]


def test_the_form_is_that_of_the_judging(tmp_path: Path) -> None:
    """What is not there is absent, not zero."""
    assert Judged.model_validate({"judge": None}).ratings is None
    made = tunings.write_evaluation(tmp_path, {"a": 0.3})
    tunings.write(tmp_path / "evaluation.json", {**made, "judged": {"judge": "umpire"}})
    assert evaluation(tmp_path)["judged"] is None


# The page of a run


@pytest.fixture(scope="module")
def run(home: Path) -> Path:
    """A run with a model, a sweep and an overlap; its report is written."""
    assert command([*RUN, f"model.options.replies={REPLIES}"]) == 0
    example = lines(home / "run/instances.jsonl")[0]["id"]
    named = [{"example": example, "task": "tasks-3"}, {"example": "seed-1", "task": "tasks-4"}]
    overlap = {"eval": "tasks.jsonl", "examples": 3, "named": named}
    tunings.write_training(home / "run/model", overlap=overlap)
    made = tunings.write_evaluation(home / "run/model/evaluation", {"embedded": 0.3, "tuned": 0.6})
    tunings.write(home / "run/model/evaluation/evaluation.json", {**made, "judged": judged()})
    jobs = [([f"finetune.examples={count}"], count, count / 500) for count in (100, 200, 400)]
    tunings.write_sweep(home / "run/models", jobs)
    assert command(["report", "run"]) == 0
    return home / "run"


@pytest.fixture(scope="module")
def opened(run: Path, browser: Any) -> Watched:
    """The report on a desk, with all its figures drawn."""
    watched = Watched(browser, run / "report.html", viewport={"width": 1280, "height": 900})
    watched.page.wait_for_selector("[data-table=records][data-ready]")
    watched.names = watched.drawn()  # type: ignore[attr-defined]
    return watched


def test_the_report_of_a_run_has_what_tuning_brought(opened: Watched) -> None:
    """Losses, before and after, judgement, the sweep; every figure is drawn, and nothing goes wrong."""
    names = ["loss", "scores-rouge_l", "differences-rouge_l", "categories", "ratings", "wins"]
    assert [*names, "ablation-score", "ablation-difference"] == opened.names[-8:]  # type: ignore[attr-defined]
    shown = opened.page.inner_text("#tuning")
    for words in ("240 examples, 38,400 tokens", "3 longer than train.max_tokens", "learning_rate=0.0002"):
        assert words in shown
    assert "3 examples overlap with tasks of the evaluation tasks.jsonl" in shown
    assert opened.wrong == opened.asked == []


def test_an_example_that_overlaps_leads_to_its_record(opened: Watched) -> None:
    """Only where the page has it."""
    page = opened.page
    page.click("#tuning summary:has-text('Which they are')")
    links = page.query_selector_all("#tuning a[data-find]")
    assert len(links) == 1
    links[0].click()
    assert page.input_value("[data-table=records] input") == links[0].inner_text()
    assert len(page.query_selector_all("[data-table=records] tbody tr")) == 1
    page.fill("[data-table=records] input", "")


def test_a_phone_scrolls_in_one_direction(run: Path, browser: Any) -> None:
    """At 390 pixels nothing is wider than the screen."""
    size = {"width": 390, "height": 844}
    watched = Watched(browser, run / "report.html", viewport=size, color_scheme="dark")
    watched.drawn()
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert watched.wrong == []


def test_the_report_is_written_again_with_the_model(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of `finetune`: that of the run, or that of the folder that the model is in."""
    monkeypatch.delenv("SELFINSTRUCT_REPORT")
    project, quiet = run.parent, Progress(StringIO(), quiet=True)
    (run / "report.html").rename(run.parent / "kept.html")
    assert ending.write_report(run, run / "model", project, quiet) == run / "report.html"
    assert (run / "report.html").read_bytes() == (run.parent / "kept.html").read_bytes()
    tunings.write_training(project / "elsewhere")
    page = ending.write_report(run, project / "elsewhere", project, quiet)
    assert page == project / "elsewhere/report.html"
    assert page.is_file()


def test_runs_are_compared_by_what_tuning_brought(run: Path) -> None:
    """Beside each other, with the interval, and whether it is shown."""
    copytree(run, run.parent / "other")
    tunings.write_evaluation(run.parent / "other/model/evaluation", {"embedded": 0.3, "tuned": 0.31})
    assert command(["report", "run", "other", "to=both.html"]) == 0
    page = texts((run.parent / "both.html").read_text(encoding="utf-8"))
    assert "brought by tuning" in page
    assert page.count("ROUGE-L, no difference shown") == 1
    assert 'data-figure="tuned"' in page
