"""`selfinstruct evaluate model=A,B eval=NAME`: models answer tasks, and their answers are scored."""

from __future__ import annotations

from pathlib import Path

from selfinstruct.errors import UserError
from selfinstruct.evaluate.evaluation import evaluate
from selfinstruct.monitor.progress import Progress

HELP = """\
selfinstruct evaluate: let models answer tasks, and score their answers

  selfinstruct evaluate model=A,B [eval=NAME] [KEY=VALUE …]

  selfinstruct evaluate model=local,runs/quickstart/model
  selfinstruct evaluate model=openai,anthropic eval=user_tasks eval.path=FILE budget.usd=5
"""


def main(arguments: list[str], project: Path) -> int:
    """Evaluate, and print a table; return the exit status.

    Raises:
        UserError: if the arguments name no model or have a fault.
    """
    named = [part.partition("=")[2] for part in arguments if part.startswith("model=")]
    if len(named) != 1 or not named[0]:
        raise UserError("evaluate takes the models to compare: selfinstruct evaluate model=A,B")
    models = [one.strip() for one in named[0].strip("[]").split(",") if one.strip()]
    own = {key: value for key, _, value in (part.partition("=") for part in arguments) if key == "to"}
    rest = [part for part in arguments if part.partition("=")[0] not in ("model", "to")]
    evaluation = next((part.partition("=")[2] for part in rest if part.startswith("eval=")), "general_en")
    made = evaluate(models, rest, project / own.get("to", f"evaluations/{evaluation}"), project, Progress())
    for name, model in made["models"].items():
        for metric, score in model["scores"].items():
            print(f"{name:<30} {metric} {score['mean']:5.1f} ({score['low']:.1f} to {score['high']:.1f})")
    for one in made["differences"]:
        print(
            f"{one['after']} - {one['before']}: {one['mean']:+.1f} ({one['low']:+.1f} to {one['high']:+.1f})"
        )
    return 0
