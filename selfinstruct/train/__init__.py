"""Tuning a model on the dataset of a run; `command` is the verb `finetune`, `kinds` says how to add a kind."""
