"""What is said of an evaluation, in a few words, for a person."""

import math
from collections.abc import Sequence

from boshnas.errors import one_line
from boshnas.trial import Decision, Trial

NUM_END_LINES = 5


def described(trial: Trial) -> str:
    """Level, decision and transfer of a trial, in a few words."""
    if trial.proposal.decision is Decision.BASELINE:
        return "baseline"
    transfer = f", weights of {trial.parent_id}" if trial.parent_id else ""
    return f"level {trial.level}, {trial.proposal.decision}{transfer}"


def outcome(trial: Trial, score_name: str) -> str:
    """Score and time of an ended trial, or why it failed."""
    if trial.score is None:
        reason = (trial.error or "").strip().splitlines()
        return f"failed ({trial.status}): {reason[0] if reason else 'no reason given'}"
    return f"{score_name} {trial.score:.2f} in {clock(sum(trial.stage_seconds.values()))}"


def attempt_failed(trial: Trial) -> str:
    """Why the last attempt of a trial failed, which is tried again."""
    attempt = trial.attempts[-1]
    reason = attempt.error.strip().splitlines()
    return f"tried again after attempt {len(trial.attempts)} ({attempt.status}): {reason[0] if reason else 'no reason'}"


def believed(trial: Trial) -> str:
    """What the surrogate foresaw of a trial when it was proposed."""
    proposal = trial.proposal
    if proposal.mean is None:
        return "nothing was foreseen"
    deviations = (("epistemic", proposal.epistemic_std), ("aleatoric", proposal.aleatoric_std))
    told = (f"{value:.2f} {name}" for name, value in deviations if value is not None)
    return " ± ".join([f"foreseen {proposal.mean:.2f}", *told])


def error_end(error: str | None, num_lines: int = NUM_END_LINES) -> Sequence[str]:
    """The last lines of an error, beside its first, which is told elsewhere; nothing in them steers a terminal."""
    lines = [harmless(line) for line in (error or "").rstrip().split("\n")]
    return [line for line in lines[1:][-num_lines:] if line.strip()]


def harmless(line: str) -> str:
    """A line with its indentation, in which nothing steers a terminal."""
    return line[: len(line) - len(line.lstrip(" "))] + one_line(line)


def waiting(reason: str | None) -> str:
    """What the search waits for, or that it goes on."""
    return "The search goes on." if reason is None else f"The search waits: {reason}. Make room; it goes on by itself."


def stopping(num_running: int) -> str:
    """That nothing more starts, and what is waited for."""
    what = "1 evaluation" if num_running == 1 else f"{num_running} evaluations"
    return f"Stopping: nothing more starts, {what} will be finished and saved. Ctrl-C once more stops at once."


def clock(seconds: float) -> str:
    """Seconds as 12s, 3m05s or 2h07m; `?` where they are no number."""
    if not math.isfinite(seconds):
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
