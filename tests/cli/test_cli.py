"""The command line: help, verbs, Hydra's own options, sweeps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import Typed, lines

from selfinstruct.project.layout import GROUPS, headline, listing, packaged

PAPER = ("recipe=paper", "model=scripted")


def test_help_lists_recipes_and_groups_with_a_line_each(typed: Typed, project: Path) -> None:
    """Every recipe and every member of every group has its own line of help."""
    status, out, _ = typed("--help")
    assert status == 0
    shown = [listing("recipes", project), *(listing(f"conf/{group}", project) for group in GROUPS)]
    for files in shown:
        for name, path in files.items():
            assert headline(path), f"{path} has no headline"
            assert f"{name} " in out
            assert headline(path) in out


def test_cfg_job_prints_the_composed_recipe(typed: Typed, project: Path) -> None:
    """`--cfg job` shows every key with the overrides in it, and runs nothing."""
    status, out, _ = typed(*PAPER, "target=7", "--cfg", "job")
    assert status == 0
    config = yaml.safe_load(out)
    assert config["target"] == 7
    assert config["filters"]["instructions"]["rouge_l"]["threshold"] == 0.7
    assert list(project.iterdir()) == []


def test_run_may_be_written_out(typed: Typed, project: Path) -> None:
    """`selfinstruct run …` is `selfinstruct …`."""
    assert typed("run", *PAPER, "target=2")[0] == 0
    assert len(lines(project / "runs/paper/instructions.jsonl")) == 2


def test_help_is_a_verb_too(typed: Typed) -> None:
    """`help` shows what `--help` shows."""
    assert typed("help") == typed("--help") == typed("run", "-h")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["foo"],
            ["unknown verb 'foo'", "known: check, evaluate, export, finetune, help, merge, new"],
        ),
        (["chekc", *PAPER], ["unknown verb 'chekc'", "did you mean 'check'?"]),
        (["-m", "chekc", *PAPER], ["unknown verb 'chekc'"]),
        (["quickstart"], ["unknown verb 'quickstart'", "recipe=quickstart"]),
    ],
)
def test_a_word_that_is_no_verb(typed: Typed, arguments: list[str], words: list[str]) -> None:
    """The verbs there are, the nearest, or how a recipe is chosen."""
    status, _, err = typed(*arguments)
    assert status == 1
    assert all(word in err for word in words), err


def test_replay_has_help_of_its_own(typed: Typed) -> None:
    """`replay --help` says what it takes and where the replay goes."""
    for flag in ("--help", "-h"):
        status, out, _ = typed("replay", flag)
        assert status == 0
        assert "selfinstruct replay RUN [KEY=VALUE" in out
        assert "runs/paper.replay-1" in out


@pytest.mark.parametrize("options", [["-m"], ["--multirun"], ["--cfg", "job"]])
def test_a_verb_may_stand_after_options(typed: Typed, project: Path, options: list[str]) -> None:
    """`-m check` checks each job; the value of an option is no verb."""
    status, out, err = typed(*options, "check", *PAPER, "mix.generated=0")
    assert status == 0, err
    assert "no fault found" in out or "target: 100" in out
    assert not (project / "runs").exists()


def test_any_parameter_of_a_request_may_be_set(typed: Typed, project: Path) -> None:
    """Sampling, variables and conditions on seeds take keys that the recipe does not have yet."""
    keys = ("model.sampling.top_k=5", "prompts.instructions.sampling.min_p=0.1", "seeds.where.name=x")
    config = yaml.safe_load(typed(*PAPER, *keys, "--cfg", "job")[1])
    assert config["model"]["sampling"] == {"top_k": 5}
    assert config["prompts"]["instructions"]["sampling"]["min_p"] == 0.1
    assert "seeds.where: no line" in typed("check", *PAPER, *keys)[2]
    assert typed("check", *PAPER, *keys[:2])[0] == 0
    config = yaml.safe_load(
        typed(*PAPER, "seeds.where={name: x}", "model.sampling={a: 1}", "--cfg", "job")[1]
    )
    assert (config["seeds"]["where"], config["model"]["sampling"]) == ({"name": "x"}, {"a": 1})


def test_a_sweep_makes_a_run_folder_a_job(typed: Typed, project: Path) -> None:
    """`-m` runs each combination in a folder of its own."""
    status, _, err = typed("-m", *PAPER, "target=3", "mix.generated=0,2")
    assert status == 0, err
    (sweep,) = (project / "sweeps").iterdir()
    for job in ("0", "1"):
        assert len(lines(sweep / job / "instructions.jsonl")) == 3
        assert (sweep / job / ".hydra/overrides.yaml").exists()


def test_a_failed_job_of_a_sweep_is_told_and_the_others_run(typed: Typed, project: Path) -> None:
    """The number and the fault of the job that failed, exit status 1, and the other job's files."""
    status, _, err = typed("-m", *PAPER, "target=3", "filters.instructions.rouge_l.threshold=2,0.7")
    assert status == 1
    assert "job 0" in err
    assert "should be less than 1" in err
    assert "Traceback" not in err
    (sweep,) = (project / "sweeps").iterdir()
    assert len(lines(sweep / "1/instructions.jsonl")) == 3


def test_version(typed: Typed) -> None:
    """`--version` prints the version alone."""
    assert typed("--version")[1].strip().count(".") == 2


def test_progress_is_plain_lines_where_there_is_no_terminal(typed: Typed, project: Path) -> None:
    """A line a stage with accepted of target, acceptance rate, requests in flight and tokens."""
    status, _, err = typed(*PAPER, "target=5")
    assert status == 0
    assert "instructions: 5 of 5" in err
    assert "accepted" in err
    assert "in flight" in err
    assert "tokens" in err
    assert "\x1b" not in err


def test_help_and_check_import_nothing_heavy(project: Path) -> None:
    """Neither imports LiteLLM, NumPy or rapidfuzz, which take seconds."""
    code = (
        "import sys; from selfinstruct.cli.main import command; command(sys.argv[1:]);"
        "heavy = ('litellm', 'numpy', 'rapidfuzz', 'rich', 'pandas', 'rouge_score');"
        "print([name for name in heavy if name in sys.modules])"
    )
    for arguments in (["--help"], ["check", *PAPER]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=project, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", sorted(path.stem for path in (packaged() / "recipes").glob("*.yaml")))
def test_every_recipe_passes_check(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, project: Path, name: str
) -> None:
    """Each recipe that ships has no fault, and its header has the command that runs it."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    status, out, err = typed("check", f"recipe={name}")
    assert status == 0, err
    assert f"recipe {name}: no fault found" in out
    header = (packaged() / f"recipes/{name}.yaml").read_text().split("defaults:")[0]
    assert f"selfinstruct recipe={name}" in header


@pytest.mark.parametrize("name", sorted(path.stem for path in (packaged() / "conf/model").glob("*.yaml")))
def test_every_model_has_the_same_keys(project: Path, name: str) -> None:
    """A model file has all of name, mode, api_base, api_key_env, concurrency, timeout, retries, sampling."""
    keys = yaml.safe_load((packaged() / f"conf/model/{name}.yaml").read_text())
    wanted = {"name", "mode", "api_base", "api_key_env", "concurrency", "timeout", "retries", "sampling"}
    assert wanted <= set(keys)
