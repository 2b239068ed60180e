"""The notebook of the docs runs to its last cell, in an empty folder, on the scripted model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selfinstruct import open_run

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs/looking-at-a-run.ipynb"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder in which it ran, and what each of its cells of code printed or showed."""
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient, of the extra dev")
    for needed in ("ipykernel", "pandas", "datasets"):
        pytest.importorskip(needed, reason=f"needs {needed}, of the extra dev")
    nbformat: Any = pytest.importorskip("nbformat")
    folder = tmp_path_factory.mktemp("notebook")
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return folder, ["\n".join(map(_text, cell.outputs)) for cell in book.cells if cell.cell_type == "code"]


def test_it_was_committed_without_outputs() -> None:
    """Outputs would be generated text, and would grow old."""
    import json

    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)


def test_each_cell_shows_what_the_text_beside_it_says(outputs: tuple[Path, list[str]]) -> None:
    """The funnel, the state, a frame, the story of a record, the rejections, the files, the splits."""
    folder, (funnel, state, frame, story, keys, rejected, report, exported, splits) = outputs
    first = open_run(folder / "runs/paper").records("instances")[0]
    assert "<table>" in funnel and "instructions" in funnel
    assert "finished" in state
    assert "instruction" in frame
    assert first["id"] in story and first["output"].split()[0] in story
    assert "checks" in keys
    assert "rouge_l" in rejected
    assert "report.html" in report and (folder / "runs/paper/report.html").is_file()
    assert exported
    assert "train" in splits and "validation" in splits


def _text(output: Any) -> str:
    data = output.get("data", {})
    return str(output.get("text", "")) + "".join(
        str(data.get(kind, "")) for kind in ("text/html", "text/plain")
    )
