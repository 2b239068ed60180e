"""The modules whose tests take more than half a second each on average: they run whole commands, or wait.

`make quick` leaves them out. Add a module here when `--durations` shows that its tests take as long.
"""

from __future__ import annotations

MODULES = {  # by folder, without `test_`
    "": "api children plugins replay runner",
    "cli": "cli new outside",
    "cluster": "cluster cluster_requests head_gone starting",
    "dataset": "push",
    "describe": "description",
    "docs": "architecture docs notebook site tuning_pages wings",
    "evaluate": "evaluate_command judged_answers",
    "filters": "answers_agree semantic within",
    "journal": "damage kills shelf",
    "llm": "batch_open batch_results batch_texts batch_troubles batches client failing_servers failures "
    "faults first_request guard limits llm local prefill prompt_cache quotas thinking",
    "merge": "merge_command merged_run",
    "monitor": "progress",
    "parse": "labels",
    "plan": "plan prompt_caching seed_lint",
    "project": "composition configfiles",
    "recipe": "check fuzz parts renamed",
    "recipes": "checked distill evolve judged judges personas preferences recipes shorten tools "
    "topics_recipe translate",
    "report": "bounded_memory page reasons tuning",
    "review": "review_browser review_command review_end_to_end review_server",
    "run_folder": "handover labelled_records shape verify",
    "show": "show_command",
    "sources": "papers",
    "stages": "continuing converse documents pair records rows_in_memory sample topics unasked",
    "sweeps": "sweeps",
    "text": "diversity novelty",
    "train": "examples files hosted",
}
