"""`learning_curve.csv`: a row a logged step, written while the run goes."""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pretrain.checkpoints import cannot_be_written

CURVE_FILE = "learning_curve.csv"
_HEADER = "step,loss,learning_rate,held_out_loss"
_NAMES = ("loss", "learning_rate", "eval_loss")


class CurveFile(TrainerCallback):
    """Keeps the file in a run's folder at what has been logged so far.

    A resumed run begins with what its checkpoint had logged: rows that came after it are made again, not twice.

    Args:
        folder: Of the run; must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / CURVE_FILE
        self._row: dict[str, Any] = {}
        self._start = 0  # of the last row, in bytes

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin the file anew."""
        if state.is_world_process_zero:
            self._write(0, f"{_HEADER}\n")
            for entry in state.log_history:
                self._add(entry)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Add what was logged last."""
        if state.is_world_process_zero:
            self._add(state.log_history[-1])

    def _add(self, entry: dict[str, Any]) -> None:
        """A new row, or the last one again where the held-out loss of its step has come."""
        if not any(name in entry for name in _NAMES):
            return
        if self._row.get("step") != entry["step"]:
            self._row, self._start = {}, self._path.stat().st_size
        self._row |= entry
        cells = ("" if name not in self._row else f"{self._row[name]:.9g}" for name in _NAMES)
        self._write(self._start, ",".join([str(self._row["step"]), *cells]) + "\n")

    def _write(self, start: int, text: str) -> None:
        """Replace the end of the file."""
        try:
            with self._path.open("r+b" if start else "wb") as file:
                file.seek(start)
                file.write(text.encode())
                file.truncate()
        except OSError as error:
            raise cannot_be_written(self._path.parent, CURVE_FILE, error) from error
