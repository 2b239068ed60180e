"""Indexes of vectors by cosine: which entry is nearest? Usable on their own.

`Exact` compares with every entry, in one product of a matrix and a vector. `Approximate` walks a graph of
neighbours (HNSW, arXiv 1603.09320, by voyager) and sometimes misses the nearest entry. For the same entries
added in the same order, both always give the same answers, however many are added at once: the graph is built
by one thread from a fixed seed, and scores are rounded so far that the order of a sum makes no difference.
docs/better-data.md has the costs of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from selfinstruct.text.novelty import Match

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    Vectors = NDArray[float32]

DIGITS = 6
_ALIKE = 1e-6  # scores that differ by no more than this are equal; the earliest entry counts
# In the graph: the neighbours of an entry, and how many entries are compared to add one and to find one.
_NEIGHBOURS, _ADDING, _ASKING = 16, 100, 100


class Index(Protocol):
    """An index of entries in order, each with its name and its vector of length 1."""

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Add entries; `vectors` has the shape (entries, dimensions)."""

    def nearest(self, vector: Vectors) -> Match | None:
        """The nearest entry and its cosine, from -1 to 1; None if the index is empty."""


class Exact:
    """Compares with every entry; of equally near entries, the earliest counts as the nearest."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._rows: Any = None  # with room for more entries

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """See `Index`."""
        import numpy as np

        count, whole = len(self._ids), len(self._ids) + len(ids)
        if self._rows is None or whole > len(self._rows):
            rows = np.zeros((max(1024, 2 * whole), vectors.shape[1]), np.float32)
            rows[:count] = self._rows[:count] if count else 0
            self._rows = rows
        self._rows[count:whole] = vectors
        self._ids.extend(ids)

    def nearest(self, vector: Vectors) -> Match | None:
        """See `Index`."""
        import numpy as np

        if not self._ids:
            return None
        scores = self._rows[: len(self._ids)] @ vector
        place = int(np.flatnonzero(scores >= scores.max() - _ALIKE)[0])
        return Match(self._ids[place], cosine(self._rows[place], vector))


class Approximate:
    """Compares with a few hundred entries, however many there are.

    Raises:
        ImportError: if voyager is not installed.
    """

    def __init__(self) -> None:
        import voyager

        self._voyager = voyager
        self._ids: list[str] = []
        self._graph: Any = None

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """See `Index`."""
        if self._graph is None:
            self._graph = self._voyager.Index(
                self._voyager.Space.InnerProduct,
                num_dimensions=vectors.shape[1],
                M=_NEIGHBOURS,
                ef_construction=_ADDING,
                random_seed=1,
            )
        places = range(len(self._ids), len(self._ids) + len(ids))
        self._graph.add_items(vectors, ids=list(places), num_threads=1)
        self._ids.extend(ids)

    def nearest(self, vector: Vectors) -> Match | None:
        """See `Index`."""
        if not self._ids:
            return None
        [place], _ = self._graph.query(vector, k=1, num_threads=1, query_ef=_ASKING)
        return Match(self._ids[place], cosine(self._graph.get_vector(place), vector))


def cosine(one: Vectors, other: Vectors) -> float:
    """The cosine of two vectors of length 1, rounded."""
    import numpy as np

    return min(1.0, round(float(np.dot(one.astype(np.float64), other.astype(np.float64))), DIGITS))
