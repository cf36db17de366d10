"""The rule by which data that lack a part get one from their training rows.

| given | train | validation | test |
|---|---|---|---|
| train, validation, test | as given | as given | as given |
| train, validation | as given | as given | none |
| train, test | the rest | 10 % of the training rows | as given |
| train | the rest | 10 % of the training rows | another 10 % |

Rows with equal texts are one group, which stays on one side. For a classification 10 % of each label's rows are drawn,
at least one, and each label keeps a group in training: a label of one group is in training alone, one of two groups in
training and validation. For a regression 10 % of all rows are drawn. Groups are drawn in the order of a hash of the
seed and their texts, so what is drawn follows from the seed, the texts and the labels: not from the order of the rows,
other columns, the process or the machine. The validation rows are the same whether or not test rows are drawn too.
Within a part rows keep their order. Fewer than 50 different texts are not divided.
"""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from design_space.errors import InputError
from finetune.rows.files import Row
from pretrain.distinct import content_hash

SHARE = 0.1
MIN_TEXTS = 50

_logger = logging.getLogger(__name__)


class Parts(NamedTuple):
    """Rows of a task by what they are for.

    Attributes:
        train: To learn from.
        validation: To choose by.
        test: To report on; None where there are none.
    """

    train: Sequence[Row]
    validation: Sequence[Row]
    test: Sequence[Row] | None


def complete_parts(
    train: Sequence[Row],
    validation: Sequence[Row] | None,
    test: Sequence[Row] | None,
    *,
    text_fields: Sequence[str],
    is_regression: bool,
    seed: int,
    where: str,
) -> Parts:
    """Draw the parts that are missing, by the rule above.

    Args:
        train: Rows with the text fields and `label`.
        validation: None where it is missing.
        test: None where it is missing.
        text_fields: Fields that make up a row's texts.
        is_regression: Whether labels are values, not codes to be spread evenly.
        seed: Of the draw.
        where: Named in refusals and in the log.

    Raises:
        InputError: If the training rows have too few different texts to be divided.
    """
    if validation is not None:
        return Parts(train, validation, test)
    names = "validation" if test is not None else "validation and test"
    keys = [text_key(row, text_fields, seed) for row in train]
    groups: dict[int, Counter[int]] = {key: Counter() for key in sorted(set(keys))}
    for key, row in zip(keys, train, strict=True):
        groups[key][0 if is_regression else row["label"]] += 1
    if len(groups) < MIN_TEXTS:
        raise InputError(
            f"{where}: must have at least {MIN_TEXTS} different texts to draw {names} rows from, has {len(groups)}. "
            "Give validation rows."
        )
    totals = sum(groups.values(), Counter())
    drawn = [_draw(groups, totals)]
    if test is None:
        drawn.append(_draw({key: group for key, group in groups.items() if key not in drawn[0]}, totals))
    if not all(drawn):
        raise InputError(
            f"{where}: must have labels of several texts to draw {names} rows from, has none. Give validation rows."
        )
    rest = set(groups).difference(*drawn)
    train, *others = ([row for key, row in zip(keys, train, strict=True) if key in part] for part in (rest, *drawn))
    _logger.info(
        "%s: %s rows are drawn with seed %d; %d of %d stay for training.", where, names, seed, len(train), len(keys)
    )
    return Parts(train, others[0], others[1] if test is None else test)


def text_key(row: Row, text_fields: Sequence[str], seed: int = 0) -> int:
    """A hash of a row's texts, the same for equal texts, in any process."""
    return content_hash(json.dumps([seed, *(row[field] for field in text_fields)]))


def _draw(groups: dict[int, Counter[int]], totals: Counter[int]) -> set[int]:
    """Keys of the groups that make up a part.

    Args:
        groups: How many rows of each label a group has, by its key, in the order in which they are drawn.
        totals: How many rows of each label there were in the beginning.
    """
    wanted = {label: max(1, round(SHARE * total)) for label, total in totals.items()}
    taken: Counter[int] = Counter()
    num_groups = Counter(label for group in groups.values() for label in group)
    drawn: set[int] = set()

    def take(key: int) -> None:
        drawn.add(key)
        taken.update(groups[key])
        num_groups.subtract(list(groups[key]))

    for label in sorted(totals, key=lambda label: (totals[label], label)):  # the rarest have the least choice
        having = [key for key, group in groups.items() if label in group and key not in drawn]
        for key in having:
            if taken[label] == wanted[label]:
                break
            group = groups[key]
            if all(taken[one] + group[one] <= wanted[one] and num_groups[one] > 1 for one in group):
                take(key)
        if not taken[label]:  # every group of it is too large
            movable = [key for key in having if all(num_groups[one] > 1 for one in groups[key])]
            if movable:
                take(min(movable, key=lambda key: groups[key].total()))
    return drawn
