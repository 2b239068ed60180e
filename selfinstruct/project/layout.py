"""The places of recipes, config groups and seed files: ours, and those in the user's own folder.

In a wheel ours are inside the package, in a checkout beside it; the user's are in `recipes/`, `conf/` and
`seeds/` below the folder in which the command is typed.
"""

from __future__ import annotations

from pathlib import Path

from selfinstruct.errors import UserError
from selfinstruct.project import parts, textfiles
from selfinstruct.project.yaml_limits import BYTES

GROUPS = (
    *("seeds", "model", "mix", "pipeline", "prompts", "filters", "schema", "export"),
    *("review", "train", "eval", "executor"),
)
GGUF = "gguf"  # the file of conf/model that runs the weights named by a path
TUNED = "model.gguf"  # the weights in the folder of a tuned model
FOLDERS = (*GROUPS, parts.PARTS)  # the folders of conf from which a recipe chooses files
LONGEST_NAME = 255  # bytes, on every usual file system


def packaged() -> Path:
    """The folder with our `conf`, `recipes` and `seeds`."""
    here = Path(__file__).resolve().parents[1]
    return here if (here / "conf").is_dir() else here.parent


def roots(project: Path) -> list[Path]:
    """The folders to look in, the user's first; only one if both are the same."""
    ours = packaged()
    return [ours] if project.resolve() == ours else [project, ours]


def find(path: str, project: Path) -> Path | None:
    """A file named in a recipe: at an absolute path, or below the user's folder, or below ours."""
    found = locate(path, project)
    return found if found and found.is_file() else None


def locate(path: str, project: Path) -> Path | None:
    """A file or folder named in a recipe, searched for like `find`; a file comes before a folder."""
    places = [path_below(root, path) for root in roots(project)]
    if no_path(path):
        return None
    files = [place for place in places if place.is_file()]
    return next(iter([*files, *(place for place in places if place.is_dir())]), None)


def path_below(root: Path, path: str) -> Path:
    """The path for one that people write: absolute, below `root`, or below a home with `~`."""
    try:
        return root / Path(path).expanduser()
    except RuntimeError:  # ~NAME of an unknown user is a name like others
        return root / path


def no_path(path: str) -> str:
    """Why no file can have this path; empty if one can."""
    if textfiles.NO_TEXT.search(path):
        return "has a control character or half of a character in it, which a file's name cannot have here"
    if any(len(part.encode()) > LONGEST_NAME for part in Path(path).parts):
        return f"has a name of more than {LONGEST_NAME} bytes, which no file can have"
    return ""


def listing(folder: str, project: Path) -> dict[str, Path]:
    """The YAML files of a folder such as `recipes` or `conf/model`, by name.

    Raises:
        UserError: if a file of the user's has the same name as one of ours.
    """
    found: dict[str, Path] = {}
    for root in reversed(roots(project)):
        for path in sorted((root / folder).glob("*.yaml")):
            if path.stem in found:
                raise UserError(f"{path}: selfinstruct has a {folder}/{path.name}; give yours another name")
            found[path.stem] = path
    return found


def headline(path: Path) -> str:
    """The first words of the first comment in a YAML file, for listings."""
    try:
        if path.stat().st_size > BYTES:  # reported where it is used
            return ""
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # reported where the file is chosen
        return ""
    for line in text.splitlines():
        said = line.lstrip("# ").strip()
        if line.startswith("#") and said and not said.startswith(("@", "yaml-language-server")):
            return said
    return ""


def weights_named(name: str) -> str | None:
    """The GGUF file that the name of a model means: the file itself, or that of a folder; None for a name.

    Args:
        name: what stands behind `model=`: openai, FILE.gguf, or runs/quickstart/model.
    """
    if name.endswith(".gguf"):
        return name
    return f"{name.rstrip('/')}/{TUNED}" if "/" in name else None
