"""How far a search is, in a line: read from its folder, of which nothing is changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from boshnas.errors import InputError
from boshnas.executors import is_held
from boshnas.saved_run import Run
from boshnas.store import STORAGE_FILE, STORE_FILE, Database, UnavailableError
from boshnas.trial import Decision, Status


class State(StrEnum):
    """What becomes of a search."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A search in short; baselines are not counted.

    Attributes:
        name: Of the folder.
        folder: Of the run.
        state: Running: a process holds the folder. Interrupted: it has not used up its budget, and none does.
            Failed: it has, and nothing has a score.
        space: What is searched, or a table.
        score_name: What the objective is called.
        budget: Evaluations in all; None: not known.
        num_finished: With a score.
        num_failed: Without.
        num_running: At this moment.
        best_id: Of the best; None: there is none.
        best_score: Of it.
        begun: When the first evaluation began; local time of the search's machine.
        error: Why it cannot be read.
    """

    name: str
    folder: str
    state: State
    space: str = ""
    score_name: str = ""
    budget: int | None = None
    num_finished: int = 0
    num_failed: int = 0
    num_running: int = 0
    best_id: str | None = None
    best_score: float | None = None
    begun: datetime | None = None
    error: str | None = None


def run_folders(folder: Path) -> list[Path]:
    """The runs in a folder: itself where it is one, else its direct subfolders that are.

    Raises:
        InputError: If it is no folder that can be read.
    """
    if _is_run(folder):
        return [folder]
    try:
        return sorted(path for path in folder.iterdir() if _is_run(path))
    except OSError as error:
        raise InputError(
            f"FOLDER: must be a folder of runs, got {str(folder)!r} ({error.strerror}). "
            "Begin a search with `boshnas run`, or give another folder."
        ) from None


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (STORE_FILE, STORAGE_FILE))


def read_overview(folder: Path, database: Database | None) -> Overview:
    """A run in short; one that cannot be read says why.

    Args:
        folder: Of the run.
        database: Where the store lies if the folder says that it is in a database.
    """
    try:
        return overview(Run.open(folder, database if (folder / STORAGE_FILE).exists() else None))
    except (InputError, UnavailableError) as error:
        return Overview(name=folder.resolve().name, folder=str(folder), state=State.UNREADABLE, error=str(error))


def overview(run: Run) -> Overview:
    """A run in short."""
    trials = [trial for trial in run.trials if trial.proposal.decision is not Decision.BASELINE]
    options = run.identity.get("options")
    given = options.get("budget") if isinstance(options, dict) else None
    # A search that was gone on with may have been given a greater one.
    budget = max(given, len(trials)) if isinstance(given, int) else None
    is_running = is_held(run.folder)
    num_open = sum(trial.status is Status.RUNNING for trial in run.trials)
    is_done = not num_open and len(trials) >= (budget or 1)
    best = run.best
    return Overview(
        name=run.name,
        folder=str(run.folder),
        state=_state(is_running, is_done, has_best=best is not None),
        space=_space(run),
        score_name=run.score_name,
        budget=budget,
        num_finished=sum(trial.status is Status.FINISHED for trial in trials),
        num_failed=sum(trial.failed for trial in trials),
        num_running=num_open if is_running else 0,
        best_id=None if best is None else best.id,
        best_score=None if best is None else best.score,
        begun=min((began for began, _ in run.times.values()), default=None),
    )


def _state(is_running: bool, is_done: bool, *, has_best: bool) -> State:
    if is_running or not is_done:
        return State.RUNNING if is_running else State.INTERRUPTED
    return State.FINISHED if has_best else State.FAILED


def newest_first(overviews: Sequence[Overview]) -> list[Overview]:
    """By when they were begun; those of which that is not known come last, by name."""
    known = sorted((one for one in overviews if one.begun is not None), key=lambda one: (one.begun, one.name))
    return [*reversed(known), *sorted((one for one in overviews if one.begun is None), key=lambda one: one.name)]


def _space(run: Run) -> str:
    """A shipped name, or that of a file: of the space, or of the table."""
    space = run.identity.get("space", run.identity.get("table"))
    return Path(space).name if isinstance(space, str) else ""
