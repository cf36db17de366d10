import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from boshnas.job import (
    CHECKPOINT_FOLDER,
    JOB_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    Job,
    Parent,
    Progress,
    Result,
    read_model,
    write_model,
)
from boshnas.trial import Status
from boshnas.worker import FinetuneSettings, Settings, Stages, evaluate, failure, main
from design_space.architecture import Architecture
from design_space.errors import InputError
from design_space.layer import Layer
from design_space.model import FlexiBertForMaskedLM
from pretrain.callbacks import DivergedError
from pretrain.config import Recipe
from pretrain.corpus import pack
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


def test_progress_is_written_at_most_twice_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr("boshnas.worker.time.monotonic", lambda: now[0])
    seen = []
    with Stages(tmp_path).stage("pretrain") as report:
        for step in range(1, 6):
            now[0] += 0.3
            report(step, 5)
            seen.append(read_model(tmp_path / PROGRESS_FILE, Progress).step)
    assert seen == [1, 1, 3, 3, 5]


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
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), Status.OUT_OF_MEMORY),
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


def test_the_worker_is_a_module_of_its_own():
    assert "boshnas.worker" in sys.modules
    assert "boshnas.campaign" not in vars(sys.modules["boshnas.worker"])
