"""A label or a number for a text or a pair."""

from collections.abc import Sequence

from scipy.special import expit, softmax
from transformers import AutoModelForSequenceClassification

from finetune.heads.head import Features, Head, Logits, Outcome, Row, finite
from finetune.heads.labels import labelled_outcome, with_labels


class TextHead(Head):
    """A label or a number for a text or a pair."""

    model_class = AutoModelForSequenceClassification

    def features(self, rows: Sequence[Row], for_training: bool) -> Features:
        """A feature a row."""
        texts = [[row[field] for row in rows] for field in self.task.text_fields]
        encoded = self.tokenizer(*texts, truncation=True, max_length=self.reading.max_seq_length)
        return with_labels(encoded, self.task, rows)

    def outcome(self, rows: Sequence[Row], logits: Logits) -> Outcome:
        """Codes, or numbers."""
        values = finite(self.task, logits)
        if self.task.is_regression:
            return labelled_outcome(self.task, rows, values.squeeze(-1), None)
        scores = expit(values[:, 1] - values[:, 0]) if values.shape[1] == 2 else softmax(values, axis=1).max(1)
        return labelled_outcome(self.task, rows, values.argmax(-1), scores)
