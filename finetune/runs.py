"""One task with several seeds: each run is kept when it is done, and the best one's model."""

import json
import logging
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
from finetune.arguments import FinetuneArguments
from finetune.heads.head import Reading
from finetune.outcomes.file import difference, json_ready
from finetune.outcomes.repeats import RunOutcome, SettingOutcome
from finetune.source import Source
from finetune.train import finetune
from pretrain.callbacks import DivergedError

MODEL_FOLDER = "model"
SETTING_FILE = "setting.json"
_RUN_FILE = "run-{seed}.json"
_SCRATCH = ".run-"
_logger = logging.getLogger(__name__)

_WITHOUT_EFFECT = (
    *("output_dir", "seed", "do_", "disable_tqdm", "report_to", "run_name", "log", "hub", "push_to_hub", "project"),
    *("trackio", "save", "ddp_timeout", "dataloader_num_workers", "dataloader_pin", "dataloader_persistent", "debug"),
)
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
        """All that decides the scores, the seed apart, as JSON values."""
        arguments = self.arguments.to_dict()
        return json_ready(
            {
                "model": self.checkpoint,
                "data": self.source.name,
                "task": self.source.task.name,
                "split_seed": self.source.split_seed,
                "num_train_rows": len(self.source.data.train),
                "num_validation_rows": len(self.source.data.validation),
                "trains": self.trains,
                **asdict(self.reading),
                **{name: value for name, value in arguments.items() if not name.startswith(_WITHOUT_EFFECT)},
            }
        )


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
        tell: Called with each new run.

    Raises:
        InputError: If the checkpoint cannot be loaded, the folder not be written, or it holds runs of another setting,
            runs of other seeds, or runs without their model.
        DivergedError: If a run diverges.
    """
    done: dict[int, RunOutcome] = {}
    if folder is not None:
        if resume:
            require_same(setting, folder)
        _keep_setting(setting, folder)
        done = read_runs(folder, seeds, needs_model=setting.trains) if resume else {}
        if setting.arguments.process_index == 0:
            if done:
                seeds_done = ", ".join(map(str, sorted(done)))
                _logger.info("%s: done already with the seeds %s.", setting.source.task.name, seeds_done)
            for left in folder.glob(f"{_SCRATCH}*"):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
    for seed in seeds:
        if seed not in done:
            with _scratch(setting.arguments, folder) as scratch:
                done[seed] = _run(setting, seed, scratch, keeps_model=folder is not None)
                if folder is not None and setting.arguments.process_index == 0:
                    best = max((done[one] for one in seeds if one in done), key=lambda run: run.score)
                    _keep(done[seed], folder, scratch, is_best=best is done[seed])
                if setting.arguments.process_index == 0:
                    tell(done[seed])
        wait_for_everyone()
    source = setting.source
    return SettingOutcome(
        model=setting.checkpoint,
        data=source.name,
        task=source.task.name,
        runs=tuple(done[seed] for seed in seeds),
        setting=setting.to_json(),
    )


def read_runs(folder: Path, seeds: Sequence[int], *, needs_model: bool = True) -> dict[int, RunOutcome]:
    """The runs that a folder holds.

    Args:
        folder: As for `run_seeds`.
        seeds: All that are to be there in the end.
        needs_model: Whether the best run's model must be there.

    Returns:
        The runs by their seeds.

    Raises:
        InputError: If a file is damaged, a run has another seed than those, or the model is gone.
    """
    done = {run.seed: run for run in map(_read, sorted(folder.glob(_RUN_FILE.format(seed="*"))))}
    if others := sorted(done.keys() - set(seeds)):
        raise InputError(
            f"--resume: {folder} holds runs of seeds {', '.join(map(str, others))} too, whose model may be the best "
            f"one. Give them as well: --seeds {' '.join(map(str, sorted({*done, *seeds})))}."
        )
    model = folder / MODEL_FOLDER
    if done and needs_model and not model.is_dir():
        files = ", ".join(str(folder / _RUN_FILE.format(seed=seed)) for seed in sorted(done))
        raise InputError(
            f"--resume: {model} must hold the best model of the runs that are done, is not there. "
            f"Remove {files} to run anew."
        )
    return done


def require_same(setting: Setting, folder: Path) -> None:
    """Refuse to go on with runs of another setting.

    Raises:
        InputError: With the first setting that differs.
    """
    file = folder / SETTING_FILE
    if file.exists() and any(folder.glob(_RUN_FILE.format(seed="*"))):
        kept = json.loads(file.read_text(encoding="utf-8"))
        if differs := difference(kept, setting.to_json()):
            raise InputError(f"--resume: {folder} holds runs with {differs}. Give the same, or another --output_dir.")


def _keep_setting(setting: Setting, folder: Path) -> None:
    """Write the setting."""
    if setting.arguments.process_index == 0:
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(folder / SETTING_FILE) as opened:
            opened.write(json.dumps(setting.to_json(), indent=1).encode())


def _run(setting: Setting, seed: int, scratch: Path, keeps_model: bool) -> RunOutcome:
    """One run, with its model in the scratch folder."""
    try:
        return finetune(
            setting.checkpoint,
            setting.source.task,
            setting.source.data,
            replace(setting.arguments, seed=seed, output_dir=str(scratch / "trainer")),
            setting.reading,
            save_to=str(scratch / MODEL_FOLDER) if keeps_model and setting.trains else None,
            trains=setting.trains,
            with_intervals=True,
        )
    except DivergedError as error:
        raise DivergedError(
            f"{setting.source.task.name}, seed {seed}: {error}. Give a lower --learning_rate."
        ) from error


def _keep(outcome: RunOutcome, folder: Path, scratch: Path, is_best: bool) -> None:
    """Put a run's file into the folder; before it its model, where that takes the place of the kept one."""
    model, new = folder / MODEL_FOLDER, scratch / MODEL_FOLDER
    if is_best and new.exists():
        if model.exists():
            model.replace(scratch / "before")
        new.replace(model)
    with written_whole(folder / _RUN_FILE.format(seed=outcome.seed)) as file:
        file.write(json.dumps(asdict(outcome), indent=1).encode())


@contextmanager
def _scratch(arguments: FinetuneArguments, folder: Path | None) -> Iterator[Path]:
    """A folder that all processes of a run share, gone at its end."""
    is_first = arguments.process_index == 0
    name = [tempfile.mkdtemp(dir=folder, prefix=_SCRATCH) if is_first else ""]
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
