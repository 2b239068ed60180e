"""A task for EleutherAI's lm-evaluation-harness: a folder with its YAML file, its documents and its metrics.

    selfinstruct evaluate eval=user_tasks harness=DIR
    lm_eval --include_path DIR --tasks user_tasks --apply_chat_template --model hf --model_args pretrained=…

The folder can be moved: utils.py reads the documents that lie beside it. Prompts are filled here, by the
template of the section eval; rouge-score and sacrebleu, which the harness installs, compute the scores.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfinstruct.errors import UserError
from selfinstruct.evaluate.answers import Task
from selfinstruct.evaluate.classification import labelled
from selfinstruct.evaluate.metrics import CHRF, EXACT_MATCH, ROUGE_L
from selfinstruct.evaluate.prepared import Prepared
from selfinstruct.evaluate.results import counted, metrics_of
from selfinstruct.run_folder.folder import write_whole

DOCUMENTS, UTILS = "tasks.jsonl", "utils.py"
HERE = (ROUGE_L, CHRF, EXACT_MATCH)  # the metrics that utils.py has


def hand_over(prepared: Prepared, to: Path, name: str) -> list[Path]:
    """Write the task into a folder; return the files.

    Args:
        prepared: the evaluation.
        to: the folder; it is made if it does not exist.
        name: the name of the task.

    Raises:
        UserError: if a metric is one that the task cannot have.
    """
    metrics = metrics_of(prepared.config, prepared.tasks)
    if not metrics or not set(metrics) <= set(HERE):
        others = ", ".join(metric for metric in metrics if metric not in HERE) or "none"
        known = ", ".join(HERE)
        raise UserError(f"harness: such a task can have {known}, not {others}; set eval.metrics=[chrf]")
    name = re.sub(r"\W+", "_", name)
    rows = _documents(prepared, metrics)
    documents = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows)
    files = {
        to / f"{name}.yaml": _yaml(prepared, metrics, name),
        to / DOCUMENTS: documents,
        to / UTILS: _UTILS,
    }
    for path, text in files.items():
        write_whole(path, [text.encode()])
    return list(files)


def _documents(prepared: Prepared, metrics: Sequence[str]) -> list[dict[str, Any]]:
    labels = labelled(prepared.tasks)
    places = {metric: set(counted(metric, labels)) for metric in metrics}
    return [
        {
            "id": task.name or task.id,
            "prompt": _prompt(prepared, task),
            "references": list(task.references),
            "category": task.category,
            "metrics": [metric for metric in metrics if place in places[metric]],
        }
        for place, task in enumerate(prepared.tasks)
    ]


def _prompt(prepared: Prepared, task: Task) -> str:
    from selfinstruct.prompts.rendering import render

    fields = {"instruction": task.instruction, "input": task.input, "category": task.category}
    return render(prepared.config.template, fields)


def _yaml(prepared: Prepared, metrics: Sequence[str], name: str) -> str:
    import yaml

    config = prepared.config
    task: dict[str, Any] = {
        "task": name,
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{references[0]}}",
        "generation_kwargs": {
            "until": [],
            "max_gen_toks": config.max_tokens,
            "do_sample": config.temperature > 0,
            **({"temperature": config.temperature} if config.temperature > 0 else {}),
        },
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in metrics
        ],
        "num_fewshot": 0,
        "metadata": {"version": 1.0},
    }
    body = yaml.safe_dump(task, sort_keys=False, allow_unicode=True)
    functions = (
        "custom_dataset: !function utils.documents\nprocess_results: !function utils.process_results\n"
    )
    system = f"#   --system_instruction {json.dumps(config.system)}\n" if config.system else ""
    count, file = len(prepared.tasks), Path(config.path).name
    head = (
        f"# {count} tasks from {file}, for lm-evaluation-harness. A chat model answers them with\n"
        f"#   lm_eval --include_path . --tasks {name} --apply_chat_template --model hf --model_args …\n"
    )
    return f"{head}{system}{body}{functions}"


_UTILS = '''\
"""The documents of the task, and the scores of an answer: the best of its references, from 0 to 100."""

import json
import string
import unicodedata
from functools import lru_cache
from pathlib import Path


def documents(**kwargs):
    """The documents as lm-evaluation-harness wants them: a dataset with the split test."""
    import datasets

    lines = Path(__file__).with_name("tasks.jsonl").read_text(encoding="utf-8").split("\\n")
    rows = [json.loads(line) for line in lines if line]
    return datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})


def process_results(doc, results):
    """The scores of the answer to a document, by the metrics for which it counts."""
    answer, known = results[0].strip(), {"rouge_l": rouge_l, "chrf": chrf, "exact_match": exact_match}
    return {
        name: max(known[name](answer, one) for one in doc["references"]) if answer else 0.0
        for name in doc["metrics"]
    }


def rouge_l(answer, reference):
    """ROUGE-L's F-measure with Porter stemming."""
    return _rouge().score(reference, answer)["rougeL"].fmeasure * 100


def chrf(answer, reference):
    """chrF2 of a sentence."""
    return _chrf().sentence_score(answer, [reference]).score


def exact_match(answer, reference):
    """Whether both are the same but for case, punctuation and white space."""
    return 100.0 * (_plain(answer) == _plain(reference))


def _plain(text):
    kept = (c for c in text.lower() if c not in string.punctuation and unicodedata.category(c)[0] != "P")
    return " ".join("".join(kept).split())


@lru_cache(maxsize=1)
def _rouge():
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


@lru_cache(maxsize=1)
def _chrf():
    from sacrebleu.metrics import CHRF

    return CHRF()
'''
