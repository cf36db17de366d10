import errno
import io
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer

from boshnas.executors.outcome import EXIT_DISK_FULL
from boshnas.folders import keep_folders
from boshnas.job import (
    CHECKPOINT_FOLDER,
    JOB_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    SAVED_FILE,
    Job,
    Parent,
    Progress,
    Result,
    Saved,
    read_model,
    write_model,
)
from boshnas.trial import Status
from boshnas.worker.__main__ import failure, main
from boshnas.worker.evaluation import evaluate
from boshnas.worker.settings import FinetuneSettings, Settings, split_batch
from design_space.architecture import Architecture
from design_space.errors import InputError
from design_space.layer import Layer
from design_space.model import FlexiBertForMaskedLM
from pretrain.callbacks import DivergedError, StepReporter
from pretrain.checkpoints import cannot_be_written, checkpoints
from pretrain.config import Recipe
from pretrain.corpus import pack
from pretrain.interrupt import StoppedError
from pretrain.tokenizer import train_tokenizer

TINY = Architecture((Layer("sa", "sdp", 32, 2, (64,)), Layer("l", "dft", 32, 2, (64,))))
# Seven of eight blocks stand in the parent.
PARENT = Architecture((*TINY.layers, Layer("c", "5", 32, 2, (64,)), Layer("sa", "sdp", 32, 2, (64,))))
CHILD = Architecture((*PARENT.layers[:3], Layer("sa", "sdp", 32, 2, (64, 64))))
TEXT = [f"the {colour} cat {verb} a {noun}" for colour in ("red", "old") for verb in ("sees", "has") for noun in "abcd"]


def worker_settings(**recipe: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "max_seq_length": 16,
        "learning_rate": 1e-3,
        "warmup_steps": 1,
        "vocab_size": 280,
    }
    settings = Settings(
        data="demo",
        tasks=["sst2"],
        tokenizer="tokenizer",
        corpus="corpus",
        dropout=0.0,
        pretrain=Recipe.model_validate(values | recipe),
        finetune=FinetuneSettings(
            max_steps=2, per_device_train_batch_size=4, learning_rate=1e-3, warmup_steps=1, max_seq_length=16
        ),
    )
    return settings.model_dump(mode="json")


def make_job(architecture: Architecture = TINY, number: int = 0, parent: Parent | None = None, **recipe: Any) -> Job:
    return Job(
        number=number,
        id=architecture.id,
        architecture=architecture.to_model_dict(),
        seed=3,
        parent=parent,
        settings=worker_settings(**recipe),
    )


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with a tokenizer and a corpus."""
    folder = tmp_path_factory.mktemp("run")
    tokenizer = train_tokenizer(TEXT * 20, 280)
    tokenizer.save_pretrained(folder / "tokenizer")
    pack(TEXT * 20, tokenizer, 16).save(folder / "corpus")
    return folder


def job_folder(run_folder: Path, number: int) -> Path:
    folder = run_folder / "jobs" / f"{number:05d}"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def parent(run_folder: Path) -> tuple[Result, Path]:
    """A pre-trained and fine-tuned architecture."""
    folder = job_folder(run_folder, 7)
    return evaluate(make_job(PARENT, 7), folder, run_folder), folder


def test_an_evaluation_pre_trains_scores_and_reports(parent: tuple[Result, Path]):
    result, _ = parent
    assert (result.number, result.id, result.status, result.error) == (7, PARENT.id, Status.FINISHED, None)
    assert result.task_scores.keys() == {"sst2"}
    assert result.score == result.task_scores["sst2"]
    assert 0 <= result.score <= 100
    assert result.stage_seconds.keys() == {"pretrain", "sst2"}
    assert all(seconds > 0 for seconds in result.stage_seconds.values())
    assert result.details["pretrain_steps"] == 2
    assert 3 < float(result.details["pretrain_loss"]) < 10  # type: ignore[arg-type]
    metrics: Any = result.details["metrics"]
    assert metrics["sst2"]["accuracy"] == pytest.approx(result.score / 100)
    assert "transferred_from" not in result.details


def test_the_checkpoint_loads_with_its_tokenizer_and_is_of_the_architecture(parent: tuple[Result, Path]):
    _, folder = parent
    model = FlexiBertForMaskedLM.from_pretrained(folder / CHECKPOINT_FOLDER)
    assert model.config.model_dict is not None
    assert Architecture.from_model_dict(model.config.model_dict) == PARENT
    tokenizer = AutoTokenizer.from_pretrained(folder / CHECKPOINT_FOLDER)
    logits = model(**tokenizer("the red cat", return_tensors="pt")).logits
    assert logits.shape[-1] == model.config.vocab_size == len(tokenizer)
    assert torch.isfinite(logits).all()


def test_progress_says_the_stage_and_the_steps(parent: tuple[Result, Path]):
    _, folder = parent
    progress = read_model(folder / PROGRESS_FILE, Progress)
    assert progress.stage in ("pretrain", "sst2")
    assert 1 <= progress.step <= progress.num_steps == 2


def test_weights_of_a_parent_replace_pre_training(run_folder: Path, parent: tuple[Result, Path]):
    _, lender = parent
    folder = job_folder(run_folder, 8)
    lent = Parent(id=PARENT.id, checkpoint=str((lender / CHECKPOINT_FOLDER).relative_to(run_folder)), overlap=0.875)
    result = evaluate(make_job(CHILD, 8, lent), folder, run_folder)
    assert result.status is Status.FINISHED
    assert result.stage_seconds.keys() == {"transfer", "sst2"}
    assert result.details["transferred_from"] == PARENT.id
    assert result.details["overlap"] == 0.875
    assert 0.8 < float(result.details["share_transferred"]) < 1  # type: ignore[arg-type]
    assert "pretrain_loss" not in result.details

    ours = FlexiBertForMaskedLM.from_pretrained(folder / CHECKPOINT_FOLDER).state_dict()
    theirs = FlexiBertForMaskedLM.from_pretrained(lender / CHECKPOINT_FOLDER).state_dict()
    equal = {name for name in ours if name in theirs and torch.equal(ours[name], theirs[name])}
    assert any(name.startswith("flexibert.layers.0.") for name in equal)
    assert any("embeddings" in name for name in equal)
    trained = {name for name, weight in ours.items() if weight.std() > 0}
    assert any(name.startswith("flexibert.layers.3.") for name in trained - equal)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DivergedError("loss is nan"), Status.DIVERGED),
        (FloatingPointError("overflow"), Status.DIVERGED),
        (MemoryError(), Status.OUT_OF_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory"), Status.OUT_OF_MEMORY),
        (OSError(errno.ENOSPC, "No space left on device"), Status.DISK_FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Status.DISK_FULL),
        (OSError(errno.EIO, "Input/output error"), Status.CRASHED),
        (
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
            Status.DISK_FULL,
        ),
        (SafetensorError("Error while serializing: I/O error: (os error 122)"), Status.DISK_FULL),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598"), Status.DISK_FULL),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), Status.OUT_OF_MEMORY),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), Status.OUT_OF_MEMORY),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"), Status.OUT_OF_MEMORY),
        (InputError("sst2: row 3 has no label"), Status.BAD_INPUT),
        (ValueError("anything else"), Status.CRASHED),
        (KeyError("x"), Status.CRASHED),
    ],
)
def test_failures_are_told_apart(error: Exception, status: Status):
    result = failure(make_job(number=4), error)
    assert (result.number, result.id, result.status, result.score) == (4, TINY.id, status, None)
    assert result.error is not None
    assert result.error.startswith(f"{type(error).__name__}: {error}\n")


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Status.DISK_FULL),
        (SafetensorError("I/O error: No space left on device (os error 28)"), Status.DISK_FULL),
        (torch.OutOfMemoryError("CUDA out of memory"), Status.OUT_OF_MEMORY),
        (OSError(errno.EACCES, "Permission denied"), Status.BAD_INPUT),
    ],
)
@pytest.mark.parametrize("is_told", [True, False])
def test_a_checkpoint_that_cannot_be_written_is_told_by_its_cause(
    tmp_path: Path, cause: Exception, status: Status, is_told: bool
):
    refusal = cannot_be_written(tmp_path, "the checkpoint of step 3", ValueError("full"))
    refusal.__cause__, refusal.__context__ = cause if is_told else None, cause
    assert failure(make_job(), refusal).status is status


def test_a_full_disk_under_torch_is_told_as_that(tmp_path: Path):
    class Full(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(Exception, match=r"unexpected pos|No space") as caught:
        torch.save({"weights": torch.zeros(10_000)}, Full())  # type: ignore[arg-type]
    assert failure(make_job(), caught.value).status is Status.DISK_FULL  # type: ignore[arg-type]


def test_a_failure_keeps_the_end_of_the_traceback():
    def deep(depth: int) -> None:
        if depth:
            deep(depth - 1)
        raise ValueError("at the bottom " + "x" * 1500)

    with pytest.raises(ValueError, match="at the bottom") as caught:
        deep(30)
    error = failure(make_job(), caught.value).error
    assert error is not None
    assert error.rstrip().endswith("x")
    assert "in deep" in error
    assert len(error) < 4000


def written_job(run_folder: Path, job: Job) -> Path:
    path = job_folder(run_folder, job.number) / JOB_FILE
    write_model(path, job)
    return path


def test_main_writes_the_result_beside_the_job(run_folder: Path, capsys: pytest.CaptureFixture[str]):
    path = written_job(run_folder, make_job(number=20))
    assert main([str(path)]) == 0
    result = read_model(path.parent / RESULT_FILE, Result)
    assert result.status is Status.FINISHED
    told: Mapping[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told == {"status": "finished", "score": result.score}


def test_main_writes_a_failed_result_where_training_diverges(run_folder: Path, capsys: pytest.CaptureFixture[str]):
    path = written_job(run_folder, make_job(number=21, learning_rate=1e30, max_steps=4))
    assert main([str(path)]) == 1
    result = read_model(path.parent / RESULT_FILE, Result)
    assert (result.number, result.id, result.score) == (21, TINY.id, None)
    assert result.status is Status.DIVERGED
    assert result.error is not None
    assert result.error.startswith("DivergedError: ")
    assert result.error.rstrip().splitlines()[-1].startswith("pretrain.callbacks.DivergedError: ")
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"status": "diverged", "score": None}


@pytest.mark.parametrize(
    ("number", "change", "status", "words"),
    [
        (22, {"corpus": "absent"}, Status.BAD_INPUT, "must hold a packed corpus"),
        (23, {"tokenizer": "absent"}, Status.BAD_INPUT, "is no folder"),
        (24, {"typo": 1}, Status.CRASHED, "typo"),
    ],
)
def test_main_tells_of_settings_that_cannot_be_used(
    run_folder: Path, number: int, change: dict[str, Any], status: Status, words: str
):
    job = make_job(number=number)
    path = written_job(run_folder, job.model_copy(update={"settings": job.settings | change}))
    assert main([str(path)]) == 1
    result = read_model(path.parent / RESULT_FILE, Result)
    assert result.status is status
    assert words in str(result.error)


def test_the_worker_knows_no_campaign():
    code = "import sys, boshnas.worker.__main__; sys.exit('boshnas.campaign' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Another attempt


def without_times(result: Result) -> dict[str, Any]:
    return result.model_dump(exclude={"stage_seconds", "number"})


def test_another_attempt_does_no_finished_stage_again(
    run_folder: Path, parent: tuple[Result, Path], monkeypatch: pytest.MonkeyPatch
):
    first, folder = parent
    for name in ("pretrain", "finetune"):
        monkeypatch.setattr(f"boshnas.worker.evaluation.{name}", lambda *args, **kwargs: pytest.fail("trained again"))
    job = make_job(PARENT, 7).model_copy(update={"attempt": 2})
    assert evaluate(job, folder, run_folder) == first


def test_a_job_of_another_seed_begins_anew(run_folder: Path):
    folder = job_folder(run_folder, 30)
    job = make_job(number=30)
    first = evaluate(job, folder, run_folder)
    second = evaluate(job.model_copy(update={"seed": 4}), folder, run_folder)
    assert first.details["pretrain_loss"] != second.details["pretrain_loss"]


def test_a_checkpoint_that_was_deleted_is_made_again_and_the_scores_are_the_same(run_folder: Path):
    folder = job_folder(run_folder, 31)
    job = make_job(number=31)
    first = evaluate(job, folder, run_folder)
    shutil.rmtree(folder / CHECKPOINT_FOLDER)
    assert without_times(evaluate(job, folder, run_folder)) == without_times(first)
    assert (folder / CHECKPOINT_FOLDER / "config.json").is_file()


def test_a_pre_training_asked_to_stop_goes_on_from_its_checkpoint_and_ends_the_same(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = evaluate(make_job(number=32, max_steps=8), job_folder(run_folder, 32), run_folder)
    folder = job_folder(run_folder, 33)
    job = make_job(number=33, max_steps=8)
    asked = iter([False, False, True, True])

    @contextmanager
    def stop() -> Iterator[Callable[[], bool]]:
        yield lambda: next(asked)

    with monkeypatch.context() as patch:
        patch.setattr("boshnas.worker.evaluation.stop_on_signal", stop)
        with pytest.raises(StoppedError):
            evaluate(job, folder, run_folder)
    assert read_model(folder / SAVED_FILE, Saved) == Saved(stage="pretrain", step=3)
    seen: list[int] = []
    real = StepReporter.on_step_end

    def on_step_end(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        seen.append(state.global_step)
        real(self, args, state, control, **kwargs)

    monkeypatch.setattr(StepReporter, "on_step_end", on_step_end)
    result = evaluate(job, folder, run_folder)
    assert seen[:5] == [4, 5, 6, 7, 8]
    assert without_times(result) == without_times(whole)
    assert not checkpoints(folder / CHECKPOINT_FOLDER)


def test_a_half_written_checkpoint_is_not_gone_on_from(run_folder: Path):
    whole = evaluate(make_job(number=34), job_folder(run_folder, 34), run_folder)
    folder = job_folder(run_folder, 35)
    (folder / CHECKPOINT_FOLDER / ".partial").mkdir(parents=True)
    (folder / CHECKPOINT_FOLDER / ".partial" / "model.safetensors").write_bytes(b"half")
    (folder / CHECKPOINT_FOLDER / "run.json").write_text("{")
    (folder / "stages.json").write_text('{"job": "')
    assert without_times(evaluate(make_job(number=35), folder, run_folder)) == without_times(whole)


def test_a_split_batch_sees_the_same_rows_in_parts(run_folder: Path):
    whole = evaluate(make_job(number=36, max_steps=8), job_folder(run_folder, 36), run_folder)
    job = make_job(number=37, max_steps=8).model_copy(update={"batch_split": 2})
    result = evaluate(job, job_folder(run_folder, 37), run_folder)
    assert result.details["pretrain_steps"] == 8
    assert result.details["pretrain_loss"] == pytest.approx(whole.details["pretrain_loss"], rel=0.02)
    too_many = make_job(number=38).model_copy(update={"batch_split": 8})
    with pytest.raises(MemoryError, match="a batch of 4 cannot be split into 8 parts"):
        evaluate(too_many, job_folder(run_folder, 38), run_folder)


@pytest.mark.parametrize(
    ("size", "accumulated", "split", "expected"),
    [(64, 1, 2, (32, 2)), (64, 3, 4, (16, 12)), (9, 1, 2, (3, 3)), (7, 1, 2, (1, 7)), (8, 1, 1, (8, 1))],
)
def test_a_step_sees_as_many_rows_however_its_batch_is_split(
    size: int, accumulated: int, split: int, expected: tuple[int, int]
):
    parts = split_batch(size, accumulated, split)
    assert (parts["per_device_train_batch_size"], parts["gradient_accumulation_steps"]) == expected
    assert expected[0] * expected[1] == size * accumulated


def test_a_worker_asked_to_end_leaves_a_checkpoint_and_no_result(run_folder: Path):
    path = written_job(run_folder, make_job(number=39, max_steps=100_000))
    process = subprocess.Popen([sys.executable, "-m", "boshnas.worker", str(path)], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not (path.parent / PROGRESS_FILE).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.terminate()
        _, error = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 143
    assert "stopped on request; checkpoint in" in error
    assert not (path.parent / RESULT_FILE).exists()
    assert read_model(path.parent / SAVED_FILE, Saved).step > 0


# What a job may name


@pytest.mark.parametrize(
    ("number", "change", "words"),
    [
        (50, {"tokenizer": "../elsewhere"}, "settings.tokenizer must lie within the run's folder, got '../elsewhere'"),
        (51, {"corpus": "/etc"}, "settings.corpus must lie within the run's folder, got '/etc'"),
        (52, {"corpus": "link"}, "settings.corpus must lie within the run's folder, got 'link'"),
        (53, {"data": "/etc"}, "settings.data must be the data of the run, '/data/glue', got '/etc'"),
    ],
)
def test_a_job_may_not_lead_out_of_the_run(run_folder: Path, number: int, change: dict[str, str], words: str):
    if not (run_folder / "link").is_symlink():
        (run_folder / "link").symlink_to("/etc")
    keep_folders(run_folder, "/data/glue")
    job = make_job(number=number)
    path = written_job(run_folder, job.model_copy(update={"settings": job.settings | change}))
    assert main([str(path)]) == 1
    result = read_model(path.parent / RESULT_FILE, Result)
    assert result.status is Status.BAD_INPUT
    assert words in str(result.error)


def test_a_parent_may_not_lie_outside(run_folder: Path):
    lent = Parent(id=PARENT.id, checkpoint="../../other/pretrained", overlap=0.875)
    path = written_job(run_folder, make_job(CHILD, 54, lent))
    assert main([str(path)]) == 1
    assert "parent.checkpoint must lie within" in str(read_model(path.parent / RESULT_FILE, Result).error)


def test_a_job_of_another_version_is_refused(run_folder: Path):
    path = written_job(run_folder, make_job(number=55).model_copy(update={"version": "9.9"}))
    assert main([str(path)]) == 1
    result = read_model(path.parent / RESULT_FILE, Result)
    assert result.status is Status.BAD_INPUT
    assert "version must be that of this worker" in str(result.error)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "content: must be JSON (EOF while parsing an object at line 1 column 1). Correct"),
        ('{"schema_number": 99}', "schema_number must be at most"),
        (None, "cannot be read"),
    ],
)
def test_a_job_that_cannot_be_read_is_one_line_and_exit_code_2(
    run_folder: Path, content: str | None, words: str, capsys: pytest.CaptureFixture[str]
):
    path = run_folder / "jobs" / "00060" / JOB_FILE
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_text(content)
    assert main([str(path)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_job_outside_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_model(tmp_path / JOB_FILE, make_job())
    assert main([str(tmp_path / JOB_FILE)]) == 2
    assert "must lie in RUN/jobs/NUMBER" in capsys.readouterr().err


def test_a_result_without_room_is_told_by_the_exit_code(run_folder: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: Path, model: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("boshnas.worker.__main__.write_model", refuse)
    path = written_job(run_folder, make_job(number=56).model_copy(update={"version": "9.9"}))
    assert main([str(path)]) == EXIT_DISK_FULL
