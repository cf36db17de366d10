"""Which evaluations of a run did best."""

from collections.abc import Sequence

from boshnas.trial import Decision, Trial


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The finished trial with the greatest score, baselines left out; of equals the earliest."""
    return next((trial for trial in results_of(trials) if trial.proposal.decision is not Decision.BASELINE), None)


def results_of(trials: Sequence[Trial]) -> list[Trial]:
    """Finished trials, best first; of equals the earliest."""
    finished = [trial for trial in trials if trial.score is not None]
    return sorted(finished, key=lambda trial: (-(trial.score or 0.0), trial.number))
