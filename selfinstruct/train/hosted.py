"""`train=hosted`: a provider tunes its model on the examples, through LiteLLM's calls for tuning jobs.

`hosted_steps` has the steps: upload, start, follow. `hosted.json` in the folder says how far they are
(`hosted_state`), so the same command continues after Ctrl-C or a kill; the job goes on at the provider.

To add a provider for which LiteLLM gets the calls, name it in `llm.fine_tuning.PROVIDERS`.
"""

from __future__ import annotations

import json

from selfinstruct.errors import UserError
from selfinstruct.llm.fine_tuning import SUCCEEDED
from selfinstruct.report.writing import short
from selfinstruct.safety.blot import blotted
from selfinstruct.train import log
from selfinstruct.train.examples import TRAIN, write_examples
from selfinstruct.train.folder import locked, set_aside
from selfinstruct.train.hosted_cost import agree, cost_of, tokens_in
from selfinstruct.train.hosted_server import hyperparameters_of, server_of, write_models
from selfinstruct.train.hosted_state import HOSTED, OVER, STARTED, STARTING, facts_of, state_of
from selfinstruct.train.hosted_steps import Work, forward, look_for_job, run
from selfinstruct.train.kinds import Prepared, Trained


def train(prepared: Prepared) -> Trained:
    """Tune at a provider, or go on with that; see `kinds`.

    Raises:
        UserError: for a fault of the settings, if the user does not agree to the cost, or if the job fails.
        Interrupted: if the user stops it; the job goes on at the provider.
    """
    server = server_of(prepared)
    rows = [{"messages": row["messages"]} for row in prepared.examples.rows]  # ids are not allowed there
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    tokens = tokens_in(rows)
    epochs = round(prepared.train.epochs)
    if prepared.plan_only:
        return Trained(note=cost_of(prepared, tokens, epochs))
    _make_way(prepared)
    with locked(prepared.folder):
        facts = facts_of(
            content,
            base=server.name,
            api_base=server.api_base and blotted(server.api_base),  # as hosted.json has it
            hyperparameters=hyperparameters_of(prepared.train),
            seed=prepared.seed,
        )
        work = Work(prepared, server, content, state_of(prepared.folder / HOSTED, facts))
        if work.state.state == STARTING:  # a kill may have come before the id of the job was written
            run(work, look_for_job(work))
        if work.state.state in OVER:
            prepared.progress.say(f"the job {work.state.job} {work.state.state}: {work.state.error}")
        if work.state.state not in (STARTED, SUCCEEDED):
            agree(prepared, cost_of(prepared, tokens, epochs))
        write_examples(prepared.examples, prepared.folder)
        if work.state.state != SUCCEEDED:
            run(work, forward(work))
        return _finished(work, tokens)


def _make_way(prepared: Prepared) -> None:
    """Set aside what is in the folder if the user says so; refuse if it belongs to another training."""
    folder = prepared.folder
    others = [name for name in (log.FILE, TRAIN) if (folder / name).exists()]
    if not prepared.fresh and others and not (folder / HOSTED).exists():
        raise UserError(
            f"{short(folder, prepared.project)} has files of another training: {', '.join(others)}\n"
            "  To set the folder aside: fresh=true; to write to another folder: to=DIR"
        )
    if prepared.fresh and folder.exists() and any(folder.iterdir()):
        prepared.progress.say(f"what was there is now in {set_aside(folder)}; a job of it goes on")


def _finished(work: Work, tokens: int) -> Trained:
    """What came of the job.

    Raises:
        UserError: if it ended without a model.
    """
    state, prepared = work.state, work.prepared
    if state.state in OVER:
        raise UserError(_without_model(work))
    if not state.model:
        raise UserError(
            f"{work.server.name}: the job {state.job} succeeded, but names no model\n"
            "  look at the provider's page"
        )
    _write_training(work, tokens)
    base, tuned = write_models(prepared, work.server, state.model)
    name = f"{work.server.name.partition('/')[0]}/{state.model}"
    lines = [f"tuned: {name}, in conf/model/{tuned}.yaml", f"to use it: model={tuned}"]
    if work.server.name.startswith("openai/"):
        lines[-1] += f", or model=openai model.name={name}"
        return Trained((base, tuned), "\n".join(lines))
    lines.append(
        "Azure answers only from a deployment: deploy the model on its page, write the name of the "
        f"deployment in conf/model/{tuned}.yaml, and type: selfinstruct evaluate model={base},{tuned}"
    )
    return Trained(note="\n".join(lines))


def _without_model(work: Work) -> str:
    state = work.state
    why = f": {state.error}" if state.error else ""
    again = "run the same command again to start a new job, with the file that is there; you are asked first"
    if "training_file" in why or "validation" in why.lower() or "format" in why.lower():
        again = f"look at {HOSTED} and train.jsonl, change finetune.where or the run, and {again}"
    return f"{work.server.name}: the job {state.job} {state.state}{why}\n  {again}"


def _write_training(work: Work, tokens: int) -> None:
    prepared, state = work.prepared, work.state
    log.write(
        prepared.folder,
        {
            "state": log.FINISHED,
            "kind": prepared.train.kind,
            "base": prepared.train.base,
            "model": state.model,
            "job": state.job,
            "examples": len(prepared.examples.rows),
            "tokens": state.tokens or tokens,
            "epochs": prepared.train.epochs,
            "losses": [],
            "train": prepared.train.model_dump(),
            "finetune": prepared.finetune.model_dump(),
            "left_out": dict(prepared.examples.left_out),
            "overlap": dict(prepared.overlap),
            "seed": prepared.seed,
        },
    )
