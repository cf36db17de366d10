"""What the Trainer gives back, and what it says while it goes."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from finetune.arguments import FinetuneArguments
from finetune.checkpoint import load_checkpoint
from finetune.data import TaskData
from finetune.heads.by_problem import head_for
from finetune.heads.head import Reading
from finetune.rows.squad import Question
from finetune.tasks import GLUE, SQUAD, SUPERGLUE, TEXT_TASKS
from finetune.trainer import TaskTrainer, token_loss
from pretrain.callbacks import DivergedError, StopOnDivergence

LENGTHS = (3, 9, 1, 6, 2, 9, 4)


def trainer(checkpoint: str, task: object, rows: list[object], arguments: FinetuneArguments) -> TaskTrainer:
    model, tokenizer = load_checkpoint(checkpoint, task)
    head = head_for(task, tokenizer, Reading(max_seq_length=24, doc_stride=4))
    return TaskTrainer(
        model=model,
        args=arguments,
        data_collator=head.collator,
        train_dataset=head.features(rows, for_training=True),
        eval_dataset=head.features(rows, for_training=False),
        score=lambda outputs: head.outcome(rows, outputs).metrics,
        title="title: ",
    )


def words(number: int) -> str:
    return "the dog ran . " * number


@pytest.mark.parametrize(
    ("task", "rows"),
    [
        (GLUE["sst2"], [{"sentence": words(n), "label": n % 2} for n in LENGTHS]),
        (
            SUPERGLUE["copa"],
            [{"premise": "the dog", "choice1": words(n), "choice2": "the cat", "label": 0} for n in LENGTHS],
        ),
        (SQUAD["squad"], [Question(str(n), "who ?", words(n), ("dog",), (4,)) for n in LENGTHS]),
    ],
    ids=["texts", "choices", "windows"],
)
def test_outputs_stand_in_the_order_of_the_rows_whatever_their_lengths(
    checkpoint: str, arguments: Callable[..., FinetuneArguments], task: object, rows: list[object]
) -> None:
    torch.manual_seed(0)
    made = trainer(checkpoint, task, rows, arguments(per_device_eval_batch_size=2))
    together = made.outputs()
    parts = together if isinstance(together, tuple) else (together,)
    model = made.model.eval()
    for index, feature in enumerate(made.eval_dataset):
        with torch.no_grad():
            alone = model(**made.data_collator([feature])).to_tuple()
        for part, values in zip(parts, [value for value in alone if value.ndim > 1], strict=False):
            single = values[0].numpy()
            np.testing.assert_allclose(part[index][: len(single)], single, atol=1e-5)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_what_is_generated_stands_in_the_order_of_the_rows_and_is_that_of_the_model_alone(
    by_heart: str, colours: TaskData, arguments: Callable[..., FinetuneArguments], num_beams: int
) -> None:
    task = TEXT_TASKS["closed_book_qa"]
    rows = [{**row, "question": "which " * n + row["question"]} for row, n in zip(colours.train, LENGTHS, strict=False)]
    model, tokenizer = load_checkpoint(by_heart, task)
    head = head_for(task, tokenizer, Reading(max_target_length=7, num_beams=num_beams))
    head.prepare(model)
    made = TaskTrainer(
        model=model,
        args=arguments(per_device_eval_batch_size=2),
        data_collator=head.collator,
        eval_dataset=head.features(rows, for_training=False),
        score=lambda ids: head.outcome(rows, ids).metrics,
        generates=head.generates,
    )
    together = made.outputs()
    found = head.outcome(rows, together)
    assert len({len(text.split()) for text in found.predictions}) > 1  # they end at different places
    for index, feature in enumerate(made.eval_dataset):
        ids = torch.tensor([feature["input_ids"]])
        alone = model.eval().generate(ids, num_beams=num_beams, max_new_tokens=7)[0]
        assert found.predictions[index] == tokenizer.decode(alone, skip_special_tokens=True)
    assert made.evaluate()["eval_score"] == pytest.approx(50 * sum(found.metrics.values()))


def test_the_loss_of_tokens_is_their_mean_over_accumulated_batches() -> None:
    logits = torch.tensor([[[2.0, 0.0, 1.0], [0.0, 1.0, 0.0]], [[1.0, 1.0, 1.0], [3.0, 0.0, 0.0]]])
    labels = torch.tensor([[0, 1], [2, -100]])
    each = -torch.log_softmax(logits, -1)[[0, 0, 1], [0, 1, 0], [0, 1, 2]]
    assert token_loss(0.0)({"logits": logits}, labels).item() == pytest.approx(each.mean().item())
    assert token_loss(0.0)({"logits": logits}, labels, 6).item() == pytest.approx(each.sum().item() / 6)
    spread = -torch.log_softmax(logits, -1)[[0, 0, 1], [0, 1, 0]].mean(-1)
    smoothed = 0.7 * each.mean() + 0.3 * spread.mean()
    assert token_loss(0.3)({"logits": logits}, labels).item() == pytest.approx(smoothed.item())


def test_progress_comes_in_lines_with_the_title(
    checkpoint: str,
    arguments: Callable[..., FinetuneArguments],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("pretrain.callbacks._LINE_SECONDS", 0.0)
    rows = [{"sentence": words(n), "label": n % 2} for n in LENGTHS]
    settings = arguments(max_steps=2, disable_tqdm=False, logging_steps=1, per_device_train_batch_size=4)
    trainer(checkpoint, GLUE["sst2"], rows, settings).train()
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second = (line for line in captured.err.splitlines() if line.startswith("title: "))
    assert first.startswith("title: step 1, 50%: ")
    assert second.startswith("title: step 2, 100%: loss ")
    assert second.endswith(" rows/s")


def test_a_first_loss_that_was_low_by_chance_is_no_divergence() -> None:
    # Of QQP: batches of the longest questions come first and are easy.
    state = TrainerState(log_history=[{"loss": loss} for loss in [0.547, *[0.6] * 30]])
    settings, control = TrainingArguments(), TrainerControl()
    StopOnDivergence(factor=2.0).on_log(settings, state, control, {"loss": 0.6})
    with pytest.raises(DivergedError, match="above its start"):
        StopOnDivergence().on_log(settings, state, control, {"loss": 0.6})
    state.log_history += [{"loss": 1.2}] * 20
    with pytest.raises(DivergedError, match="loss is 1.200 at step 0, above its start"):
        StopOnDivergence(factor=2.0).on_log(settings, state, control, {"loss": 1.2})
