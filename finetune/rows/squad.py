"""Questions that a span of a text answers: SQuAD's own JSON and rows of the hub's data sets, checked."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from design_space.errors import InputError

Row = Mapping[str, Any]
_Kind = TypeVar("_Kind", str, list[Any], dict[Any, Any])
_KIND_NAMES = {str: "text", list: "a list", dict: "an object"}


@dataclass(frozen=True)
class Question:
    """A question about a text.

    Attributes:
        id: Its name, unique in its set.
        question: What is asked.
        context: The text that holds the answers.
        answers: Texts that are right; none where the question is unanswerable.
        starts: Where each answer begins in the context, in characters from 0.
    """

    id: str
    question: str
    context: str
    answers: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()


def read_squad(path: str | Path) -> list[Question]:
    """Read a file in the layout of SQuAD v1.1 and v2.0, `data[].paragraphs[].qas[]`.

    Args:
        path: A JSON file; `plausible_answers` in it are ignored.

    Returns:
        Its questions in their order.

    Raises:
        InputError: If the file is not in that layout, or one of the checks of `questions` fails.

    Reference:
        Rajpurkar et al. 2016, arXiv:1606.05250; Rajpurkar, Jia and Liang 2018, arXiv:1806.03822.
    """
    where = str(path)
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{where}: must be UTF-8 text, is not. Convert it first.") from None
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}: must be one JSON object in SQuAD's layout, is not (line {error.lineno}: {error.msg})."
        ) from None
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror}).") from None
    return questions(_rows(document, where), where)


def questions(rows: Iterable[Row], where: str = "rows") -> list[Question]:
    """Questions from rows in the layout of the hub's `squad` and `squad_v2`.

    Args:
        rows: With `id`, `question`, `context` and `answers: {"text": [...], "answer_start": [...]}`; other fields are
            ignored.
        where: The rows' source, named in a refusal.

    Returns:
        One question a row, in their order.

    Raises:
        InputError: If a field is missing or of another kind, an id stands twice, a question or context is empty, an
            answer does not lie where it says, or there is no row.

    Example:
        >>> answers = {"text": ["Paris"], "answer_start": [6]}
        >>> row = {"id": "1", "question": "Where?", "context": "It is Paris.", "answers": answers}
        >>> questions([row])[0].starts
        (6,)
    """
    known: dict[str, Question] = {}
    for number, row in enumerate(rows, start=1):
        question = _question(row, f"{where}: row {number}")
        place = f"{where}: question {question.id!r}"
        if question.id in known:
            raise InputError(f"{place}: id must be unique, stands twice. Leave one out or rename it.")
        _check(question, place)
        known[question.id] = question
    if not known:
        raise InputError(f"{where}: must hold at least one question, holds none.")
    return list(known.values())


def has_unanswerable(questions: Sequence[Question]) -> bool:
    """Whether some question has no answer, as in SQuAD v2.0."""
    return any(not question.answers for question in questions)


def _rows(document: object, where: str) -> Iterator[Row]:
    """SQuAD's layout as rows of the hub's."""
    for i, article in enumerate(_member(document, "data", list, where)):
        for j, paragraph in enumerate(_member(article, "paragraphs", list, f"{where}: data[{i}]")):
            place = f"{where}: data[{i}].paragraphs[{j}]"
            context = _member(paragraph, "context", str, place)
            for k, item in enumerate(_member(paragraph, "qas", list, place)):
                yield _row(item, context, f"{place}.qas[{k}]", where)


def _row(item: object, context: str, place: str, where: str) -> Row:
    fields = {name: _member(item, name, str, place) for name in ("id", "question")}
    place = f"{where}: question {fields['id']!r}"
    answers = _member(item, "answers", list, place)
    texts = [_member(answer, "text", str, f"{place}: answers[{n}]") for n, answer in enumerate(answers)]
    is_impossible = item.get("is_impossible", not answers) if isinstance(item, dict) else None
    if is_impossible is not (not answers):
        raise InputError(
            f"{place}: is_impossible must be {str(not answers).lower()} for a question with {len(answers)} answers, "
            f"got {is_impossible!r}. Correct one of them."
        )
    starts = [answer.get("answer_start") for answer in answers]
    return {**fields, "context": context, "answers": {"text": texts, "answer_start": starts}}


def _question(row: object, place: str) -> Question:
    name = _member(row, "id", str, place)
    place = f"{place}, question {name!r}"
    question, context = (_member(row, field, str, place) for field in ("question", "context"))
    answers = _member(row, "answers", dict, place)
    texts, starts = (_member(answers, field, list, f"{place}: answers") for field in ("text", "answer_start"))
    return Question(name, question, context, tuple(texts), tuple(starts))


def _member(item: object, name: str, kind: type[_Kind], place: str) -> _Kind:
    if not isinstance(item, Mapping) or name not in item:
        names = f"it has {', '.join(map(str, item))}" if isinstance(item, Mapping) else f"got {item!r:.40}"
        raise InputError(f"{place}: must be an object with {name!r}; {names}. Give SQuAD's layout.")
    value = item[name]
    if isinstance(value, np.ndarray):  # a list of a parquet file
        value = value.tolist()
    if not isinstance(value, kind):
        raise InputError(f"{place}: {name} must be {_KIND_NAMES[kind]}, got {value!r:.40}. Give SQuAD's layout.")
    return value


def _check(question: Question, place: str) -> None:
    for name in ("question", "context"):
        if not getattr(question, name).strip():
            raise InputError(f"{place}: {name} must not be empty. Leave the question out.")
    if len(question.answers) != len(question.starts):
        raise InputError(
            f"{place}: answers must have one answer_start for each text, got {len(question.starts)} for "
            f"{len(question.answers)}."
        )
    for answer, start in zip(question.answers, question.starts, strict=True):
        _check_answer(answer, start, question.context, place)


def _check_answer(answer: object, start: object, context: str, place: str) -> None:
    if not isinstance(answer, str) or not answer.strip():
        raise InputError(
            f"{place}: an answer must be text that is not empty, got {answer!r:.40}. A question that is unanswerable "
            "has an empty list of answers."
        )
    if not isinstance(start, int) or isinstance(start, bool):
        raise InputError(f"{place}: answer_start must be a whole number of characters, got {start!r:.40}.")
    found = context[start : start + len(answer)] if start >= 0 else ""
    if found != answer:
        place_of = context.find(answer)
        hint = "The context does not hold the answer" if place_of < 0 else f"The answer first stands at {place_of}"
        raise InputError(
            f"{place}: answer_start must be where the answer {answer!r:.60} begins, got {start}, where the context has "
            f"{found!r:.60}. {hint}."
        )
