"""The servers that the user trusts with keys permanently; the list is in the user's configuration folder.

The list has, for each server, the environment variables that it may have, so that a recipe cannot send
another one there. It is never part of a project. `trust` applies it.
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
selfinstruct trust: which servers may have which keys, for all recipes

  selfinstruct trust                            list them
  selfinstruct trust HOST VARIABLE ...          HOST or HOST:PORT may have the value of VARIABLE from now on
  selfinstruct trust --remove HOST [VARIABLE]   HOST may no longer have it

Without this, a key goes only to its provider's own server, and to servers that you type, or have in conf/ or
in the environment. For a single run: trust=HOST
"""


def remembered() -> dict[str, list[str]]:
    """The servers that may have keys, each with the names of the variables."""
    from omegaconf import OmegaConf

    path = _file()
    try:
        found = OmegaConf.to_container(OmegaConf.load(path), resolve=False) if path.is_file() else {}
    except Exception as error:  # the errors of yaml and omegaconf have no common base
        raise UserError(f"{path} cannot be read: {error}\n  Repair or delete it") from error
    if not isinstance(found, dict) or not all(isinstance(names, list) for names in found.values()):
        raise UserError(f"{path} is not a list of keys by host; delete it to start over")
    return {str(host): [str(name) for name in names] for host, names in found.items()}


def remember(host: str, names: Sequence[str]) -> str:
    """Allow a server to have keys from now on; returns a message for the user.

    Raises:
        UserError: if the host is not valid, or a name cannot be that of a variable.
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
    """Remove keys that a server may have, or all of them if no name is given; returns a message for the user.

    Raises:
        UserError: if the server may not have them anyway.
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
    """The trusted servers, one per line."""
    known = remembered()
    lines = [f"  {host:<40} {', '.join(names)}" for host, names in sorted(known.items())]
    return "\n".join([f"servers that may have a key, according to {_file()}", *(lines or ["  none"])])


def _file() -> Path:
    from platformdirs import user_config_path

    return user_config_path("selfinstruct") / FILE


def _write(known: Mapping[str, Sequence[str]]) -> None:
    path = _file()
    lines = ["# Servers that may have your keys, for all recipes. See `selfinstruct trust`."]
    lines += [f'"{host}": [{", ".join(names)}]' for host, names in sorted(known.items())]
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text("\n".join([*lines, ""]), encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
