"""What a fine-tuned model says of rows whose labels are not known."""

import csv
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from design_space.files import written_whole
from finetune.arguments import FinetuneArguments
from finetune.checkpoint import load_checkpoint
from finetune.heads.by_problem import head_for
from finetune.heads.head import Features, Head, Outcome, Reading
from finetune.precision import without_overflow
from finetune.rows.files import Row
from finetune.tasks import Task
from finetune.train import within_positions
from finetune.trainer import HeadTrainer


def predict(
    checkpoint: str,
    task: Task,
    rows: Sequence[Row],
    arguments: FinetuneArguments,
    reading: Reading,
    report: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Predict every row, n in all.

    Texts become tokens a batch at a time, as the tokens of all rows may be too many for the memory. Rows of about one
    length share a batch, the longest first: least padding, and a batch that is too large for the memory is the first.

    Args:
        checkpoint: Folder or hub name of a model that was fine-tuned on the task.
        task: Any but one whose rows are questions with a context.
        rows: Mappings with the task's text fields; labels are for the metrics.
        arguments: Of the Trainer: batch, device, precision.
        reading: How texts become tokens.
        report: Told each batch and the number of batches.

    Returns:
        Predictions in the order of the rows: label codes, the values of a regression, which may lie beyond its scale,
        or texts; and metrics where every row has a label.

    Raises:
        InputError: If the model cannot be loaded.
        DivergedError: If an output is not finite.
    """
    order = sorted(range(len(rows)), key=lambda at: -sum(len(rows[at][field]) for field in task.text_fields))
    sorted_rows = [rows[at] for at in order]

    def run(given: FinetuneArguments) -> Outcome:
        model, tokenizer = load_checkpoint(checkpoint, task, needs_head=True)
        head = head_for(task, tokenizer, within_positions(reading, model))
        head.prepare(model)
        with tempfile.TemporaryDirectory() as scratch:  # the Trainer wants a folder
            features = _Features(head, sorted_rows)
            trainer = HeadTrainer(
                generates=head.generates,
                model=model,
                args=replace(
                    given,
                    output_dir=scratch,
                    disable_tqdm=True,
                    dataloader_drop_last=False,
                    train_sampling_strategy="sequential",  # the Trainer's group_by_length groups evaluation rows too
                ),
                data_collator=head.collator,
                eval_dataset=features,
                callbacks=[_BatchReporter(report)] if report else [],
            )
            found = head.outcome(sorted_rows, trainer.predict(features).predictions)
        return replace(found, predictions=[found.predictions[place] for place in np.argsort(order)])

    return without_overflow(run, arguments)


def write_predictions(path: Path, task: Task, rows: Sequence[Row], predictions: Sequence[Any]) -> None:
    """Write a table with tabs: number of the row from 0 on, prediction, label where one is known, texts.

    Args:
        path: Replaced where it exists.
        task: Names the labels.
        rows: That were predicted.
        predictions: Of `predict`, one a row.
    """

    def name(value: Any) -> Any:
        return task.labels[value] if task.labels else value

    is_labelled = all("label" in row for row in rows)
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, delimiter="\t", lineterminator="\n")
    writer.writerow(["index", "prediction", *(["label"] if is_labelled else []), *task.text_fields])
    for number, (row, prediction) in enumerate(zip(rows, predictions, strict=True)):
        label = [name(row["label"])] if is_labelled else []
        writer.writerow([number, name(prediction), *label, *(row[field] for field in task.text_fields)])
    with written_whole(path) as file:
        file.write(lines.getvalue().encode())


class _Features(Dataset[dict[str, Any]]):
    """The features of rows, made when they are asked for."""

    def __init__(self, head: Head, rows: Sequence[Row]) -> None:
        self._head, self._rows = head, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> Features:
        """Those of a whole batch, which a tokenizer reads faster than one after the other."""
        return self._head.features([self._rows[index] for index in indices], for_training=False)


class _BatchReporter(TrainerCallback):
    """Hands each finished batch to a function."""

    def __init__(self, report: Callable[[int, int], None]) -> None:
        self._report, self._done = report, 0

    def on_prediction_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        eval_dataloader: DataLoader[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Report it."""
        assert eval_dataloader is not None
        self._done += 1
        self._report(self._done, len(eval_dataloader))
