"""Predictions of a kept model: those of the model itself, in the order of the rows, whatever the batches."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from design_space.errors import InputError
from finetune.arguments import FinetuneArguments
from finetune.data import TaskData
from finetune.heads.head import Reading
from finetune.heads.text import TextHead
from finetune.predict import predict
from finetune.rows.checks import without_label
from finetune.tasks import GLUE
from finetune.train import finetune
from pretrain.callbacks import DivergedError

Arguments = Callable[..., FinetuneArguments]
STSB = [
    {"sentence1": "the dog ran .", "sentence2": f"the {noun} slept .", "label": label}
    for noun, label in (("cat", 4.5), ("guest", 3.0), ("pilot", 0.5))
]


@pytest.fixture(scope="module")
def positive_words(checkpoint: str, separable: TaskData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model that has learnt which word is positive."""
    folder = tmp_path_factory.mktemp("positive_words")
    arguments = FinetuneArguments(
        output_dir=str(folder / "out"),
        use_cpu=True,
        disable_tqdm=True,
        max_steps=40,
        learning_rate=1e-2,
        per_device_train_batch_size=16,
    )
    finetune(checkpoint, GLUE["sst2"], separable, arguments, save_to=str(folder / "model"))
    return folder / "model"


def test_labels_are_predicted_in_the_order_of_the_rows_whatever_the_batches(
    positive_words: Path, separable: TaskData, arguments: Arguments
):
    labels = [row["label"] for row in separable.validation]
    rows = [without_label(row) for row in separable.validation]
    told: list[tuple[int, int]] = []
    found = predict(
        positive_words,
        GLUE["sst2"],
        rows,
        arguments(per_device_eval_batch_size=7, dataloader_drop_last=True),
        Reading(),
        lambda *batch: told.append(batch),
    )
    assert found.predictions == labels
    assert found.metrics == {}
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]  # 24 rows
    one_batch = predict(positive_words, GLUE["sst2"], separable.validation, arguments(), Reading())
    assert one_batch.predictions == labels
    assert one_batch.metrics == {"accuracy": 1.0}


def test_no_more_than_a_batch_of_rows_becomes_tokens_at_a_time_and_the_longest_first(
    positive_words: Path, separable: TaskData, arguments: Arguments, monkeypatch: pytest.MonkeyPatch
):
    read: list[list[int]] = []
    features = TextHead.features

    def counted(self: TextHead, rows: Any, for_training: bool) -> Any:
        read.append([len(row["sentence"]) for row in rows])
        return features(self, rows, for_training)

    monkeypatch.setattr(TextHead, "features", counted)
    predict(positive_words, GLUE["sst2"], separable.validation, arguments(per_device_eval_batch_size=10), Reading())
    lengths = sorted((len(row["sentence"]) for row in separable.validation), reverse=True)
    assert read == [lengths[:10], lengths[10:20], lengths[20:]]


def test_texts_longer_than_the_positions_are_cut(positive_words: Path, arguments: Arguments):
    rows = [{"sentence": "the happy dog ran . " * 100}, {"sentence": "the sad dog ran ."}]
    assert len(predict(positive_words, GLUE["sst2"], rows, arguments(), Reading(max_seq_length=500)).predictions) == 2


def test_similarities_are_the_outputs_of_the_model(checkpoint: str, arguments: Arguments, tmp_path: Path):
    folder = tmp_path / "model"
    finetune(checkpoint, GLUE["stsb"], TaskData(STSB, STSB), arguments(max_steps=2), save_to=str(folder))
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    texts = [[row[field] for row in STSB] for field in ("sentence1", "sentence2")]
    with torch.no_grad():
        expected = model(**AutoTokenizer.from_pretrained(folder)(*texts, padding=True, return_tensors="pt")).logits
    found = predict(folder, GLUE["stsb"], STSB, arguments(), Reading()).predictions
    np.testing.assert_allclose(found, expected.squeeze(-1).numpy(), rtol=1e-5)
    assert len(set(found)) == 3


def test_outputs_that_are_not_finite_are_told(positive_words: Path, arguments: Arguments, tmp_path: Path):
    model = AutoModelForSequenceClassification.from_pretrained(positive_words)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    shutil.copytree(positive_words, tmp_path / "model")
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(DivergedError, match="^sst2: predictions are not finite"):
        predict(str(tmp_path / "model"), GLUE["sst2"], [{"sentence": "the dog"}], arguments(), Reading())


def test_a_folder_without_a_model_is_refused(arguments: Arguments, tmp_path: Path):
    with pytest.raises(InputError, match="^model: '.*absent' does not exist"):
        predict(str(tmp_path / "absent"), GLUE["sst2"], [{"sentence": "the dog"}], arguments(), Reading())
