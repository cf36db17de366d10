"""The head of each problem."""

from typing import Any

from transformers import PreTrainedTokenizerBase

from finetune.heads.choice import ChoiceHead
from finetune.heads.generation import GenerationHead
from finetune.heads.head import Head, Reading
from finetune.heads.span import AnswerHead
from finetune.heads.text import TextHead
from finetune.tasks import Problem, Task

_HEADS: dict[Problem, type[Head]] = {
    Problem.CLASSIFICATION: TextHead,
    Problem.REGRESSION: TextHead,
    Problem.CHOICE: ChoiceHead,
    Problem.ANSWER: AnswerHead,
    Problem.TEXT: GenerationHead,
}


def model_class(task: Task) -> Any:
    """The Auto class of a task's problem."""
    return _HEADS[task.problem].model_class


def head_for(task: Task, tokenizer: PreTrainedTokenizerBase, reading: Reading) -> Head:
    """The head of a task's problem."""
    return _HEADS[task.problem](task, tokenizer, reading)
