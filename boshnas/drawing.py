"""The picture of a search's best architecture, kept up to date in the run's folder."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from boshnas.job import Progress
from boshnas.plan import View
from boshnas.saved_run import PICTURE_FILE
from boshnas.trial import Decision, Trial
from design_space.architecture import Architecture
from design_space.draw import draw
from design_space.files import written_whole

_logger = logging.getLogger(__name__)


class DrawingView:
    """Draws the best architecture whenever there is a better one; shows the search by another view.

    Args:
        view: That shows the search.
        folder: Of the run.
        best: Of an earlier part of the search.
    """

    def __init__(self, view: View, folder: Path, best: Trial | None) -> None:
        self._view = view
        self._path = folder / PICTURE_FILE
        self._best = best
        if best is not None and not self._path.exists():
            self._draw(best)

    def started(self, trial: Trial) -> None:
        """Pass it on."""
        self._view.started(trial)

    def ended(self, trial: Trial) -> None:
        """Pass it on; draw what is better than all before."""
        self._view.ended(trial)
        is_candidate = trial.score is not None and trial.proposal.decision is not Decision.BASELINE
        if is_candidate and (self._best is None or (trial.score or 0.0) > (self._best.score or 0.0)):
            self._best = trial
            self._draw(trial)

    def retried(self, trial: Trial) -> None:
        """Pass it on."""
        self._view.retried(trial)

    def waits(self, reason: str | None) -> None:
        """Pass it on."""
        self._view.waits(reason)

    def stops(self, num_running: int) -> None:
        """Pass it on."""
        self._view.stops(num_running)

    def stops_at_once(self, numbers: Sequence[int]) -> None:
        """Pass it on."""
        self._view.stops_at_once(numbers)

    def tick(self, running: Mapping[int, Progress | None]) -> None:
        """Pass it on."""
        self._view.tick(running)

    def _draw(self, trial: Trial) -> None:
        picture = draw(Architecture.from_model_dict(trial.architecture), "Best architecture")
        try:
            with written_whole(self._path) as file:
                file.write(picture.encode())
        except OSError as error:  # a search does not end for want of a picture
            _logger.warning("%s cannot be written (%s)", self._path, error.strerror)
