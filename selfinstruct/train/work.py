"""One training in its process: load, plan, train from the last checkpoint on, and save."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from selfinstruct.config import TrainConfig
from selfinstruct.errors import UserError
from selfinstruct.train import gguf, log, memory, sft
from selfinstruct.train.base import Base, load_model, load_tokenizer
from selfinstruct.train.examples import TRAIN
from selfinstruct.train.follow import follower
from selfinstruct.train.plan import Plan, micro_batch, steps_of
from selfinstruct.train.tokens import Encoded, encoded, order

CHECKPOINTS, ADAPTER, MODEL = "checkpoints", "adapter", "model.gguf"
COMPLETE = "trainer_state.json"  # the last file of a checkpoint


class Work:
    """A training.

    Args:
        base: the model to tune.
        train: the section `train`.
        folder: the folder of the model, with the examples in it.
        seed: the run's seed.
        emit: writes a line to the command that waits.

    Attributes:
        micro: how many examples are in memory at once; known once the examples are read.
    """

    def __init__(self, base: Base, train: TrainConfig, folder: Path, seed: int, emit: Any) -> None:
        self.base, self.config, self.folder, self.seed, self.emit = base, train, folder, seed, emit
        self.micro: int | None = None
        self.tokenizer: Any = None
        self.model: Any = None
        self.examples: list[Encoded] = []
        self.drawn: list[int] = []
        self.as_gguf = False
        self.too_long = 0
        self.plan: dict[str, Any] = {}

    def prepare(self) -> None:
        """Load everything, and write the plan.

        Raises:
            UserError: if the base cannot be loaded or tuned, or no example is short enough.
        """
        import torch
        from transformers import set_seed

        self.emit(doing="reading the examples")
        self.tokenizer = load_tokenizer(self.base)
        self.too_long = self._read()
        self.emit(doing=f"loading the base model {self.base.name}")
        bf16 = sft.bfloat16(self.config) and self.config.kind == "lora"  # the weights of full stay exact
        self.model = load_model(self.base, bf16)
        self.model.to("cuda" if torch.cuda.is_available() else "cpu")
        if self.base.gguf:
            self.as_gguf = gguf.faithful(self.base.gguf, self.model)
            if not self.as_gguf:
                self.emit(say=gguf.REFUSAL.format(file=self.base.gguf.name))
        set_seed(self.seed)
        if self.config.kind == "lora":
            self.model = sft.with_adapter(self.model, self.config)
        self.emit(doing="measuring a first step")
        self.plan = self._plan().facts()
        self.emit(plan=self.plan)

    def _read(self) -> int:
        """Read the examples; return how many are too long."""
        import torch

        text = (self.folder / TRAIN).read_text(encoding="utf-8")
        rows = [json.loads(line) for line in text.splitlines()]
        self.examples, too_long = encoded(rows, self.tokenizer, self.config.max_tokens)
        if not self.examples:
            raise UserError(
                f"train.max_tokens: all {len(rows):,} examples are longer than {self.config.max_tokens:,} "
                "tokens; set it higher"
            )
        lengths = [len(one.ids) for one in self.examples]
        self.drawn = order(lengths, self.config.epochs, self.config.batch_size, self.seed)
        on_gpu = torch.cuda.is_available()
        self.micro = micro_batch(self.config.micro_batch, self.config.batch_size, max(lengths), on_gpu)
        return too_long

    def _plan(self) -> Plan:
        import torch

        assert self.micro
        lengths = [len(one.ids) for one in self.examples]
        before = memory.now_mb()
        rate, bytes_a_token = self._measure()
        trained = sum(one.numel() for one in self.model.parameters() if one.requires_grad)
        steps = steps_of(len(lengths), self.config.epochs, self.config.batch_size)
        done = int(last.name.rpartition("-")[2]) if (last := self._checkpoint()) else 0
        tokens = sum(lengths[number] for number in self.drawn[done * self.config.batch_size :])
        kept = bytes_a_token * self.micro * max(lengths)
        states = 12 * trained  # its gradient, and two numbers of AdamW for each
        on_gpu = torch.cuda.is_available()
        return Plan(
            base=self.base.name,
            kind=self.config.kind,
            parameters=sum(one.numel() for one in self.model.parameters()) - (trained if self._lora else 0),
            trained=trained,
            examples=len(lengths),
            tokens=sum(lengths),
            answer_tokens=sum(len(one.ids) - one.asked for one in self.examples),
            epochs=self.config.epochs,
            batch_size=self.config.batch_size,
            micro_batch=self.micro,
            steps=steps,
            tokens_per_second=rate,
            minutes=tokens / rate / 60,
            memory_mb=max(int(before + (kept + states) / 1e6), memory.peak_mb()),  # loading may take more
            device=torch.cuda.get_device_name() if on_gpu else f"{torch.get_num_threads()} threads",
            precision="bfloat16" if sft.bfloat16(self.config) else "float32",
            steps_done=done,
            left_out={"too_long": self.too_long} if self.too_long else {},
        )

    @property
    def _lora(self) -> bool:
        return self.config.kind == "lora"

    def _measure(self) -> tuple[float, float]:
        """Tokens a second, and bytes kept for a token, in one batch of examples of medium length."""
        import torch

        ranked = sorted(self.examples, key=lambda one: len(one.ids))
        middle = ranked[len(ranked) // 2]
        self._pass([middle])  # the first pass of a process is slow
        batch = [middle] * (self.micro or 1)
        began = time.monotonic()
        with memory.kept(self.model.parameters()) as kept:
            self._pass(batch)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        tokens = len(batch) * len(middle.ids)
        return tokens / (time.monotonic() - began), kept.bytes / tokens

    def _pass(self, batch: list[Encoded]) -> None:
        """One batch forward and backward, without a change of the model."""
        import torch

        device = next(self.model.parameters()).device
        rows = [one.row for one in batch]
        inputs = {name: torch.tensor([row[name] for row in rows], device=device) for name in rows[0]}
        self.model.train()
        with torch.autocast(device.type, torch.bfloat16, enabled=sft.bfloat16(self.config)):
            loss = sft.loss_of_answers(self.model, inputs)
        loss.backward()
        self.model.zero_grad(set_to_none=True)

    def train(self, stop: Any) -> None:
        """Train to the end, or until the user stops it; then save.

        Args:
            stop: says when; see `child`.
        """
        left_out = {
            **log.read(self.folder).get("left_out", {}),
            **({"too_long": self.too_long} if self.too_long else {}),
        }
        known = {"examples": len(self.examples), "left_out": left_out, "plan": self.plan}
        follow = follower(self.folder, self.config, self._tokens_by_step(), known, stop, self.emit)
        assert self.micro
        trainer = sft.trainer(
            self.model,
            self.tokenizer,
            self.examples,
            self.drawn,
            self.config,
            self.micro,
            self.folder / CHECKPOINTS,
            self.seed,
            [follow],
        )
        last = self._checkpoint()
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        if stop.asked and trainer.state.global_step < trainer.state.max_steps:
            follow.write(log.STOPPED)
            self.emit(ended=log.STOPPED)
            return
        self.emit(doing="saving the model")
        self._save(trainer.model)
        follow.write(log.FINISHED)
        shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)
        self.emit(ended=log.FINISHED)

    def _tokens_by_step(self) -> list[int]:
        """The tokens seen after each step, from step 0 on."""
        found, size = [0], self.config.batch_size
        for start in range(0, len(self.drawn), size):
            seen = sum(len(self.examples[number].ids) for number in self.drawn[start : start + size])
            found.append(found[-1] + seen)
        return found

    def _checkpoint(self) -> Path | None:
        """The last whole checkpoint; one that was cut off is removed."""
        found = sorted(
            (self.folder / CHECKPOINTS).glob("checkpoint-*"),
            key=lambda path: int(path.name.rpartition("-")[2]),
        )
        while found and not _whole(found[-1] / COMPLETE):
            shutil.rmtree(found.pop())
        return found[-1] if found else None

    def _save(self, model: Any) -> None:
        """Save the adapter, and the whole model: as GGUF if the base is, else in Hugging Face form."""
        if self._lora:
            model.save_pretrained(self.folder / ADAPTER)
            model = model.merge_and_unload()
        if self.base.gguf and self.as_gguf:
            gguf.write_gguf(self.base.gguf, model, self.folder / MODEL)
            return
        model.config.use_cache = True
        model.save_pretrained(self.folder)
        self.tokenizer.save_pretrained(self.folder)


def _whole(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
