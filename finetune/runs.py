"""One task with several seeds: each run is kept when it is done, and the best one's model."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list, wait_for_everyone
from pydantic import TypeAdapter, ValidationError

from design_space.errors import InputError
from design_space.files import written_whole
from finetune.config import FinetuneArguments
from finetune.heads import Reading
from finetune.repeats import RunOutcome, SettingOutcome
from finetune.source import Source
from finetune.train import finetune
from pretrain.callbacks import DivergedError

MODEL_FOLDER = "model"
SETTING_FILE = "setting.json"
_RUN_FILE = "run-{seed}.json"

_WITHOUT_EFFECT = ("output_dir", "seed", "do_", "disable_tqdm", "report_to", "run_name", "log", "hub", "push_to_hub")
"""Arguments, or how they begin, that change no score."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Everything about a run but its seed.

    Attributes:
        checkpoint: Folder or hub name of an encoder.
        source: Task and rows.
        arguments: Of the Trainer.
        reading: How texts become tokens.
        trains: Else the checkpoint is scored as it is.
    """

    checkpoint: str
    source: Source
    arguments: FinetuneArguments
    reading: Reading
    trains: bool = True

    def to_json(self) -> dict[str, Any]:
        """All that decides the scores, the seed apart."""
        arguments = self.arguments.to_dict()
        return {
            "model": self.checkpoint,
            "data": self.source.name,
            "task": self.source.task.name,
            "num_train_rows": len(self.source.data.train),
            "num_validation_rows": len(self.source.data.validation),
            "trains": self.trains,
            **asdict(self.reading),
            **{name: value for name, value in arguments.items() if not name.startswith(_WITHOUT_EFFECT)},
        }


def run_seeds(
    setting: Setting,
    seeds: Sequence[int],
    folder: Path | None = None,
    resume: bool = False,
    tell: Callable[[RunOutcome], None] = lambda _: None,
) -> SettingOutcome:
    """Train and score with each seed.

    Args:
        setting: What is run.
        seeds: Of the runs.
        folder: Receives a file a run, and `model`, the best run's; None: nothing is kept.
        resume: Take a run whose file is there as done.
        tell: Called with each run.

    Raises:
        InputError: If the checkpoint cannot be loaded, the folder not be written, or it holds runs of another setting.
        DivergedError: If a run diverges.
    """
    if folder is not None:
        _keep_setting(setting, folder, resume)
    done: list[RunOutcome] = []
    for seed in seeds:
        kept = None if folder is None else folder / _RUN_FILE.format(seed=seed)
        if resume and kept is not None and kept.exists():
            outcome = _read(kept)
        else:
            outcome = _run(setting, seed, folder, best=max((run.score for run in done), default=None))
            if kept is not None and setting.arguments.process_index == 0:
                with written_whole(kept) as file:
                    file.write(json.dumps(asdict(outcome), indent=1).encode())
        done.append(outcome)
        if setting.arguments.process_index == 0:
            tell(outcome)
        wait_for_everyone()
    source = setting.source
    return SettingOutcome(
        model=setting.checkpoint,
        data=source.name,
        task=source.task.name,
        runs=tuple(done),
        setting=setting.to_json(),
    )


def require_model(folder: Path, seeds: Sequence[int]) -> None:
    """Refuse runs that are done but whose model is gone.

    Args:
        folder: As for `run_seeds`.
        seeds: Of the runs.

    Raises:
        InputError: If the file of a run is there and `model` is not.
    """
    model = folder / MODEL_FOLDER
    done = [path for seed in seeds if (path := folder / _RUN_FILE.format(seed=seed)).exists()]
    if done and not model.is_dir():
        raise InputError(
            f"--resume: {model} must hold the best model of the runs that are done, is not there. "
            f"Remove {', '.join(map(str, done))} to run anew."
        )


def _keep_setting(setting: Setting, folder: Path, resume: bool) -> None:
    """Write the setting; where runs go on, refuse one that differs from what is there."""
    file = folder / SETTING_FILE
    given = json.loads(json.dumps(setting.to_json(), default=str))
    if resume and file.exists():
        kept = json.loads(file.read_text(encoding="utf-8"))
        for name in kept:
            if name in given and kept[name] != given[name]:
                raise InputError(
                    f"--resume: {folder} holds runs with {name} {kept[name]!r}, got {given[name]!r}. "
                    "Give the same, or another --output_dir."
                )
        return
    if setting.arguments.process_index > 0:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(file) as opened:
        opened.write(json.dumps(given, indent=1).encode())


def _run(setting: Setting, seed: int, folder: Path | None, best: float | None) -> RunOutcome:
    """One run; its model takes the place of the kept one where it is better."""
    with _scratch(setting.arguments, folder) as scratch:
        new = scratch / MODEL_FOLDER
        try:
            outcome = finetune(
                setting.checkpoint,
                setting.source.task,
                setting.source.data,
                replace(setting.arguments, seed=seed, output_dir=str(scratch / "trainer")),
                setting.reading,
                save_to=str(new) if folder is not None and setting.trains else None,
                trains=setting.trains,
                with_intervals=True,
            )
        except DivergedError as error:
            raise DivergedError(
                f"{setting.source.task.name}, seed {seed}: {error}. Give a lower --learning_rate."
            ) from error
        is_better = best is None or outcome.score > best
        if folder is not None and new.exists() and is_better and setting.arguments.process_index == 0:
            shutil.rmtree(folder / MODEL_FOLDER, ignore_errors=True)
            new.replace(folder / MODEL_FOLDER)
    return outcome


@contextmanager
def _scratch(arguments: FinetuneArguments, folder: Path | None) -> Iterator[Path]:
    """A folder that all processes of a run share, gone at its end."""
    is_first = arguments.process_index == 0
    name = [tempfile.mkdtemp(dir=folder, prefix=".run-") if is_first else ""]
    scratch = Path(broadcast_object_list(name)[0])
    try:
        yield scratch
    finally:
        if is_first:
            shutil.rmtree(scratch, ignore_errors=True)


def _read(path: Path) -> RunOutcome:
    try:
        return TypeAdapter(RunOutcome).validate_json(path.read_bytes())
    except ValidationError:
        raise InputError(f"--resume: {path} must be a finished run, is not. Remove it.") from None
