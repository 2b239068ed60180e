"""The Vendi score: its limits, and the definition on the whole table of cosines."""

from __future__ import annotations

import numpy as np
import pytest

from selfinstruct.text.vendi import vendi


@pytest.mark.parametrize(("items", "dimensions"), [(5, 12), (40, 6)])
def test_as_defined(items: int, dimensions: int) -> None:
    """The entropy of the eigenvalues of all cosines, whichever of the two tables is smaller."""
    rows = np.random.default_rng(1).normal(size=(items, dimensions))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(unit @ unit.T / items)
    values = values[values > 1e-12]
    assert vendi(rows) == pytest.approx(np.exp(-(values * np.log(values)).sum()))


def test_from_one_to_all() -> None:
    """All alike, in whatever length; all different; two of each."""
    assert vendi(np.array([[1.0, 1], [2, 2], [5, 5]])) == pytest.approx(1)
    assert vendi(np.eye(6, dtype=np.float32)) == pytest.approx(6)
    assert vendi(np.vstack([np.eye(3), np.eye(3)])) == pytest.approx(3)


def test_rows_without_direction() -> None:
    """They do not count; without others there is no score."""
    assert vendi(np.vstack([np.eye(3), np.zeros((2, 3))])) == pytest.approx(3)
    assert vendi(np.zeros((2, 3))) is None
    assert vendi(np.zeros((0, 3))) is None


def test_numbers_that_are_none() -> None:
    """A row that is not finite raises an error."""
    with pytest.raises(ValueError, match="not finite"):
        vendi(np.array([[1.0, np.nan]]))
