"""The servers that the user lets have keys for good, in the user's configuration folder, never in a project.

It says for each server which environment variables it may have the value of, so that another recipe cannot
send another one there. How it counts is in `trust`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from selfinstruct.errors import UserError
from selfinstruct.llm import addresses

FILE = "trusted.yaml"
HELP = """\
selfinstruct trust: which servers may have which keys, whatever recipe names them

  selfinstruct trust                            list them
  selfinstruct trust HOST VARIABLE ...          HOST or HOST:PORT may have the value of VARIABLE from now on
  selfinstruct trust --remove HOST [VARIABLE]   it may not any more

Without this a key goes to its provider's own server, and to one that you type, have in conf/ or in the
environment. For a single run: trust=HOST
"""


def remembered() -> dict[str, list[str]]:
    """The servers that may have keys from now on, each with the names of these."""
    from omegaconf import OmegaConf

    path = _file()
    try:
        found = OmegaConf.to_container(OmegaConf.load(path), resolve=False) if path.is_file() else {}
    except Exception as error:  # yaml's and omegaconf's own errors share no base
        raise UserError(f"{path} cannot be read: {error}\n  Mend it, or delete it to start anew") from error
    if not isinstance(found, dict) or not all(isinstance(names, list) for names in found.values()):
        raise UserError(f"{path} is not a list of keys by host; delete it to start anew")
    return {str(host): [str(name) for name in names] for host, names in found.items()}


def remember(host: str, names: Sequence[str]) -> str:
    """Let a server have keys from now on; returns what to say.

    Raises:
        UserError: where it is not a host, or a name cannot be a variable's.
    """
    place = addresses.read(host) or addresses.read_place(host)
    if place is None:
        raise UserError(
            f"{host!r} is not a host: write selfinstruct trust HOST VARIABLE or HOST:PORT VARIABLE"
        )
    wrong = [name for name in names if not re.fullmatch(r"[A-Za-z_][\w-]*", name, re.ASCII)]
    if wrong or not names:
        what = f"{wrong[0]!r} is not the name of a variable" if wrong else "which key may it have?"
        raise UserError(f"{what}\n  write selfinstruct trust {place} VARIABLE, such as OPENAI_API_KEY")
    known = remembered()
    known[str(place)] = sorted({*known.get(str(place), []), *names})
    _write(known)
    return f"{place} may have {', '.join(known[str(place)])} from now on ({_file()})"


def forget(host: str, names: Sequence[str]) -> str:
    """Take back what a server may have, all of it where no name is given; returns what to say.

    Raises:
        UserError: where it may not have that.
    """
    known = remembered()
    place = addresses.read(host) or addresses.read_place(host)
    there = known.get(str(place), [])
    missing = [name for name in names if name not in there]
    if not there or missing:
        raise UserError(
            f"{host} may not have {missing[0] if missing else 'any key'}; selfinstruct trust lists all"
        )
    left = [name for name in there if names and name not in names]
    _write({host: kept for host, kept in {**known, str(place): left}.items() if kept})
    return f"{place} may have {', '.join(left) or 'no key'} from now on ({_file()})"


def listed() -> str:
    """The servers that are trusted, a line each."""
    known = remembered()
    lines = [f"  {host:<40} {', '.join(names)}" for host, names in sorted(known.items())]
    return "\n".join([f"servers that may have a key, by {_file()}", *(lines or ["  none"])])


def _file() -> Path:
    from platformdirs import user_config_path

    return user_config_path("selfinstruct") / FILE


def _write(known: Mapping[str, Sequence[str]]) -> None:
    path = _file()
    lines = ["# Servers that may have a key of yours, whatever recipe names them. See `selfinstruct trust`."]
    lines += [f'"{host}": [{", ".join(names)}]' for host, names in sorted(known.items())]
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text("\n".join([*lines, ""]), encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
