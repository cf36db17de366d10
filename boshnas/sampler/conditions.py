"""Which parameters a point has, learnt from the points seen: a study never says what it asks under which condition.

Symbols: n rows, p parameters; coordinates as in `search_space`, NaN where a parameter is absent.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

Rows = NDArray[np.float64]

_ABSENT = -2.0  # below every coordinate
_MAX_LEAVES = 16  # a condition that needs more is none


@dataclass(frozen=True)
class _Condition:
    """When the parameters of one group are there.

    Attributes:
        members: Their columns.
        givers: The columns that decide.
        tree: Predicts presence from them.
    """

    members: NDArray[np.intp]
    givers: NDArray[np.intp]
    tree: DecisionTreeClassifier


class Conditions:
    """Decision trees, one for each group of parameters that come and go together.

    A group's presence is predicted from the groups that are there more often, so conditions may be nested. Where no
    small tree explains all rows there is no condition (a parameter that the study began to ask for later): the group
    then counts as present.

    Args:
        rows: Coordinates seen, shape (n, p).

    Example:
        >>> seen = np.array([[0.0, 0.3], [0.0, 0.8], [1.0, np.nan], [1.0, np.nan]])
        >>> Conditions(seen).apply(np.array([[0.0, 0.5], [1.0, 0.5]]))
        array([[0. , 0.5],
               [1. , nan]])
    """

    def __init__(self, rows: Rows) -> None:
        present = ~np.isnan(rows)
        self._conditions: list[_Condition] = []
        patterns, group = np.unique(present, axis=1, return_inverse=True)
        counts = patterns.sum(axis=0)
        known = np.flatnonzero(present.all(axis=0))
        for number in np.argsort(-counts, kind="stable"):
            members = np.flatnonzero(group.reshape(-1) == number)
            if 0 < counts[number] < len(rows) and len(known) > 0:
                self._learn(rows, members, known)
            if counts[number] < len(rows):
                known = np.append(known, members)

    def apply(self, rows: Rows) -> Rows:
        """Full coordinates (n, p) with NaN for what would be absent."""
        rows = rows.copy()
        for condition in self._conditions if len(rows) > 0 else ():
            there = condition.tree.predict(_filled(rows[:, condition.givers]))
            rows[np.ix_(~there, condition.members)] = np.nan
        return rows

    def _learn(self, rows: Rows, members: NDArray[np.intp], givers: NDArray[np.intp]) -> None:
        present = ~np.isnan(rows[:, members[0]])
        tree = DecisionTreeClassifier(max_leaf_nodes=_MAX_LEAVES, random_state=0)
        if tree.fit(_filled(rows[:, givers]), present).score(_filled(rows[:, givers]), present) == 1:
            self._conditions.append(_Condition(members, givers, tree))


def _filled(rows: Rows) -> Rows:
    return np.nan_to_num(rows, nan=_ABSENT)
