"""The candidates a search may choose from: ids and their feature rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from boshnas.errors import InputError


class Pool:
    """Ids and feature rows, in one order; grows, never shrinks.

    Args:
        ids: n distinct identifiers.
        X: Feature rows, shape (n, d), finite.
        groups: Which columns encode one choice together (a category's one-hot columns share a number), shape (d,);
            None: each column is a choice.

    Raises:
        InputError: If lengths differ, an id repeats or a feature is not finite.

    Example:
        >>> pool = Pool(["a", "b"], np.array([[0.0], [1.0]]))
        >>> pool.extend(["b", "c"], np.array([[1.0], [2.0]]))
        1
        >>> pool.ids
        ['a', 'b', 'c']
    """

    def __init__(self, ids: Sequence[str], X: NDArray[np.float64], groups: Sequence[int] | None = None) -> None:
        rows = _checked(ids, X)
        if groups is not None and len(groups) != rows.shape[1]:
            raise InputError(f"Pool: groups must have one number a column ({rows.shape[1]}), got {len(groups)}.")
        if len(set(ids)) != len(ids):
            raise InputError(f"Pool: ids must be distinct, got {len(ids) - len(set(ids))} repeated. Remove duplicates.")
        self.ids: list[str] = list(ids)
        self.X: NDArray[np.float64] = rows
        self.groups: tuple[int, ...] | None = None if groups is None else tuple(groups)
        self._row = {id_: row for row, id_ in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._row

    def extend(self, ids: Sequence[str], X: NDArray[np.float64]) -> int:
        """Add the candidates that are not here yet.

        Args:
            ids: m identifiers.
            X: Their feature rows, shape (m, d).

        Returns:
            How many were new.
        """
        rows = _checked(ids, X, num_features=self.X.shape[1])
        new: dict[str, int] = {}
        for row, id_ in enumerate(ids):
            if id_ not in self._row:
                new.setdefault(id_, row)
        self._row.update((id_, len(self.ids) + offset) for offset, id_ in enumerate(new))
        self.ids.extend(new)
        self.X = np.concatenate([self.X, rows[list(new.values())]])
        return len(new)

    def rows(self, ids: Sequence[str]) -> NDArray[np.intp]:
        """Row numbers of some ids, shape (len(ids),).

        Raises:
            KeyError: If an id is not in the pool.
        """
        return np.array([self._row[id_] for id_ in ids], dtype=np.intp)


def _checked(ids: Sequence[str], X: NDArray[np.float64], num_features: int | None = None) -> NDArray[np.float64]:
    rows = np.asarray(X, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(ids):
        raise InputError(f"Pool: X must have one row for each of {len(ids)} ids, got shape {rows.shape}.")
    if num_features is not None and rows.shape[1] != num_features:
        raise InputError(f"Pool: X must have {num_features} columns as the pool has, got {rows.shape[1]}.")
    if not np.isfinite(rows).all():
        bad = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise InputError(f"Pool: features must be finite, row {ids[bad]!r} is not. Fill or drop it.")
    return rows
