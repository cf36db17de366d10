"""What a command leaves: a line a run, result.json and result.md, and one of these on stdout."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from design_space.files import written_whole
from finetune.outcomes.file import to_json, write_outcomes
from finetune.outcomes.repeats import RunOutcome, SettingOutcome, detail_text, points
from finetune.output_folder import RESULT_FILE

_TABLE_FILE = "result.md"


def tell(run: RunOutcome) -> None:
    """A line about a run that is done."""
    metrics = ", ".join(f"{name} {points(name, value):.2f}" for name, value in run.metrics.items())
    details = "".join(f"; {name} {detail_text(name, value)}" for name, value in run.details.items())
    sys.stderr.write(f"{run.task}, seed {run.seed}: {run.score:.2f} ({metrics}{details}) in {run.seconds:.0f} s\n")


def keep(outcomes: Sequence[SettingOutcome], table: str, folder: Path | None) -> None:
    """Write result.json and result.md."""
    if folder is not None:
        write_outcomes(folder / RESULT_FILE, outcomes)
        with written_whole(folder / _TABLE_FILE) as file:
            file.write(table.encode())


def show(outcomes: Sequence[SettingOutcome], table: str, as_json: bool) -> None:
    """Print what one of these files holds."""
    sys.stdout.write(json.dumps(to_json(outcomes)) + "\n" if as_json else table)
