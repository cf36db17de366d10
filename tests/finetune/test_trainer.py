"""What the Trainer gives back, and what it says while it goes."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from finetune.checkpoint import load_checkpoint
from finetune.config import FinetuneArguments
from finetune.heads.by_problem import head_for
from finetune.heads.head import Reading
from finetune.rows.squad import Question
from finetune.tasks import GLUE, SQUAD, SUPERGLUE
from finetune.trainer import TaskTrainer
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
