"""The files of an earlier version's conf/ whose content is elsewhere now, by the names that they had.

Recipes of before choose them (`override /pipeline: [paper, judge]`), so Hydra finds them in its store. To let
go of one, take it out of `OF_JUDGE`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfinstruct.project import configfiles
from selfinstruct.project.parts import PARTS

# By group, the name of what is a section of parts/judge now.
JUDGE = "judge"
OF_JUDGE = {"pipeline": "judge", "prompts": "judge_en", "filters": "judge", "schema": "judge"}


class JudgeSection(dict[str, Any]):
    """A section of the judge, under the name of the file that it was; read when it is chosen.

    Args:
        group: the group.
        ours: the folder that holds our `conf`.
    """

    def __init__(self, group: str, ours: Path) -> None:
        super().__init__({f"{OF_JUDGE[group]}.yaml": ours / f"conf/{PARTS}/{JUDGE}.yaml"})
        self._group = group

    def __getitem__(self, file: str) -> Any:
        from hydra.core.config_store import ConfigNode

        path = super().__getitem__(file)
        return ConfigNode(Path(file).stem, configfiles.load(path)[self._group], self._group, None, str(path))

    def __deepcopy__(self, memo: Any) -> JudgeSection:
        return self  # Hydra copies the whole store each time that it composes, and changes nothing in it
