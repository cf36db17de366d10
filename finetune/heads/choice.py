"""One of some texts."""

from collections.abc import Sequence

from transformers import AutoModelForMultipleChoice, DataCollatorForMultipleChoice, PreTrainedTokenizerBase

from finetune.heads.head import Features, Head, Logits, Outcome, Reading, Row, finite
from finetune.heads.labels import labelled_outcome, with_labels
from finetune.tasks import Task


class ChoiceHead(Head):
    """Which of some texts goes with the first field."""

    model_class = AutoModelForMultipleChoice

    def __init__(self, task: Task, tokenizer: PreTrainedTokenizerBase, reading: Reading) -> None:
        super().__init__(task, tokenizer, reading)
        self.collator = DataCollatorForMultipleChoice(tokenizer)

    def features(self, rows: Sequence[Row], for_training: bool) -> Features:
        """A feature a row, each a list over the choices."""
        first, *choices = self.task.text_fields
        texts = [row[first] for row in rows for _ in choices], [row[field] for row in rows for field in choices]
        encoded = self.tokenizer(*texts, truncation=True, max_length=self.reading.max_seq_length)
        each = len(choices)
        grouped = {
            name: [values[at : at + each] for at in range(0, len(values), each)] for name, values in encoded.items()
        }
        return with_labels(grouped, self.task, rows)

    def outcome(self, rows: Sequence[Row], logits: Logits) -> Outcome:
        """Number of the choice."""
        return labelled_outcome(self.task, rows, finite(self.task, logits).argmax(-1), None)
