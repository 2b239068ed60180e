"""Tuning a model on the dataset of a run; `command` is the verb `finetune`."""
