"""What is said of an evaluation, in a few words, for a person."""

import math
from collections.abc import Sequence
from pathlib import Path

from boshnas.errors import one_line
from boshnas.trial import Decision, Trial

NUM_END_LINES = 5
_LARGE, _SMALL = 1e6, 1e-3
NUM_NAMED = 8


def described(trial: Trial) -> str:
    """Level, decision and transfer of a trial, in a few words."""
    if trial.proposal.decision is Decision.BASELINE:
        return "baseline"
    transfer = f", weights of {trial.parent_id}" if trial.parent_id else ""
    return f"level {trial.level}, {trial.proposal.decision}{transfer}"


def outcome(trial: Trial, score_name: str, seconds: float | None = None, log: Path | None = None) -> str:
    """Score and time of an ended trial, or why it failed.

    Args:
        trial: That has ended.
        score_name: What the score is called.
        seconds: It took; None: not known.
        log: Of a failed one; None: there is none.
    """
    if trial.score is None:
        return f"failed ({trial.status}): {_reason(trial.error, log)}"
    return f"{score_name} {number(trial.score)}" + (f" in {clock(seconds)}" if seconds is not None else "")


def attempt_failed(trial: Trial, log: Path | None = None) -> str:
    """Why the last attempt of a trial failed, which is tried again."""
    attempt = trial.attempts[-1]
    return f"tried again after attempt {len(trial.attempts)} ({attempt.status}): {_reason(attempt.error, log)}"


def _reason(error: str | None, log: Path | None) -> str:
    """The first line of an error, to be gone on from, and where there is more."""
    lines = (error or "").strip().splitlines()
    reason = lines[0].rstrip(" .;") if lines else ""
    return (reason or "no reason given") + (f", log: {log}" if log is not None else "")


def believed(trial: Trial) -> str:
    """What the surrogate foresaw of a trial when it was proposed."""
    proposal = trial.proposal
    if proposal.mean is None:
        return "nothing was foreseen"
    deviations = (("epistemic", proposal.epistemic_std), ("aleatoric", proposal.aleatoric_std))
    told = (f"{number(value)} {name}" for name, value in deviations if value is not None)
    return " ± ".join([f"foreseen {number(proposal.mean)}", *told])


def error_end(error: str | None, num_lines: int = NUM_END_LINES) -> Sequence[str]:
    """The last lines of an error, beside its first, which is told elsewhere; nothing in them steers a terminal."""
    lines = [harmless(line) for line in (error or "").rstrip().split("\n")]
    return [line for line in lines[1:][-num_lines:] if line.strip()]


def harmless(line: str) -> str:
    """A line with its indentation, in which nothing steers a terminal."""
    return line[: len(line) - len(line.lstrip(" "))] + one_line(line)


def waiting(reason: str | None) -> str:
    """What the search waits for, or that it goes on."""
    if reason is None:
        return "The search goes on."
    return f"The search waits: {reason.rstrip(' .')}. Make room; it goes on by itself."


def stopping(num_running: int) -> str:
    """That nothing more starts, and what is waited for."""
    what = counted(num_running, "evaluation")
    return f"Stopping: nothing more starts, {what} will be finished and saved. Ctrl-C once more stops at once."


def stopping_at_once(numbers: Sequence[int]) -> str:
    """Which evaluations are ended, and what becomes of them."""
    named = f" ({', '.join(map(str, numbers))})" if len(numbers) <= NUM_NAMED else ""
    verb, each = ("is", "it") if len(numbers) == 1 else ("are", "each")
    return (
        f"Stopping at once: {counted(len(numbers), 'evaluation')}{named} {verb} ended. "
        f"--resume goes on with {each} from its last checkpoint, or from its start where it left none."
    )


def counted(number: int, noun: str) -> str:
    """A number and what it counts.

    Example:
        >>> counted(1, "evaluation"), counted(1200, "row")
        ('1 evaluation', '1200 rows')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def number(value: float) -> str:
    """A score, whatever its unit: two decimals for percents, four for shares, else so many digits as tell it apart.

    Example:
        >>> number(81.234), number(0.81234), number(-25_000_123.0), number(2.5e-9)
        ('81.23', '0.8123', '-25000123', '2.5e-09')
    """
    size = abs(value)
    if size >= _LARGE or 0 < size < _SMALL:
        return f"{value:.8g}" if size >= _LARGE else f"{value:.4g}"
    return f"{value:.2f}" if size >= 1 or size == 0 else f"{value:.4f}"


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
