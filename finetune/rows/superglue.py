"""Rows of SuperGLUE as an encoder reads them: what a question refers to stands in the text itself.

Two layouts are read: the flat rows of the hub's `super_glue`, and the lines of the official archives, where a line of
MultiRC or ReCoRD holds a passage with all its questions, and WSC keeps its spans under `target`. Every function takes
one row and gives the rows made of it, with `label` and `idx` as they came.
"""

import re
import string
from collections.abc import Iterable, Mapping
from typing import Any

from design_space.errors import InputError

Row = Mapping[str, Any]

CONNECTIVES = {"cause": "because", "effect": "so"}
FIRST_MARK, SECOND_MARK = "*", "#"
PLACEHOLDER = "@placeholder"
HIGHLIGHT = "\n@highlight\n"


def copa(row: Row) -> list[Row]:
    """COPA: the premise leads over to each choice.

    Args:
        row: `premise`, `choice1`, `choice2` and `question`, which is "cause" or "effect".

    Returns:
        One row: `premise` ends with "because" or "so".

    Raises:
        InputError: If a field is absent or the question is another.

    Example:
        >>> asked = {"premise": "It rained.", "choice1": "I got wet.", "choice2": "I slept.", "question": "effect"}
        >>> copa(asked)[0]["premise"]
        'It rained so'
    """
    question = _text(row, "question")
    if question not in CONNECTIVES:
        raise InputError(f"question: must be one of {', '.join(CONNECTIVES)}, got {question!r}.")
    premise = _text(row, "premise").rstrip().removesuffix(".")
    choices = {name: _text(row, name) for name in ("choice1", "choice2")}
    return [_kept(row) | {"premise": f"{premise} {CONNECTIVES[question]}"} | choices]


def wic(row: Row) -> list[Row]:
    """WiC: the word, and its occurrence in each sentence between asterisks.

    Args:
        row: `word`, and `sentence1`, `start1`, `end1` (characters, the end outside) and the same with 2.

    Returns:
        One row: `sentence1` begins with the word.

    Raises:
        InputError: If a field is absent, or no word begins where the row says.
    """
    marked = {}
    for number in "12":
        sentence = _text(row, f"sentence{number}")
        start, end = _integer(row, f"start{number}"), _integer(row, f"end{number}")
        found = sentence[start:end]
        cut = not 0 <= start < end <= len(sentence) or found != found.strip()
        if cut or sentence[:start][-1:].isalnum():
            raise InputError(
                f"start{number}, end{number}: must be where a word of sentence{number} begins and ends, got {start} "
                f"and {end}, which is {found!r}. Correct the row."
            )
        marked[f"sentence{number}"] = _marked(sentence, [(start, end, FIRST_MARK)])
    return [_kept(row) | marked | {"sentence1": f"{_text(row, 'word')}: {marked['sentence1']}"}]


def wsc(row: Row) -> list[Row]:
    """WSC: both spans marked in the text, the noun with asterisks, the pronoun with number signs.

    The published rows write spans with another capital, line break or full stop than the text, and count a word too
    few or too many: these are found all the same. Three published test rows have a span that is not near its index at
    all. In a row without label, which nothing is learnt from and which still has to be answered, the word at the
    index is marked instead.

    Args:
        row: `text`, and `span1_text`, `span1_index` (words before it) and the same with 2, or these under `target`.

    Raises:
        InputError: If a field is absent, or a span is not where a labelled row says.

    Reference:
        The marks: Raffel et al. 2020, Exploring the limits of transfer learning, arXiv:1910.10683, §2.4.

    Example:
        >>> spans = {"span1_text": "The cat", "span1_index": 0, "span2_text": "it", "span2_index": 3}
        >>> wsc({"text": "The cat says it sleeps.", **spans, "label": 1})[0]["text"]
        '* The cat * says # it # sleeps.'
    """
    fields = {**row, **row["target"]} if isinstance(row.get("target"), Mapping) else row
    text = _text(fields, "text")
    spans = [
        (*_place(text, fields, name, must_fit=row.get("label") not in (None, -1)), mark)
        for name, mark in (("span1", FIRST_MARK), ("span2", SECOND_MARK))
    ]
    return [_kept(row) | {"text": _marked(text, spans)}]


def multirc(row: Row) -> list[Row]:
    """MultiRC: a paragraph with one of its questions and one of the question's answers.

    Args:
        row: `paragraph`, `question`, `answer` and `idx` with `paragraph` and `question`; or `idx` and a `passage`
            with `text` and `questions`, each with `question`, `idx` and `answers`.

    Returns:
        A row for each answer; `group` names the question.

    Raises:
        InputError: If a field is absent or a question has no answers.
    """
    if not isinstance(row.get("passage"), Mapping):
        answer = f"{_text(row, 'question')} {_text(row, 'answer')}"
        group = _group(row, "paragraph", "question")
        return [_kept(row) | {"paragraph": _text(row, "paragraph"), "question_answer": answer, "group": group}]
    passage = row["passage"]
    return [
        converted
        for question in _some(passage, "questions")
        for answer in _some(question, "answers")
        for converted in multirc(
            {
                "paragraph": _text(passage, "text"),
                "question": _text(question, "question"),
                "answer": _text(answer, "text"),
                "idx": {"paragraph": row.get("idx"), "question": question.get("idx"), "answer": answer.get("idx")},
                "label": answer.get("label"),
            }
        )
    ]


def record(row: Row) -> list[Row]:
    """ReCoRD: a passage and its query, filled with one of the passage's entities.

    Args:
        row: `passage`, `query`, `entities`, `answers` (lists of texts) and `idx` with `passage` and `query`; or `idx`,
            a `passage` with `text` and `entities` (`start` and `end`, the end inside), and `qas`, each with `query`,
            `idx` and, but for test rows, `answers` (`start`, `end`, `text`).

    Returns:
        A row for each distinct entity: `entity`, `answers`, `group`, which names the query, and `label`, 1 where the
        entity is an answer, −1 where no answers are given.

    Raises:
        InputError: If a field is absent, there is no entity, the query has no placeholder, or a span is not where the
            row says.
    """
    if not isinstance(row.get("passage"), Mapping):
        return _filled(row)
    passage = row["passage"]
    text = _text(passage, "text")
    entities = [_span_text(text, "entities", span) for span in _some(passage, "entities")]
    return [
        filled
        for query in _some(row, "qas")
        for filled in _filled(
            {
                "passage": text,
                "query": _text(query, "query"),
                "entities": entities,
                "answers": [_span_text(text, "answers", span) for span in _list(query, "answers")],
                "idx": {"passage": row.get("idx"), "query": query.get("idx")},
            }
        )
    ]


def _filled(row: Row) -> list[Row]:
    query = _text(row, "query")
    if PLACEHOLDER not in query:
        raise InputError(f"query: must hold {PLACEHOLDER}, got {query!r}. Correct the row.")
    parts = [part.rstrip() for part in _text(row, "passage").split(HIGHLIGHT)]
    passage = " ".join(part if part.endswith(tuple(".?!\"'")) else f"{part}." for part in parts)
    entities, answers = _some(row, "entities"), _list(row, "answers")
    if odd := [value for value in (*entities, *answers) if not isinstance(value, str)]:
        raise InputError(f"entities and answers: must be texts, got {odd[0]!r}.")
    return [
        {
            "passage": passage,
            "query": query.replace(PLACEHOLDER, entity),
            "entity": entity,
            "answers": answers,
            "label": int(entity in answers) if answers else -1,
            "idx": row.get("idx"),
            "group": _group(row, "passage", "query"),
        }
        for entity in dict.fromkeys(entities)
    ]


def _span_text(text: str, name: str, span: Row) -> str:
    start, end = _integer(span, "start"), _integer(span, "end")
    found = text[start : end + 1]
    if not 0 <= start <= end < len(text) or span.get("text", found) != found:
        raise InputError(
            f"{name}: must be where they say in the passage, got {dict(span)} where it has {found!r}. Correct the row."
        )
    return found


def _place(text: str, fields: Row, name: str, must_fit: bool) -> tuple[int, int]:
    """First character of a span of words, and the one after its last."""
    span, index = _text(fields, f"{name}_text"), _integer(fields, f"{name}_index")
    words = list(re.finditer(r"\S+", text))
    if not 0 <= index < len(words):
        raise InputError(f"{name}_index: must be a word of the {len(words)} of the text, got {index}. Correct the row.")
    sought = r"\s+".join(map(re.escape, span.strip(string.punctuation + string.whitespace).split()))
    # A quotation mark before it and whatever is no word after it, such as 's, belong to the text.
    pattern = re.compile(rf"[^\w\s]*?({sought})(?!\w)", re.IGNORECASE)
    for near in (index, index + 1, index - 1):
        if sought and 0 <= near < len(words) and (found := pattern.match(text, words[near].start())):
            return found.span(1)
    if must_fit:
        raise InputError(
            f"{name}_text: must stand at word {index} of the text, counted from 0, got {span!r} where the text has "
            f"{text[words[index].start() :]!r:.60}. Correct the row."
        )
    return words[index].span()


def _marked(text: str, spans: Iterable[tuple[int, int, str]]) -> str:
    """The text with a mark before and after each span; of spans that begin or end together the shorter is inside."""
    inserts = [
        insert
        for start, end, mark in spans
        for insert in ((start, 1, start - end, f"{mark} "), (end, 0, end - start, f" {mark}"))
    ]
    for position, _, _, insert in sorted(inserts, reverse=True):
        text = text[:position] + insert + text[position:]
    return text


def _kept(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("label", "idx") if name in row}


def _group(row: Row, outer: str, inner: str) -> str:
    index = row.get("idx")
    if not isinstance(index, Mapping) or index.get(outer) is None or index.get(inner) is None:
        raise InputError(f"idx: must have {outer} and {inner}, got {index!r}. They say which rows are scored together.")
    return f"{index[outer]}-{index[inner]}"


def _value(row: Row, name: str) -> Any:
    if not isinstance(row, Mapping) or name not in row:
        raise InputError(f"must have {name!r}, got {list(row) if isinstance(row, Mapping) else row!r}.")
    return row[name]


def _text(row: Row, name: str) -> str:
    value = _value(row, name)
    if not isinstance(value, str):
        raise InputError(f"{name}: must be text, got {value!r}.")
    return value


def _integer(row: Row, name: str) -> int:
    value = _value(row, name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name}: must be an integer, got {value!r}.")
    return value


def _list(row: Row, name: str) -> list[Any]:
    """The values of a field, none where it is absent; a parquet file gives them as an array."""
    value = row.get(name)
    if value is None:
        return []
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise InputError(f"{name}: must be a list, got {value!r}.")
    return list(value)


def _some(row: Row, name: str) -> list[Any]:
    _value(row, name)
    if not (values := _list(row, name)):
        raise InputError(f"{name}: must hold at least one, holds none. Leave the row out.")
    return values
