"""Sweeps: many runs of one command, how they compare, and that they survive their own failures."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import children
import pytest
from conftest import Typed
from killing import data, start, stored
from server import Answer, Asked, ModelServer, by_prompt

PAPER = ("recipe=paper", "model=scripted", "target=6")
THRESHOLD = "filters.instructions.rouge_l.threshold"
COSTS = ("requests", "tokens", "cost_usd", "seconds")
DIVERSITY = (
    "distinct_first_words",
    "distinct_openings",
    "mean_rouge_l_seed",
    "mean_rouge_l_other",
    "mean_words",
)
GRID = ("-m", *PAPER, f"{THRESHOLD}=0.4,0.5", "seed=1,2")


def whole(sweep: Path) -> dict[str, Any]:
    """What `sweep.json` holds."""
    return dict(json.loads((sweep / "sweep.json").read_text(encoding="utf-8")))


def jobs(sweep: Path) -> dict[int, dict[str, Any]]:
    """Its jobs by number."""
    return {job["job"]: job for job in whole(sweep)["jobs"]}


def job(sweep: Path, number: int) -> dict[str, Any]:
    """What a job told of itself."""
    return dict(json.loads((sweep / str(number) / "job.json").read_text(encoding="utf-8")))


def states(sweep: Path) -> list[str]:
    """What became of the jobs, by number."""
    return [one["state"] for _, one in sorted(jobs(sweep).items())]


def stamps(folder: Path) -> dict[str, int]:
    """When each file of a folder was written, but for what only looking at it touches."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("run.")]
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


def at(server: ModelServer, *keys: str) -> list[str]:
    """The arguments of a sweep that asks a server."""
    name = "model.name=hosted_vllm/tiny"
    return ["-m", "recipe=paper", "model=vllm", name, f"model.api_base={server.base}", *keys]


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep over thresholds and seeds, made by a child process."""
    project = tmp_path_factory.mktemp("grid")
    process = start(project, *GRID, "sweep_dir=s")
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return project / "s"


# What a sweep leaves


def test_each_job_has_a_run_folder_of_its_own(grid: Path, typed: Typed, project: Path) -> None:
    """With the files of a run under these overrides, and job.json."""
    assert sorted(path.name for path in grid.iterdir() if path.is_dir()) == ["0", "1", "2", "3"]
    expected = [(threshold, seed) for threshold in ("0.4", "0.5") for seed in ("1", "2")]
    for number, (threshold, seed) in enumerate(expected):
        one = job(grid, number)
        assert one["overrides"] == [*PAPER, f"{THRESHOLD}={threshold}", f"seed={seed}"]
        assert (one["job"], one["state"], one["error"]) == (number, "finished", None)
        assert one["objective"] == "acceptance_rate"
        assert one["value"] == one["figures"]["acceptance_rate"]
    assert typed(*PAPER, f"{THRESHOLD}=0.4", "seed=2", "run_dir=alone")[0] == 0
    assert data(grid / "1") == data(project / "alone")
    assert {path.name for path in (grid / "1").iterdir()} - {"job.json"} == {
        path.name for path in (project / "alone").iterdir()
    }


def test_sweep_csv_and_json_have_a_row_for_each_job_best_first(grid: Path) -> None:
    """Overrides, counts, rejected by check, costs, seconds, figures of diversity; sorted by the objective."""
    found = whole(grid)
    assert (found["objective"], found["axes"]) == ("acceptance_rate", [THRESHOLD, "seed"])
    values = [one["value"] for one in found["jobs"]]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) > 1
    with (grid / "sweep.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["job"]) for row in rows] == [one["job"] for one in found["jobs"]]
    for row, one in zip(rows, found["jobs"], strict=True):
        summary = json.loads((grid / row["job"] / "summary.json").read_text())["stages"]["instructions"]
        assert int(row["accepted"]) == summary["accepted"]
        assert int(row["candidates"]) == summary["candidates"]
        assert int(row["rejected.instructions.rouge_l"] or 0) == summary["rejected"].get("rouge_l", 0)
        assert f"{THRESHOLD}={row[THRESHOLD]}" in row["overrides"]
        assert float(row["value"]) == one["value"]
        for name in [
            "requests",
            "tokens",
            "cost_usd",
            "seconds",
            "distinct_first_words",
            "distinct_openings",
            "mean_rouge_l_seed",
            "mean_rouge_l_other",
            "mean_novelty",
            "mean_words",
        ]:
            assert float(row[name]) >= 0


def test_jobs_that_differ_in_one_axis_alone_stand_side_by_side(grid: Path) -> None:
    """For each axis a group for each setting of the others."""
    found, made = whole(grid)["side_by_side"], jobs(grid)
    assert len(found) == 4
    by_threshold = [group for group in found if group["axis"] == THRESHOLD]
    assert [group["where"] for group in by_threshold] == [{"seed": "1"}, {"seed": "2"}]
    assert {value: one["job"] for value, one in by_threshold[1]["jobs"].items()} == {"0.4": 1, "0.5": 3}
    assert by_threshold[1]["jobs"]["0.5"]["value"] == made[3]["value"]
    by_seed = [group for group in found if group["axis"] == "seed"]
    assert [group["where"] for group in by_seed] == [{THRESHOLD: "0.4"}, {THRESHOLD: "0.5"}]


def test_a_finished_sweep_started_again_does_nothing(grid: Path, typed: Typed, project: Path) -> None:
    """No file of a run is touched; the table is printed again. A job in between that is gone is done anew."""
    shutil.copytree(grid, project / "s")
    before = {number: stamps(project / "s" / str(number)) for number in range(4)}
    shutil.rmtree(project / "s/2")
    status, out, err = typed(*GRID, "sweep_dir=s")
    assert status == 0, err
    assert "sweep of 4 jobs, best first by acceptance_rate" in out
    for number in (0, 1, 3):
        now = stamps(project / f"s/{number}")
        assert {name for name in now if now[name] != before[number][name]} <= {"job.json"}
    assert jobs(project / "s")[2]["figures"]["accepted"] == 6
    assert data(project / "s/2") == data(grid / "2")
    places = [
        out.index(f"\n   {number}  ") for number in (one["job"] for one in whole(project / "s")["jobs"])
    ]
    assert places == sorted(places), "the table is sorted as the files are"


def test_a_sweep_of_other_settings_is_refused_its_folder(grid: Path, typed: Typed, project: Path) -> None:
    """Job by job; those whose settings are the same stay, and the first sweep can still be gone on with."""
    shutil.copytree(grid, project / "s")
    other = [part.replace("seed=1,2", "seed=7,2") for part in GRID]
    status, _, err = typed(*other, "sweep_dir=s")
    assert status == 1
    assert states(project / "s") == ["failed", "finished", "failed", "finished"]
    assert "seed: 1 → 7" in err
    assert "sweep_dir" in err
    assert not jobs(project / "s")[0]["figures"], "those of another job"
    assert all(data(project / f"s/{number}") == data(grid / str(number)) for number in range(4))
    status, _, err = typed(*GRID, "sweep_dir=s")
    assert status == 0, err
    mine, theirs = jobs(project / "s"), jobs(grid)
    for number in range(4):
        assert mine[number]["figures"] == theirs[number]["figures"]


# Failures


def test_a_job_that_fails_ends_no_other(typed: Typed, project: Path) -> None:
    """It is told with its number, its overrides and why; exit status 1; mended, only it is run."""
    status, out, err = typed("-m", *PAPER, f"{THRESHOLD}=0.5,7,0.4", "sweep_dir=s")
    assert status == 1
    assert states(project / "s") == ["finished", "failed", "finished"]
    assert f"job 1 failed: {' '.join(PAPER)} {THRESHOLD}=7" in err
    assert f"{THRESHOLD}" in jobs(project / "s")[1]["error"]
    assert "Traceback" not in err
    assert "job 1: failed:" in out
    assert list(whole(project / "s")["jobs"])[-1]["job"] == 1
    assert not list((project / "s/1").glob("*.sqlite"))
    status, out, err = typed("-m", *PAPER, f"{THRESHOLD}=0.5,0.45,0.4", "sweep_dir=s")
    assert status == 0, err
    assert states(project / "s") == ["finished"] * 3


def test_a_budget_is_each_jobs_own_and_may_grow(typed: Typed, project: Path) -> None:
    """Exit status 3, with the figures so far; the same sweep with a larger one goes on."""
    keys = ("-m", *PAPER, "seed=1,2", "cache=off", "sweep_dir=s")
    status, out, err = typed(*keys, "budget.requests=5")
    assert status == 3, err
    assert states(project / "s") == ["budget", "budget"]
    for one in jobs(project / "s").values():
        assert one["figures"]["requests"] == 5
        assert one["figures"]["accepted"] > 0
        assert one["value"] is not None
    assert "budget.requests=5 is reached" in out
    status, _, err = typed(*keys, "budget.requests=500")
    assert status == 0, err
    assert states(project / "s") == ["finished", "finished"]
    assert all(one["figures"]["accepted"] == 6 for one in jobs(project / "s").values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["filters.instructions.rouge_x.threshold=0.5,0.6"], ["rouge_x", "did you mean", "rouge_l"]),
        (["modle=openai,vllm"], ["modle", "model"]),
        (["model=opneai,vllm"], ["opneai", "openai"]),
        (["recipe=glob(zz*)"], ["recipe=glob(zz*): no recipe matches", "chat", "paper"]),
        (["model=glob(*zz)"], ["no model matches", "openai"]),
        (["seed=1,2", "run_dir=x"], ["run_dir would put all jobs into one folder", "sweep_dir=DIR"]),
        (["seed=1,2", "objective=acceptance_rat"], ["objective", "acceptance_rat", "did you mean"]),
        (["seed=1,2", "objective=accepted*novelty"], ["novelty", "mean_novelty"]),
        (["seed=1,2", "hydra/launcher=parallell"], ["parallell", "parallel"]),
        (["seed=1,2", "hydra/sweeper=serch"], ["serch", "search"]),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
def test_what_is_wrong_with_all_of_it_is_told_once(
    typed: Typed, project: Path, words: list[str], said: list[str]
) -> None:
    """Before there is any job; an error, not no jobs and success."""
    recipe = [] if words[0].startswith("recipe") else ["recipe=paper"]
    status, out, err = typed("-m", *recipe, *words, "sweep_dir=s")
    assert (status, out) == (1, "")
    for part in said:
        assert part in err
    assert err.count("selfinstruct: ") == 1
    assert "Traceback" not in err
    assert not list(project.glob("s/*/job.json"))


def test_a_folder_that_no_sweep_can_be_in(typed: Typed, project: Path) -> None:
    """A file, and the folder of a run, which a job's folder inside it would make a mess of."""
    assert typed(*PAPER, "run_dir=run")[0] == 0
    for given, said in (("run/summary.json", "cannot be used: File exists"), ("run", "holds a run")):
        before = stamps(project / "run")
        status, _, err = typed("-m", *PAPER, "seed=1,2", f"sweep_dir={given}")
        assert status == 1
        assert f"sweep_dir: {project / given} {said}" in err
        assert "choose another folder" in err
        assert "Traceback" not in err
        assert stamps(project / "run") == before


def test_accepted_per_usd_needs_a_price(typed: Typed, project: Path) -> None:
    """One that is not known, or nothing, is told before anything is asked; with one it is the objective."""
    with ModelServer(by_prompt) as server:
        keys = [*at(server, "target=3", "seed=1,2", "objective=accepted_per_usd"), "sweep_dir=s"]
        for price, said in (
            ([], "needs the price of hosted_vllm/tiny, which is not known"),
            (["model.price.input=0", "model.price.output=0"], "hosted_vllm/tiny costs nothing"),
        ):
            status, _, err = typed(*keys, *price)
            assert status == 1
            assert "objective: accepted_per_usd" in err
            assert said in err
            assert not server.asked
        prices = ["model.price.input=1", "model.price.output=2"]
        status, _, err = typed(*keys, *prices)
        assert status == 0, err
    for one in jobs(project / "s").values():
        assert one["value"] == pytest.approx(one["figures"]["accepted"] / one["figures"]["worth_usd"])


@pytest.mark.parametrize(
    ("choice", "module", "extra"),
    [
        ("hydra/launcher=parallel", "hydra_plugins.hydra_joblib_launcher", "parallel"),
        ("hydra/launcher=slurm", "hydra_plugins.hydra_submitit_launcher", "slurm"),
        ("hydra/launcher=slurm_here", "hydra_plugins.hydra_submitit_launcher", "slurm"),
        ("hydra/launcher=ray_cluster", "hydra_plugins.hydra_ray_launcher", "ray-sweeps"),
        ("hydra/sweeper=search", "hydra_plugins.hydra_optuna_sweeper", "search"),
    ],
)
def test_an_extra_that_is_missing(project: Path, choice: str, module: str, extra: str) -> None:
    """Is named with the install command. The extra may be there: a finder in the child process hides it."""
    name = module.rpartition(".")[2]
    (project / "hide").mkdir()
    (project / "hide/sitecustomize.py").write_text(
        f"""\
import importlib.machinery, pkgutil, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.startswith({module!r}): raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hidden())
walk, hidden = pkgutil.iter_modules, {name!r}
pkgutil.iter_modules = lambda *a, **k: (
    one for one in walk(*a, **k) if one.name.rpartition('.')[2] != hidden)
""",
        encoding="utf-8",
    )
    paths = os.pathsep.join([str(project / "hide"), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = children.run(
        project, "-m", *PAPER, "seed=1,2", choice, "sweep_dir=s", fresh=True, PYTHONPATH=paths
    )
    assert done.returncode == 1, done.stderr
    assert f"{choice.split('=')[0]}=" in done.stderr
    assert f"is not installed: pip install 'selfinstruct[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_leaves_no_files(typed: Typed, project: Path) -> None:
    """`check -m` plans every job and makes nothing, with a sweeper that searches too."""
    status, out, err = typed("check", "-m", *PAPER, f"{THRESHOLD}=0.4,0.5")
    assert (status, out.count("no fault found")) == (0, 2), err
    assert typed("check", "-m", *PAPER, f"{THRESHOLD}=0.4,7")[0] == 1
    search = (f"{THRESHOLD}=interval(0.2,0.7)", "hydra/sweeper=search", "hydra.sweeper.n_trials=2")
    status, out, err = typed("check", "-m", *PAPER, *search)
    assert (status, out.count("no fault found")) == (0, 2), err
    assert list(project.iterdir()) == []


# Going on


def unfinished(sweep: Path) -> bool:
    """Whether job 0 has ended, and job 1 has asked and has not."""
    return (sweep / "0/job.json").exists() and len(stored(sweep / "1")) > 4


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_that_was_stopped_goes_on(typed: Typed, project: Path, how: int) -> None:
    """By the same command with sweep_dir: only what is not finished is asked, and the rest is not touched."""

    def pace(asked: Asked) -> Answer:
        return replace(by_prompt(asked), delay=0.1)

    with ModelServer(pace) as server:
        keys = [*at(server, "target=8", "seed=1,2,3", "model.concurrency=2", "cache=off"), "sweep_dir=s"]
        process = start(project, *keys)
        while not unfinished(project / "s"):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
        if how == signal.SIGINT:
            assert process.returncode == 130
            assert "to go on: the same command with sweep_dir=s" in err
            assert "Traceback" not in err
            assert job(project / "s", 1)["state"] == "stopped"
            assert whole(project / "s")["jobs"][0]["job"] == 0
        else:
            assert process.returncode == -how
        assert not (project / "s/2/run.sqlite").exists()
        asked, had, finished = len(server.asked), stored(project / "s/1"), stamps(project / "s/0")
        status, _, err = typed(*keys)
        assert status == 0, err
        assert states(project / "s") == ["finished"] * 3
        again = Counter(server.prompts[asked:])
        now = stamps(project / "s/0")
    assert {name for name in now if now[name] != finished[name]} <= {"job.json"}
    assert not {prompt for prompt, _, _ in stored(project / "s/0").values()} & set(again) - {
        prompt for number in (1, 2) for prompt, _, _ in stored(project / f"s/{number}").values()
    }
    both = stored(project / "s/1")
    assert {key: both[key] for key in had} == had
    new = len(both) - len(had) + len(stored(project / "s/2"))
    assert sum(again.values()) == new, "nothing whose reply was stored"


# What is paid for


def test_equal_prompts_are_paid_for_once_in_a_sweep(typed: Typed, project: Path) -> None:
    """A threshold changes what is kept, so jobs that differ in it ask much the same."""
    with ModelServer(by_prompt) as server:
        keys = at(server, "target=6", f"{THRESHOLD}=0.7,0.8,0.9", "sweep_dir=s")
        status, _, err = typed(*keys)
        assert status == 0, err
        asked = Counter(server.prompts)
    assert set(asked.values()) == {1}
    found = jobs(project / "s")
    assert found[0]["figures"]["cached"] == 0
    assert all(found[number]["figures"]["cached"] > 0 for number in (1, 2))
    paid = sum(one["figures"]["requests"] - one["figures"]["cached"] for one in found.values())
    assert paid == len(server.asked)


@pytest.mark.slow
def test_jobs_side_by_side_wait_for_a_prompt_that_another_is_asking(project: Path) -> None:
    """Two at the same moment with a slow server: each prompt is asked once, and both have their reply."""

    def slow(asked: Asked) -> Answer:
        return replace(by_prompt(asked), delay=0.15)

    with ModelServer(slow) as server:
        keys = at(server, "target=6", f"{THRESHOLD}=0.8,0.9", "hydra/launcher=parallel")
        process = start(project, *keys, "hydra.launcher.n_jobs=2", "sweep_dir=s", fresh=True)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        asked = Counter(server.prompts)
    assert set(asked.values()) == {1}
    assert states(project / "s") == ["finished", "finished"]
    assert stored(project / "s/0").keys() == stored(project / "s/1").keys()
    began = [_first(project / f"s/{number}/events.jsonl") for number in (0, 1)]
    ended = [(project / f"s/{number}/summary.json").stat().st_mtime for number in (0, 1)]
    assert max(began) < min(ended), "they did not run side by side"
    assert not list((project / ".cache").rglob("*.claims/*.lock"))


def _first(events: Path) -> float:
    row = json.loads(events.read_text(encoding="utf-8").splitlines()[0])
    return datetime.fromisoformat(row["at"]).timestamp()


@pytest.mark.slow
def test_what_a_killed_process_was_asking_another_takes_over(project: Path) -> None:
    """Its claims end with it, and the one that waits asks itself."""
    gate = threading.Event()

    def held(asked: Asked) -> Answer:
        if asked.number == 1:
            gate.wait(60)
        return by_prompt(asked)

    with ModelServer(held) as server:
        keys = [*at(server, "target=4", "cache.wait=true", "model.concurrency=1")[1:]]
        first = start(project, *keys, "run_dir=first")
        _until(lambda: bool(server.asked), first)
        second = start(project, *keys, "run_dir=second")
        _until(lambda: (project / "second/events.jsonl").exists(), second)
        time.sleep(1.0)
        assert len(server.asked) == 1, "it did not wait"
        assert second.poll() is None
        first.kill()
        first.communicate()
        _, err = second.communicate(timeout=60)
        gate.set()
        assert second.returncode == 0, err
        again = Counter(server.prompts)
    assert sorted(again.values())[-1] == 2
    assert again[server.prompts[0]] == 2
    assert sum(again.values()) == len(again) + 1
    assert len(stored(project / "second")) == len(again)


def _until(condition: Callable[[], bool], process: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)


# What a job is judged by


@pytest.mark.parametrize(
    ("objective", "value"),
    [
        ("acceptance_rate*mean_novelty", lambda one: one["acceptance_rate"] * one["mean_novelty"]),
        ("records * accepted_per_request", lambda one: one["records"] * one["accepted"] / one["requests"]),
    ],
)
def test_objectives(
    grid: Path, typed: Typed, project: Path, objective: str, value: Callable[[dict[str, Any]], float]
) -> None:
    """A figure of the job or a product of several, by which the table is sorted; nothing is asked for it."""
    shutil.copytree(grid, project / "s")
    status, out, err = typed(*GRID, "sweep_dir=s", f"objective={objective}", "cache=off")
    assert status == 0, err
    found = whole(project / "s")
    assert found["objective"] == objective
    for one in found["jobs"]:
        assert one["value"] == pytest.approx(value(one["figures"]))
    values = [one["value"] for one in found["jobs"]]
    assert values == sorted(values, reverse=True)
    assert f"best first by {objective}" in out


@pytest.mark.slow
def test_a_search_finds_the_best_and_goes_on_where_it_was(typed: Typed, project: Path) -> None:
    """The rate of acceptance grows with the threshold, so the best is its highest value; by Optuna."""
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    keys = ["-m", "recipe=paper", "model=scripted", "target=8", f"{THRESHOLD}=choice(0.2,0.3,0.4,0.6)"]
    keys += ["hydra/sweeper=search", "hydra.sweeper.sampler.n_startup_trials=4"]
    status, _, err = typed(*keys, "hydra.sweeper.n_trials=8", "sweep_dir=s")
    missed = 4  # the lower thresholds let too few through
    assert status == missed, err
    assert "Traceback" not in err
    found = jobs(project / "s")
    assert len(found) == 8
    best = {key: one["value"] for key, one in found.items()}
    highest = max(best.values())
    chosen = {number: _threshold(one) for number, one in found.items()}
    assert {chosen[number] for number, value in best.items() if value == highest} == {"0.6"}
    assert whole(project / "s")["jobs"][0]["value"] == highest
    assert Counter(chosen.values()).most_common(1)[0][0] == "0.6", "it did not learn"
    # The first four of them, then the same command to its end: the same search.
    assert typed(*keys, "hydra.sweeper.n_trials=4", "sweep_dir=t")[0] == missed
    assert [_threshold(one) for _, one in sorted(jobs(project / "t").items())] == [
        chosen[number] for number in range(4)
    ]
    before = stamps(project / "t/3")
    assert typed(*keys, "hydra.sweeper.n_trials=8", "sweep_dir=t")[0] == missed
    assert {number: _threshold(one) for number, one in jobs(project / "t").items()} == chosen
    now = stamps(project / "t/3")
    assert {name for name in now if now[name] != before[name]} <= {"job.json"}


def _threshold(one: dict[str, Any]) -> str:
    return next(str(part).partition("=")[2] for part in one["overrides"] if part.startswith(THRESHOLD))


@pytest.mark.slow
def test_a_search_whose_jobs_all_fail(typed: Typed, project: Path) -> None:
    """Is told with its jobs and the reason, not with a traceback of the sweeper's."""
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    keys = ("-m", *PAPER, f"{THRESHOLD}=choice(7,8)", "hydra/sweeper=search", "hydra.sweeper.n_trials=2")
    status, out, err = typed(*keys, "sweep_dir=s")
    assert status == 1
    assert "Traceback" not in err
    assert "sweep of 2 jobs" in out
    assert f"{THRESHOLD}: should be less than 1" in err


# Where jobs run


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["parallel", "slurm_here"])
def test_launchers_give_the_same_table(grid: Path, project: Path, launcher: str) -> None:
    """As jobs one after the other: side by side in processes, and by submitit on this machine."""
    plugin = {"parallel": "joblib", "slurm_here": "submitit"}[launcher]
    pytest.importorskip(f"hydra_plugins.hydra_{plugin}_launcher")
    process = start(project, *GRID, f"hydra/launcher={launcher}", "sweep_dir=s", fresh=True)
    _, err = process.communicate(timeout=250)
    assert process.returncode == 0, err
    mine, theirs = jobs(project / "s"), jobs(grid)
    for number in range(4):
        assert data(project / f"s/{number}") == data(grid / str(number))
        assert _steady(mine[number]) == _steady(theirs[number])
        assert f"job {number}: finished" in err
    assert [one["job"] for one in whole(project / "s")["jobs"]] == [one["job"] for one in whole(grid)["jobs"]]
    assert whole(project / "s")["side_by_side"] == whole(grid)["side_by_side"]


def _steady(one: dict[str, Any]) -> dict[str, Any]:
    """A job without what depends on time."""
    figures = {name: value for name, value in one["figures"].items() if name != "seconds"}
    return {"overrides": one["overrides"], "state": one["state"], "value": one["value"], "figures": figures}


@pytest.mark.parametrize("ranges", [["seed=range(1,99999999)"], ["seed=range(0,200)", "target=range(1,100)"]])
def test_a_sweep_without_end_is_refused(typed: Typed, ranges: list[str]) -> None:
    """Hydra would list all of its jobs first."""
    status, _, err = typed("-m", "recipe=paper", "model=scripted", *ranges)
    assert status == 1
    assert f"{ranges[-1]} makes more than 10,000 jobs; give a sweep fewer values" in err
