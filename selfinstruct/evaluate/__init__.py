"""How good are the answers of a model? Several models answer the same tasks, and their answers are scored.

Each model's answers are a run of the recipe `evaluate`, so they are journaled, cached and continued like any
other. `evaluation` runs and scores them, `metrics` has the scores, `bootstrap` the intervals, `results` what
is written to evaluation.json.
"""
