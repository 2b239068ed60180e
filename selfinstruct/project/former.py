"""The files of an earlier version's conf/ whose content has moved, by their old names.

Older recipes choose them (`override /pipeline: [paper, judge]`), so they are in Hydra's store. To drop one,
remove it from `OF_JUDGE`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfinstruct.project import configfiles
from selfinstruct.project.parts import PARTS

# By group, the old names of what are sections of parts/judge now.
JUDGE = "judge"
OF_JUDGE = {"pipeline": "judge", "prompts": "judge_en", "filters": "judge", "schema": "judge"}


class JudgeSection(dict[str, Any]):
    """A section of the judge, under the name of its old file; read when it is chosen.

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
        return self  # Hydra copies the whole store each time it composes, and changes nothing in it
