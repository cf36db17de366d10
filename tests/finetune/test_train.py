"""Fine-tuning one task: what is learnt, what is kept, and when it stops."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    TrainerCallback,
    set_seed,
)

from design_space.errors import InputError
from finetune.checkpoint import load_checkpoint
from finetune.data import TaskData
from finetune.heads.head import Reading
from finetune.tasks import GLUE, TEXT_TASKS
from finetune.train import finetune, require_fitting
from pretrain.callbacks import DivergedError

STSB = [
    {"sentence1": "the dog ran .", "sentence2": f"the {n} slept .", "label": v} for n, v in (("cat", 4.5), ("d", 3))
]
LOGITS_TOLERANCE = 1e-5


def predict(folder: str | Path, rows: list[dict[str, Any]]) -> torch.Tensor:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    fields = [field for field in ("sentence", "sentence1", "sentence2") if field in rows[0]]
    texts = [[row[field] for row in rows] for field in fields]
    batch = AutoTokenizer.from_pretrained(folder)(*texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        return model(**batch).logits


def test_a_task_that_one_word_decides_is_learnt_and_kept(
    checkpoint: str, separable: TaskData, arguments: Callable[..., Any], tmp_path: Path
):
    labels = np.array([row["label"] for row in separable.validation])
    majority = 100 * max(labels.mean(), 1 - labels.mean())
    assert 60 < majority < 70
    steps = []
    result = finetune(
        checkpoint,
        GLUE["sst2"],
        separable,
        arguments(),
        save_to=str(tmp_path / "kept"),
        report=lambda *step: steps.append(step),
    )
    assert result.score > 90 > majority
    assert result.loss < math.log(2)
    assert (result.task, result.num_steps) == ("sst2", 40)
    assert result.score == pytest.approx(100 * result.metrics["accuracy"])
    assert steps == [(step, 40) for step in range(1, 41)]
    # The kept model gives the same answers, under the names of the task's labels.
    config = AutoConfig.from_pretrained(tmp_path / "kept")
    assert config.id2label == {0: "negative", 1: "positive"}
    assert config.label2id == {"negative": 0, "positive": 1}
    assert (tmp_path / "kept" / "modeling_flexibert.py").exists()  # so that it loads without this project
    kept_tokenizer = json.loads((tmp_path / "kept" / "tokenizer.json").read_text())
    assert (kept_tokenizer["truncation"], kept_tokenizer["padding"]) == (None, None)  # whatever this run cut at
    predictions = predict(tmp_path / "kept", list(separable.validation)).argmax(-1).numpy()
    assert (predictions == labels).mean() == pytest.approx(result.metrics["accuracy"])


def test_the_same_seed_gives_the_same_outcome_and_another_seed_does_not(
    checkpoint: str, separable: TaskData, arguments: Callable[..., Any]
):
    results = [
        finetune(checkpoint, GLUE["sst2"], separable, arguments(max_steps=6, seed=seed, learning_rate=1e-3))
        for seed in (5, 5, 6)
    ]
    assert (results[0].score, results[0].loss) == (results[1].score, results[1].loss)
    assert results[0].loss != results[2].loss


def test_accumulated_batches_have_the_mean_of_their_losses(
    checkpoint: str, separable: TaskData, arguments: Callable[..., Any]
):
    settings = {"max_steps": 2, "learning_rate": 1e-9}
    once = finetune(checkpoint, GLUE["sst2"], separable, arguments(per_device_train_batch_size=30, **settings))
    split = arguments(per_device_train_batch_size=10, gradient_accumulation_steps=3, **settings)
    assert finetune(checkpoint, GLUE["sst2"], separable, split).loss == pytest.approx(once.loss, rel=0.2)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_accumulated_batches_move_a_bert_as_one_batch_does(
    checkpoint: str, separable: TaskData, arguments: Callable[..., Any], tmp_path: Path, label_smoothing: float
):
    """The Trainer takes models whose forward pass takes any argument to divide by the items that it counts."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    without_chance = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0}
    set_seed(0)
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes, **without_chance)
    BertForSequenceClassification(config).save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    settings = {"max_steps": 2, "optim": "sgd", "train_sampling_strategy": "sequential", "learning_rate": 0.1}
    settings |= {"max_grad_norm": 0.0, "label_smoothing_factor": label_smoothing, "warmup_steps": 0}
    losses, weights = [], []
    for batch, times in ((12, 1), (3, 4)):
        made = arguments(per_device_train_batch_size=batch, gradient_accumulation_steps=times, **settings)
        folder = str(tmp_path / str(batch))
        losses.append(finetune(str(tmp_path / "bert"), GLUE["sst2"], separable, made, save_to=folder).loss)
        weights.append(load_file(Path(folder, "model.safetensors")))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], atol=1e-6, rtol=1e-5)


def test_only_the_training_rows_are_learnt(checkpoint: str, separable: TaskData, arguments: Callable[..., Any]):
    # Trained on turned labels, the same words give the wrong answer.
    turned = TaskData([{**row, "label": 1 - row["label"]} for row in separable.train], separable.validation)
    assert finetune(checkpoint, GLUE["sst2"], turned, arguments()).score < 10


def test_a_regression_starts_at_the_mean_label(checkpoint: str, arguments: Callable[..., Any], tmp_path: Path):
    outputs = []
    for name, rows in (("high", STSB), ("low", [{**row, "label": row["label"] - 3} for row in STSB])):
        settings = arguments(max_steps=1, learning_rate=1e-12)
        finetune(checkpoint, GLUE["stsb"], TaskData(rows, rows), settings, save_to=str(tmp_path / name))
        outputs.append(predict(tmp_path / name, rows))
    assert outputs[0].shape == (2, 1)
    # The means are 3.75 and 0.75. The same seed draws the same head, which moves both by the same amount.
    assert (outputs[0] - outputs[1]).squeeze(-1).tolist() == pytest.approx([3.0, 3.0], abs=LOGITS_TOLERANCE)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "high")
    assert model.classifier.out_proj.bias.tolist() == pytest.approx([3.75], abs=LOGITS_TOLERANCE)
    assert model.config.id2label == {0: "score"}


def test_a_regression_is_learnt(checkpoint: str, arguments: Callable[..., Any]):
    rows = [
        {"sentence1": "the dog ran .", "sentence2": f"the {word} {verb} .", "label": label}
        for word, label in (("happy girl", 5.0), ("sad boy", 0.0), ("old doctor", 2.5))
        for verb in ("slept", "ran", "sang", "sat")
    ]
    result = finetune(checkpoint, GLUE["stsb"], TaskData(rows, rows), arguments())
    assert set(result.metrics) == {"pearson", "spearman"}
    assert result.metrics["pearson"] > 0.8


@pytest.mark.parametrize("name", GLUE)
def test_a_checkpoint_gets_a_head_with_the_labels_of_the_task(checkpoint: str, name: str):
    model, tokenizer = load_checkpoint(checkpoint, GLUE[name])
    names = GLUE[name].labels or ("score",)
    assert model.config.num_labels == GLUE[name].num_outputs
    assert tuple(model.config.id2label.values()) == names
    assert model(**tokenizer("the dog", return_tensors="pt")).logits.shape == (1, len(names))


def test_the_encoder_of_a_checkpoint_is_loaded_not_drawn(checkpoint: str):
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        states.append(load_checkpoint(checkpoint, GLUE["sst2"])[0].state_dict())
    same = {name: torch.equal(value, states[1][name]) for name, value in states[0].items()}
    drawn = [name for name, equal in same.items() if not equal]
    assert drawn
    assert all(name.startswith("classifier.") for name in drawn)
    assert sum(same.values()) > 10


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_nothing(
    checkpoint: str, separable: TaskData, arguments: Callable[..., Any], tmp_path: Path
):
    settings = arguments(learning_rate=1e30, max_steps=6, logging_steps=1)
    with pytest.raises(DivergedError, match=r"^loss is (nan|inf) at step \d of 6"):
        finetune(checkpoint, GLUE["sst2"], separable, settings, save_to=str(tmp_path / "kept"))
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(("name", "rows"), [("sst2", None), ("stsb", STSB)])
def test_predictions_that_are_no_numbers_are_no_score(
    checkpoint: str, separable: TaskData, arguments: Callable[..., Any], name: str, rows: list[dict[str, Any]] | None
):
    # The loss of the one step is taken before its update, so it is finite; the weights after it are not.
    settings = arguments(learning_rate=1e38, max_steps=1, warmup_steps=0)
    data = separable if rows is None else TaskData(rows, rows)
    with pytest.raises(DivergedError, match=f"^{name}: predictions are not finite"):
        finetune(checkpoint, GLUE[name], data, settings)


def test_texts_are_cut_at_the_positions_of_the_checkpoint(
    checkpoint: str, arguments: Callable[..., Any], caplog: pytest.LogCaptureFixture
):
    rows = [{"sentence": "the dog ran . " * 40, "label": label} for label in (0, 1)]
    result = finetune(
        checkpoint, GLUE["sst2"], TaskData(rows, rows), arguments(max_steps=1), Reading(max_seq_length=100)
    )
    assert result.num_steps == 1
    assert "the checkpoint has 64 positions" in caplog.text


def test_options_that_are_not_for_a_task_are_refused(
    checkpoint: str, arguments: Callable[..., Any], separable: TaskData
):
    with pytest.raises(InputError, match="--class_weights balanced: is for tasks with labels, stsb is a regression"):
        finetune(checkpoint, GLUE["stsb"], TaskData(STSB, STSB), arguments(class_weights="balanced"))
    with pytest.raises(InputError, match="--label_smoothing_factor: is for tasks with labels"):
        finetune(checkpoint, GLUE["stsb"], TaskData(STSB, STSB), arguments(label_smoothing_factor=0.1))


def test_a_checkpoint_can_be_scored_as_it_is(
    checkpoint: str, separable: TaskData, arguments: Callable[..., Any], tmp_path: Path
):
    kept = str(tmp_path / "kept")
    trained = finetune(checkpoint, GLUE["sst2"], separable, arguments(), save_to=kept, with_intervals=True)
    scored = finetune(kept, GLUE["sst2"], separable, arguments(), trains=False, with_intervals=True)
    assert scored.metrics == trained.metrics
    assert scored.intervals == trained.intervals
    assert scored.num_steps == 0
    low, high = scored.intervals["accuracy"]
    assert low <= scored.metrics["accuracy"] <= high


def test_early_stopping_keeps_the_best_epoch_and_nothing_else(
    checkpoint: str, separable: TaskData, arguments: Callable[..., Any], tmp_path: Path
):
    settings = arguments(max_steps=-1, num_train_epochs=30, early_stopping_patience=2)
    result = finetune(checkpoint, GLUE["sst2"], separable, settings)
    assert result.score == 100
    assert result.num_steps < 30 * 4
    assert len(list((tmp_path / "out").glob("checkpoint-*"))) <= 1


def test_layers_learn_at_their_own_rates(checkpoint: str, separable: TaskData, arguments: Callable[..., Any]):
    settings = arguments(max_steps=3, layerwise_lr_decay=1e-9, head_learning_rate=1e-2)
    before = load_checkpoint(checkpoint, GLUE["sst2"])[0].state_dict()
    kept = str(Path(settings.output_dir) / "kept")
    finetune(checkpoint, GLUE["sst2"], separable, settings, save_to=kept)
    after = load_checkpoint(kept, GLUE["sst2"])[0].state_dict()
    name = "flexibert.embeddings.word_embeddings.weight"
    torch.testing.assert_close(before[name], after[name], atol=1e-7, rtol=0)
    assert (before["classifier.out_proj.weight"] - after["classifier.out_proj.weight"]).abs().max() > 1e-3


# Texts for texts

QA = TEXT_TASKS["closed_book_qa"]
SHORT = Reading(max_target_length=5)


def test_what_is_kept_generates_the_same_with_transformers_alone(by_heart: str, colours: TaskData) -> None:
    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(by_heart), AutoTokenizer.from_pretrained(by_heart)
    batch = tokenizer([row["question"] for row in colours.train], padding=True, return_tensors="pt")
    texts = tokenizer.batch_decode(model.generate(**batch), skip_special_tokens=True)
    assert texts == [row["label"] for row in colours.train]
    assert (model.generation_config.max_new_tokens, model.generation_config.num_beams) == (5, 1)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_accumulated_batches_move_a_t5_as_one_batch_does(
    t5: str, colours: TaskData, arguments: Callable[..., Any], tmp_path: Path, label_smoothing: float
):
    settings = {"max_steps": 2, "optim": "sgd", "train_sampling_strategy": "sequential", "learning_rate": 0.1}
    settings |= {"max_grad_norm": 0.0, "label_smoothing_factor": label_smoothing, "warmup_steps": 0}
    outcomes, weights = [], []
    for batch, times in ((8, 1), (2, 4)):  # answers of one and of two words: batches of more and of fewer tokens
        made = arguments(per_device_train_batch_size=batch, gradient_accumulation_steps=times, **settings)
        outcomes.append(finetune(t5, QA, colours, made, SHORT, save_to=str(tmp_path / str(batch))))
        weights.append(AutoModelForSeq2SeqLM.from_pretrained(tmp_path / str(batch)).state_dict())
    assert outcomes[0].loss == pytest.approx(outcomes[1].loss, rel=1e-5)
    fresh = AutoModelForSeq2SeqLM.from_pretrained(t5).state_dict()
    assert (fresh["shared.weight"] - weights[0]["shared.weight"]).abs().max() > 1e-3
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("optim_args", [None, "relative_step=true,scale_parameter=true,warmup_init=false"])
def test_adafactor_and_accumulation_train_a_t5_in_bf16(
    t5: str, colours: TaskData, arguments: Callable[..., Any], optim_args: str | None
):
    settings = {"optim": "adafactor", "optim_args": optim_args, "gradient_accumulation_steps": 2}
    made = arguments(per_device_train_batch_size=4, max_steps=60, **settings)
    made.bf16, made.mixed_precision = True, "bf16"  # the flag is for GPUs, the arithmetic is the same
    kinds = _KindsOfLogits()
    outcome = finetune(t5, QA, colours, made, SHORT, callbacks=[kinds])
    assert kinds.found == {torch.bfloat16}
    assert outcome.num_steps == 60
    assert outcome.score > 90


class _KindsOfLogits(TrainerCallback):
    """Collects the types that a model computes its logits in."""

    def __init__(self) -> None:
        self.found: set[torch.dtype] = set()

    def on_train_begin(self, *args: Any, model: Any, **kwargs: Any) -> None:
        model.lm_head.register_forward_hook(lambda _module, _inputs, logits: self.found.add(logits.dtype))


def test_the_best_epoch_of_what_is_generated_is_kept(t5: str, colours: TaskData, arguments: Callable[..., Any]):
    settings = arguments(max_steps=-1, num_train_epochs=60, per_device_train_batch_size=4, early_stopping_patience=20)
    result = finetune(t5, QA, colours, settings, SHORT)
    assert result.score == 100
    assert result.num_steps < 60 * 2


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"class_weights": "balanced"}, "--class_weights balanced: is for tasks with labels, closed_book_qa is a text"),
        ({"train_sampling_strategy": "stratified"}, "--train_sampling_strategy stratified: is for tasks with labels"),
        ({"layerwise_lr_decay": 0.9}, "--layerwise_lr_decay: is for encoders with a head, closed_book_qa is a text"),
        ({"head_learning_rate": 0.1}, "--head_learning_rate: is for encoders with a head"),
    ],
)
def test_options_for_labels_and_heads_are_refused_for_texts(
    arguments: Callable[..., Any], option: dict[str, Any], message: str
):
    with pytest.raises(InputError, match=message):
        require_fitting(QA, arguments(**option))
    require_fitting(GLUE["sst2"], arguments(**option))
    require_fitting(QA, arguments(label_smoothing_factor=0.1))
