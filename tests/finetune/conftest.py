"""A tiny pre-trained checkpoint, a task that its words decide, and folders in the layout of GLUE."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration, set_seed
from transformers.utils import logging as transformers_logging

from design_space.architecture import Architecture, Layer
from finetune.arguments import FinetuneArguments
from finetune.data import TaskData
from finetune.heads.head import Reading
from finetune.tasks import TEXT_TASKS
from finetune.train import finetune
from pretrain import demo
from pretrain.arguments import PretrainArguments
from pretrain.corpus import pack
from pretrain.tokenizer import train_tokenizer
from pretrain.train import build_model, pretrain

MAX_POSITIONS = 64
COLOURS = [
    {"question": f"which colour has the {noun} ?", "answer": answer}
    for noun, answer in zip(
        ["sky", "grass", "snow", "coal", "blood", "sun", "rose", "plum"],
        ["blue", "green", "white", "black", "dark red", "yellow", "light red", "dark blue"],
        strict=True,
    )
]


@pytest.fixture(autouse=True)
def levels_of_loggers() -> Iterator[None]:
    """Put back what a command changes."""
    loggers = [logging.getLogger(name) for name in ("finetune", "huggingface_hub")]
    before = [logger.level for logger in loggers]
    verbosity = transformers_logging.get_verbosity()
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)
    transformers_logging.set_verbosity(verbosity)
    transformers_logging.enable_progress_bar()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of an encoder of one layer that saw a few steps of the synthetic corpus."""
    folder = str(tmp_path_factory.mktemp("checkpoint"))
    documents = demo.corpus(600)
    tokenizer = train_tokenizer(documents, 400)
    set_seed(0)
    model = build_model(Architecture((Layer("sa", "sdp", 32, 2, (64,)),)), tokenizer, MAX_POSITIONS)
    arguments = PretrainArguments(output_dir=folder, use_cpu=True, disable_tqdm=True, max_steps=10, learning_rate=1e-3)
    pretrain(model, tokenizer, pack(documents, tokenizer, 16), arguments)
    return folder


@pytest.fixture(scope="session")
def t5(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a fresh T5 of two layers without dropout, whose tokens are the words of `COLOURS`."""
    folder = str(tmp_path_factory.mktemp("t5"))
    words = sorted(
        {word for row in COLOURS for text in row.values() for word in text.split()} | {"the", "colour", "of"}
    )
    vocabulary = {word: place for place, word in enumerate(["<pad>", "</s>", "<unk>", *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **special).save_pretrained(folder)
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "dropout_rate": 0.0}
    tokens = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    set_seed(0)
    T5ForConditionalGeneration(T5Config(vocab_size=len(vocabulary), **sizes, **tokens)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def colours() -> TaskData:
    """`COLOURS` to train on and to score."""
    rows = [{"question": row["question"], "label": row["answer"], "answers": [row["answer"]]} for row in COLOURS]
    return TaskData(rows, rows)


@pytest.fixture(scope="session")
def by_heart(t5: str, colours: TaskData, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a T5 that answers `COLOURS`."""
    folder = tmp_path_factory.mktemp("by_heart")
    arguments = FinetuneArguments(
        output_dir=str(folder / "out"),
        use_cpu=True,
        disable_tqdm=True,
        max_steps=40,
        learning_rate=1e-2,
        per_device_train_batch_size=8,
    )
    task, model = TEXT_TASKS["closed_book_qa"], str(folder / "model")
    assert finetune(t5, task, colours, arguments, Reading(max_target_length=5), save_to=model).score == 100
    return model


@pytest.fixture(scope="session")
def separable() -> TaskData:
    """Sixty rows of sst2 for training and 24 others for validation, two thirds of these positive."""

    def rows(subjects: str, positives: int) -> list[dict[str, Any]]:
        return [
            {"sentence": f"the {'sad' if number % 3 >= positives else 'happy'} {noun} {verb} .", "label": label}
            for number, (noun, verb) in enumerate((n, v) for n in subjects.split() for v in ("slept", "ran", "sang"))
            for label in [int(number % 3 < positives)]
        ]

    train = rows("doctor girl boy nurse thief king queen cook judge baker", 1) + rows(
        "doctor girl boy nurse thief king queen cook judge baker", 2
    )
    return TaskData(train, rows("dog cat horse bird guest pilot clerk guard", 2))


@pytest.fixture
def colours_file(tmp_path: Path) -> str:
    """A file of eight questions that a model can learn by heart."""
    file = tmp_path / "colours.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in COLOURS))
    return str(file)


@pytest.fixture
def arguments(tmp_path: Path) -> Callable[..., FinetuneArguments]:
    """Maker of quick arguments."""

    def make(**kwargs: Any) -> FinetuneArguments:
        settings = {
            "disable_tqdm": True,
            "max_steps": 40,
            "learning_rate": 1e-2,
            "per_device_train_batch_size": 16,
            "seed": 1,
        }
        return FinetuneArguments(output_dir=str(tmp_path / "out"), use_cpu=True, **settings | kwargs)

    return make


@pytest.fixture
def write_task(tmp_path: Path) -> Callable[..., str]:
    """Writer of a task into a folder of tasks, whose path it returns; a split is rows, or the file's raw content."""

    def write(
        task: str,
        train: Sequence[dict[str, Any]] | bytes,
        validation: Sequence[dict[str, Any]] | bytes,
        suffix: str = ".jsonl",
        validation_name: str = "validation",
    ) -> str:
        folder = tmp_path / "data"
        (folder / task).mkdir(parents=True, exist_ok=True)
        for name, rows in (("train", train), (validation_name, validation)):
            path = folder / task / f"{name}{suffix}"
            if isinstance(rows, bytes):
                path.write_bytes(rows)
            elif suffix == ".jsonl":
                path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            elif suffix == ".csv":
                pd.DataFrame(rows).to_csv(path, index=False)
            else:
                pd.DataFrame(rows).to_parquet(path)
        return str(folder)

    return write


@pytest.fixture
def flags(checkpoint: str) -> Callable[..., list[str]]:
    """A small run's flags, further ones appended; a command's name may be the first word, a benchmark's has no task."""
    base = {
        "--model_name_or_path": checkpoint,
        "--task_name": "sst2",
        "--data": "demo",
        "--max_seq_length": "32",
        "--max_train_samples": "32",
        "--max_eval_samples": "16",
        "--max_steps": "2",
        "--use_cpu": "true",
        "--disable_tqdm": "true",
    }

    def make(*further: str, without: tuple[str, ...] = (), command: str | None = None) -> list[str]:
        left_out = {
            *without,
            *(word for word in further if word in base),
            *(["--task_name"] if command in ("glue", "superglue") else []),
        }
        words = [word for flag, value in base.items() if flag not in left_out for word in (flag, value)]
        return [*([command] if command else []), *words, *further]

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Sequence[dict[str, Any]]], str]:
    """Writer of rows to `NAME.jsonl`."""

    def to_file(name: str, rows: Sequence[dict[str, Any]]) -> str:
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return to_file
