"""A text that a model writes for another: answers from its memory, summaries, translations.

Shapes: n rows, T ids of the longest text.
"""

from collections.abc import Sequence

import numpy as np
from transformers import (
    AutoModelForSeq2SeqLM,
    DataCollatorForSeq2Seq,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from finetune.answers.generated import text_details, text_scores
from finetune.heads.head import Features, Head, Logits, Outcome, Reading, Row, features_of
from finetune.metrics import means_of
from finetune.tasks import Task


class GenerationHead(Head):
    """A text for a text; rows have the task's field, and may have `label`, `answers` and `subset`."""

    model_class = AutoModelForSeq2SeqLM
    generates = True

    def __init__(self, task: Task, tokenizer: PreTrainedTokenizerBase, reading: Reading) -> None:
        super().__init__(task, tokenizer, reading)
        self._collator = self.collator = DataCollatorForSeq2Seq(tokenizer)

    def prepare(self, model: PreTrainedModel) -> None:
        """Let the model generate as the reading says, here and from the folder that keeps it.

        Of its own settings it keeps the special tokens, not the search that it was published with.
        """
        self._collator.model = model  # shifts the labels, as the Trainer takes them away for its loss
        tokens = {
            name: value for name, value in model.generation_config.to_dict().items() if name.endswith("_token_id")
        }
        model.generation_config = GenerationConfig(
            **tokens, max_new_tokens=self.reading.max_target_length, num_beams=self.reading.num_beams
        )

    def features(self, rows: Sequence[Row], for_training: bool) -> Features:
        """A feature a row; `labels` are the ids of its text, for training alone."""
        (field,) = self.task.text_fields
        encoded = self.tokenizer(
            [self.reading.source_prefix + row[field] for row in rows],
            truncation=True,
            max_length=self.reading.max_seq_length,
        )
        columns = {name: encoded[name] for name in ("input_ids", "attention_mask")}
        if for_training:
            texts = [row["label"] for row in rows]
            targets = self.tokenizer(text_target=texts, truncation=True, max_length=self.reading.max_target_length)
            columns["labels"] = targets["input_ids"]
        return features_of(columns)

    def outcome(self, rows: Sequence[Row], logits: Logits) -> Outcome:
        """Texts.

        Args:
            rows: Those of the features, n.
            logits: Generated ids, (n, T), padded with −100.
        """
        ids = np.asarray(logits)
        ids = np.where(ids < 0, self.tokenizer.pad_token_id, ids)
        texts = [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]
        if any("label" not in row for row in rows):
            return Outcome(texts, {}, None)
        answers = [row["answers"] for row in rows]
        scores = text_scores(texts, answers)
        metrics = {name: float(of_rows.mean()) for name, of_rows in scores.items()}
        details = text_details(texts, answers, scores, [row.get("subset") for row in rows])
        return Outcome(texts, metrics, means_of(scores), details)
