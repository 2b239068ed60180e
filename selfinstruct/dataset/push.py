"""`selfinstruct push RUN USER/NAME`: uploads the dataset of a run to the Hugging Face hub.

It first shows what goes where, and asks. The repository is private unless the user says otherwise, and one
that is public already gets nothing without `--public`. The token comes from HF_TOKEN or the library's login.
"""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selfinstruct.dataset.card import README
from selfinstruct.dataset.folder import NEW
from selfinstruct.errors import UserError
from selfinstruct.monitor.progress import Progress
from selfinstruct.run_folder.handover import DATASET
from selfinstruct.run_folder.opened import opened, run_of
from selfinstruct.safety.blot import blotted

HELP = """\
selfinstruct push: upload the dataset of a run to the Hugging Face hub

  selfinstruct push RUN USER/NAME [--public] [--yes]

  RUN is the folder of a run. All files of RUN/dataset are uploaded, also those that you have put or changed
  there. It shows the files and asks before it sends anything. Files of the repository that are not among them
  stay there.

  --public     everybody can read it; without this, the repository is private
  --yes        do not ask

It needs huggingface_hub (pip install 'selfinstruct[hub]') and a token that may write: in HF_TOKEN, or from
`hf auth login`.
"""
PUBLIC, YES = "--public", "--yes"
NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
REMEDIES = {  # by the hub's status
    401: "the token is not valid; set HF_TOKEN, or run hf auth login",
    403: "the token may not write there; make one with write access, and check USER",
    409: "another upload is going on; try again",
}


def main(arguments: list[str], project: Path) -> int:
    """Show what would be uploaded, ask, and upload it; return the exit status.

    Raises:
        UserError: if the arguments cannot be used, there is no dataset or no token, or the hub refuses.
    """
    words = [part for part in arguments if not part.startswith("-")]
    wrong = [part for part in arguments if part.startswith("-") and part not in (PUBLIC, YES)]
    if len(words) != 2 or wrong or not NAME.fullmatch(words[1]):
        what = f"push has no option {wrong[0]}: " if wrong else "push takes a run and a name on the hub: "
        raise UserError(f"{what}selfinstruct push runs/NAME USER/NAME [--public] [--yes]")
    path, name, public = run_of(words[0], project, "push"), words[1], PUBLIC in arguments
    with opened(path, project) as run:
        folder, state = run.path / DATASET, run.state
    files = _files(folder, words[0])
    hub = _hub()
    print(_plan(files, folder, name, public, state))
    if YES not in arguments and not _agreed():
        print("nothing was uploaded")
        return 1
    with _understood(name), Progress().busy("uploading"):
        print(f"\nuploaded to {_upload(hub, folder, files, name, public)}")
    return 0


def _files(folder: Path, run: str) -> list[Path]:
    """The files to upload."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    found = [path for path in found if path.name != NEW]
    if folder / README not in found or len(found) < 2:
        raise UserError(f"{folder} has no dataset to upload; write one: selfinstruct export {run}")
    return found


def _hub() -> Any:
    """The library's client, with a token."""
    if find_spec("huggingface_hub") is None:
        raise UserError("push needs the package huggingface_hub: pip install 'selfinstruct[hub]'")
    from huggingface_hub import HfApi, get_token

    token = get_token()
    if not token:
        raise UserError("push needs a token that may write: set HF_TOKEN, or run hf auth login")
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token)


def _plan(files: list[Path], folder: Path, name: str, public: bool, state: str) -> str:
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    lines = [f"  {size:>14,} bytes  {file}" for file, size in sizes.items()]
    seen = "public: everybody can read it" if public else "private: only you and those you allow can read it"
    page = (folder / README).read_text(encoding="utf-8", errors="replace")
    notes = [] if re.search(r"^license:", page, re.MULTILINE) else ["note: README.md names no licence"]
    if state not in ("finished", "missed"):
        notes.append(f"note: the run is {state}")
    where = f"to upload to the dataset {name} on {os.environ.get('HF_ENDPOINT') or 'huggingface.co'}"
    return "\n".join([f"{where}, {seen}", *lines, f"  {sum(sizes.values()):>14,} bytes together", *notes])


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UserError("push asks before it uploads, and nobody can answer here; add --yes")
    return input("\nupload? [y/N] ").strip().lower() in ("y", "yes")


def _upload(hub: Any, folder: Path, files: list[Path], name: str, public: bool) -> str:
    """Make the repository unless it exists, and upload the files in one commit; return its address."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        seen_by_all = not hub.dataset_info(name).private
    except RepositoryNotFoundError:
        seen_by_all = False
    if seen_by_all and not public:
        raise UserError(f"{name} exists and is public; add --public to upload to it, or choose another name")
    made = hub.create_repo(name, repo_type="dataset", private=not public, exist_ok=True)
    hub.upload_folder(
        repo_id=name,
        repo_type="dataset",
        folder_path=folder,
        allow_patterns=[glob.escape(path.relative_to(folder).as_posix()) for path in files],
        commit_message="Upload by selfinstruct",
    )
    return str(made)


@contextmanager
def _understood(name: str) -> Iterator[None]:
    """Turn the errors of the library into messages."""
    import httpx
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        remedy = REMEDIES.get(status, "try again later")
        raise UserError(f"{name}: the hub answers {status}: {_first(error)}\n  {remedy}") from error
    except (httpx.HTTPError, OfflineModeIsEnabled, OSError) as error:
        raise UserError(f"{name}: the hub cannot be reached: {_first(error)}") from error
    except HFValidationError as error:
        raise UserError(f"{name} cannot be the name of a dataset: {_first(error)}") from error


def _first(error: Exception) -> str:
    """The first line of an error that has words."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return blotted(lines[0][:300] if lines else type(error).__name__)
