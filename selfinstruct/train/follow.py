"""Follows a training: the loss curve in `training.json`, the progress, checkpoints, and the wish to stop."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selfinstruct.config import TrainConfig
from selfinstruct.train import log, memory

WRITE_EVERY = 1.0  # seconds


def follower(
    folder: Path, train: TrainConfig, tokens: Sequence[int], known: Mapping[str, Any], stop: Any, emit: Any
) -> Any:
    """A callback for the trainer.

    Args:
        folder: the folder with `training.json`, which has the facts that are known before.
        train: the section `train`.
        tokens: the tokens seen after each step, from step 0 on.
        known: more facts for `training.json`, `examples` among them.
        stop: `stop.asked` says that the user wants to stop; `stop.training` is set when there is something to
            keep.
        emit: writes a line to the command that waits.
    """
    from transformers import TrainerCallback

    class Follower(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self.facts = {**log.read(folder), **known}
            self.losses: list[dict[str, Any]] = list(self.facts.get("losses") or [])
            self.step = 0
            self._began = self._saved = time.monotonic()
            self._first, self._before, self._written = 0, 0.0, 0.0

        def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            """Go on after the step of the checkpoint; later points of the curve are made again."""
            self.step = self._first = state.global_step
            self.losses = [one for one in self.losses if one["step"] <= self.step]
            self._before = float(self.losses[-1]["seconds"]) if self.losses else 0.0
            self._began = self._saved = time.monotonic()
            self._show(state)
            stop.training = True

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
            """Add a point to the curve; the summary at the end is not one."""
            if logs and "loss" in logs:
                self.losses.append(
                    {
                        "step": state.global_step,
                        "epoch": self._epochs(state.global_step),
                        "loss": round(float(logs["loss"]), 4),
                        "learning_rate": float(logs.get("learning_rate", 0.0)),
                        "seconds": round(self._seconds, 1),
                        "tokens": tokens[state.global_step],
                    }
                )
                self._show(state)
                if time.monotonic() - self._written >= WRITE_EVERY:
                    self.write(log.RUNNING)

        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            """Save a checkpoint if it is time, or if the user stops."""
            self.step = state.global_step
            self._show(state)
            waited = time.monotonic() - self._saved
            if stop.asked or waited >= train.save_minutes * 60:
                control.should_save = control.should_save or self.step < state.max_steps
                self._saved = time.monotonic()
            if stop.asked:
                control.should_training_stop = True

        def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            self.write(log.RUNNING)

        @property
        def _seconds(self) -> float:
            return self._before + time.monotonic() - self._began

        def _epochs(self, step: int) -> float:
            """How often each example was seen after a step; the last step may not be full."""
            return float(min(train.epochs, round(step * train.batch_size / known["examples"], 3)))

        def _show(self, state: Any) -> None:
            seen = tokens[state.global_step] - tokens[self._first]
            rate = seen / max(0.001, time.monotonic() - self._began)
            loss = self.losses[-1]["loss"] if self.losses else None
            emit(
                step=state.global_step, of=state.max_steps, before=self._first, loss=loss, rate=round(rate, 1)
            )

        def write(self, state: str) -> None:
            """Write `training.json`."""
            self._written = time.monotonic()
            self.facts |= {
                "state": state,
                "tokens": tokens[self.step],
                "steps": self.step,
                "epochs": self._epochs(self.step),
                "seconds": round(self._seconds, 1),
                "peak_memory_mb": memory.peak_mb(),
                "losses": self.losses,
            }
            log.write(folder, self.facts)

    return Follower()
