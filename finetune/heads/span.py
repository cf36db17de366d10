"""A stretch of a context that answers a question."""

from collections.abc import Sequence

import numpy as np
from transformers import AutoModelForQuestionAnswering

from finetune.answers.metrics import best_threshold, squad_scores
from finetune.answers.spans import Answer, answers
from finetune.answers.windows import Window, windows
from finetune.heads.head import Features, Head, Logits, Outcome, finite
from finetune.metrics import means_of
from finetune.rows.squad import Question


class AnswerHead(Head):
    """A stretch of a context, or nothing; the rows are questions."""

    model_class = AutoModelForQuestionAnswering
    _scored: tuple[Sequence[Question], list[Window]] | None = None
    """Questions that were cut for scoring, and their windows: every scoring asks for the same ones."""

    def features(self, rows: Sequence[Question], for_training: bool) -> Features:
        """A feature a window."""
        return [window.features for window in self._windows(rows, for_training)]

    def outcome(self, rows: Sequence[Question], logits: Logits) -> Outcome:
        """Texts."""
        found = self.answers(rows, logits)
        scores = squad_scores(rows, [answer.text for answer in found])
        values = {"exact_match": scores.exact_match, "token_f1": scores.f1}
        metrics = {name: float(of_questions.mean()) for name, of_questions in values.items()}
        details = _best_details(rows, found) if self.task.name == "squad_v2" else {}
        return Outcome([answer.text for answer in found], metrics, means_of(values), details)

    def answers(self, rows: Sequence[Question], logits: Logits) -> list[Answer]:
        """With scores and alternatives."""
        start, end, *_ = (finite(self.task, part) for part in logits)
        return answers(
            rows,
            self._windows(rows, False),
            start,
            end,
            self.reading.n_best_size,
            self.reading.max_answer_length,
            self.reading.null_score_diff_threshold,
            version_2=self.task.name == "squad_v2",
        )

    def _windows(self, rows: Sequence[Question], for_training: bool) -> list[Window]:
        if not for_training and self._scored is not None and self._scored[0] is rows:
            return self._scored[1]
        cut = windows(
            rows, self.tokenizer, self.reading.max_seq_length, self.reading.doc_stride, for_training=for_training
        )
        if not for_training:
            self._scored = rows, cut
        return cut


def _best_details(questions: Sequence[Question], found: Sequence[Answer]) -> dict[str, float]:
    """What the best null thresholds would reach; a threshold beyond all differences is left out."""
    differences = np.array([answer.null_score_difference for answer in found])
    best = best_threshold(questions, [answer.span for answer in found], differences)
    details = {
        "best_exact_match": best.exact_match / 100,
        "best_exact_match_threshold": best.exact_match_threshold,
        "best_token_f1": best.f1 / 100,
        "best_token_f1_threshold": best.f1_threshold,
    }
    return {name: value for name, value in details.items() if abs(value) < np.finfo(np.float32).max}
