"""Builds the wheel, installs it into an empty venv away from the checkout, and composes every recipe there.

Run by `make wheel` and in CI; exits with a message where something is missing from the wheel.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# No key is sent anywhere: `check` only looks whether one is set.
KEYS = {"OPENAI_API_KEY": "none", "ANTHROPIC_API_KEY": "none"}


def call(*command: object, cwd: Path) -> str:
    """Run a command and return what it printed; ends the process where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **KEYS},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def main() -> None:
    """Build, install, compose."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        call(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "dist", ROOT, cwd=folder)
        wheel = next((folder / "dist").glob("*.whl"))
        venv.create(folder / "venv", with_pip=True)
        bin = folder / "venv" / "bin"
        pip = [bin / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
        extras = f"{wheel}[documents,language]"  # recipe grounded needs the one, recipe translate the other
        call(*pip, "install", "--constraint", ROOT / "constraints.txt", extras, cwd=folder)
        user = folder / "user"
        user.mkdir()
        recipes = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))
        for recipe in recipes:
            print(call(bin / "selfinstruct", "check", f"recipe={recipe}", cwd=user).splitlines()[0])
            call(bin / "selfinstruct", f"recipe={recipe}", "--cfg", "job", cwd=user)
        call(bin / "selfinstruct", "recipe=paper", "model=scripted", "target=5", cwd=user)
        call(bin / "selfinstruct", "new", "mine", "--from", "quickstart", cwd=user)
        call(bin / "selfinstruct", "check", "recipe=mine", cwd=user)
        print(f"{wheel.name}: {len(recipes)} recipes composed and one run away from the checkout")


if __name__ == "__main__":
    main()
