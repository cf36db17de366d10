"""What the trials of an Optuna study say: measured points, their constraints, and points in flight.

Symbols: n measured, m in flight, f failed, p parameters; coordinates as in `search_space`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from boshnas.objective import Objective
from boshnas.sampler.search_space import SearchSpace

Rows = NDArray[np.float64]

_SHARED = "boshnas:suggested"
_MAX_CHARACTERS = 2045  # of one attribute in a database


@dataclass(frozen=True, kw_only=True)
class History:
    """A study as its sampler sees it; the trial that is being sampled for is not in it.

    Attributes:
        rows: Coordinates measured, shape (n, p).
        utility: To be maximised, finite, shape (n,).
        complete: Whether the trial was not pruned, shape (n,).
        feasible: Whether no constraint is above 0, shape (n,).
        constraints: By name, shape (n,), NaN where not known.
        waiting: Coordinates in flight, shape (m, p).
        failed: Coordinates of trials that failed, shape (f, p).
    """

    rows: Rows
    utility: NDArray[np.float64]
    complete: NDArray[np.bool_]
    feasible: NDArray[np.bool_]
    constraints: dict[str, NDArray[np.float64]]
    waiting: Rows
    failed: Rows


def read(trials: Sequence[FrozenTrial], space: SearchSpace, objective: Objective) -> History:
    """Coordinates and values of trials.

    A pruned trial counts with its last reported value, at most with the median of the completed ones: it was stopped
    because it was worse. Infinite values count as the worst or best finite one. A trial that has no value, or NaN,
    counts as failed.

    Args:
        trials: Of all states, in the order of their numbers.
        space: Says which parameters to look at.
        objective: Says which way is better.
    """
    finished = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    utility = _utilities(finished, objective)
    measured = [trial for trial, value in zip(finished, utility, strict=True) if math.isfinite(value)]
    failed = [trial for trial, value in zip(finished, utility, strict=True) if math.isnan(value)]
    failed += [trial for trial in trials if trial.state is TrialState.FAIL]
    rows = space.encode(trial.params for trial in measured)
    always = np.asarray(~np.isnan(rows).any(axis=0))
    return History(
        rows=rows,
        utility=utility[np.isfinite(utility)],
        complete=np.array([trial.state is TrialState.COMPLETE for trial in measured], dtype=bool),
        feasible=np.array([all(v <= 0 for v in trial.constraints.values()) for trial in measured], dtype=bool),
        constraints=_constraints(measured),
        waiting=_known(space, [trial for trial in trials if trial.state is TrialState.RUNNING], always),
        failed=_known(space, failed, always),
    )


def share(study: Study, trial: FrozenTrial, values: Mapping[str, float]) -> None:
    """Tell other workers what a running trial was told to try.

    Args:
        study: That it belongs to.
        trial: Running.
        values: Optuna's internal representation, by parameter.
    """
    text = json.dumps(dict(values))
    for part, start in enumerate(range(0, len(text), _MAX_CHARACTERS)):
        key, piece = f"{_SHARED}:{part}", text[start : start + _MAX_CHARACTERS]
        study._storage.set_trial_system_attr(trial._trial_id, key, piece)


def shared(trial: FrozenTrial) -> str:
    """What `share` told of a trial; empty if nothing."""
    pieces: list[str] = []
    while (piece := trial.system_attrs.get(f"{_SHARED}:{len(pieces)}")) is not None:
        pieces.append(piece)
    return "".join(pieces)


def internal(values: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> dict[str, float]:
    """Parameter values in Optuna's internal representation."""
    return {name: float(distributions[name].to_internal_repr(value)) for name, value in values.items()}


def _utilities(finished: Sequence[FrozenTrial], objective: Objective) -> NDArray[np.float64]:
    """Finite, or NaN where there is none."""
    values = np.array([_value(trial) for trial in finished], dtype=np.float64)
    utility = _without_infinities(objective.utility(values))
    complete = np.array([trial.state is TrialState.COMPLETE for trial in finished], dtype=bool)
    known = utility[complete & ~np.isnan(utility)]
    if len(known) > 0:
        utility[~complete] = np.minimum(utility[~complete], np.median(known))
    return utility


def _value(trial: FrozenTrial) -> float:
    if trial.state is TrialState.COMPLETE:
        return math.nan if trial.value is None else trial.value
    step = trial.last_step
    return math.nan if step is None else trial.intermediate_values[step]


def _constraints(measured: Sequence[FrozenTrial]) -> dict[str, NDArray[np.float64]]:
    known = [trial.constraints for trial in measured]
    names = sorted({name for values in known for name in values})
    return {name: _without_infinities(np.array([values.get(name, math.nan) for values in known])) for name in names}


def _without_infinities(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Infinite values as the greatest or least finite one, as ±1 where there is none; NaN stays."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if len(finite) > 0 else (-1.0, 1.0)
    return np.clip(values, low, high)


def _known(space: SearchSpace, trials: Sequence[FrozenTrial], always: NDArray[np.bool_]) -> Rows:
    """Coordinates of those trials of which at least the parameters are known that every trial has."""
    rows = space.encode(_params(trial, space) for trial in trials)
    return rows[~np.isnan(rows[:, always]).any(axis=1) & ~np.isnan(rows).all(axis=1)]


def _params(trial: FrozenTrial, space: SearchSpace) -> dict[str, Any]:
    """What a trial has asked for, and what it was told to try."""
    text = shared(trial)
    try:
        values = json.loads(text) if text else {}
    except json.JSONDecodeError:  # another worker is still writing it
        values = {}
    told = {
        name: space.distributions[name].to_external_repr(value)
        for name, value in values.items()
        if name in space.distributions
    }
    return {**told, **trial.params}
