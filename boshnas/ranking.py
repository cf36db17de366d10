"""Which evaluations of a run did best."""

from collections.abc import Sequence

from boshnas.objective import Objective
from boshnas.trial import Decision, Trial

_SCORE = Objective()


def best_trial(trials: Sequence[Trial], objective: Objective = _SCORE) -> Trial | None:
    """The finished trial with the best score, baselines left out; of equals the earliest."""
    ranked = results_of(trials, objective)
    return next((trial for trial in ranked if trial.proposal.decision is not Decision.BASELINE), None)


def results_of(trials: Sequence[Trial], objective: Objective = _SCORE) -> list[Trial]:
    """Finished trials, best first; of equals the earliest.

    Args:
        trials: Any.
        objective: Which way is better.
    """
    scored = [(objective.utility(trial.score), trial) for trial in trials if trial.score is not None]
    return [trial for _, trial in sorted(scored, key=lambda pair: (-pair[0], pair[1].number))]
