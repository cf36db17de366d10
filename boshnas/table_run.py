"""A search of a table kept as a run, so that all that reads runs can read it: report, dashboard, list, show."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from boshnas.columns import Kind
from boshnas.job import Result
from boshnas.replay import Step, random_search
from boshnas.store import Store, new_place
from boshnas.store.choices import Range, Value
from boshnas.table import Table
from boshnas.trial import Status, Trial
from boshnas.version import versions

SIZE_COLUMN = "params"
"""The column that is taken for an architecture's number of weights, where it holds whole numbers."""
_MAX_SIZE = 2**63 - 1
_ONLY_LEVEL = 1


def new_store(folder: Path, table: Table, options: dict[str, Any], budget: int) -> Store:
    """Make the store of a search of a table.

    Args:
        folder: Of the run, there and empty.
        table: What is searched.
        options: As they were given, JSON values; `table` and `seed` are among them.
        budget: Evaluations to come, <= measured rows.
    """
    identity = {
        "table": options["table"],
        "seed": options["seed"],
        "options": options | {"budget": budget},
        "versions": versions(),
        "random_search": dataclasses.asdict(random_search(table, budget)),
    }
    location, direction = new_place(folder, None), table.objective.direction
    return Store.create(location, identity, _choices(table), direction=direction, score_name=table.objective_name)


def kept(steps: Iterable[Step], table: Table, store: Store, seed: int) -> Iterator[Step]:
    """The same steps, each first written to a store that `new_store` made."""
    for number, step in enumerate(steps):
        row = table.row(step.id)
        size = row.get(SIZE_COLUMN)
        store.add(
            Trial(
                number=number,
                proposal=step.proposal,
                level=_ONLY_LEVEL,
                architecture=row,
                parameters=_parameters(table, row),
                seed=seed,
                params=size if isinstance(size, int) and 0 < size <= _MAX_SIZE else None,
            )
        )
        store.finish(Result(number=number, id=step.id, status=Status.FINISHED, score=step.value))
        yield step


def _choices(table: Table) -> dict[str, Sequence[str | int] | Range]:
    """What stands in each column of features: names, or finite numbers."""
    found: dict[str, Sequence[str | int] | Range] = {}
    for column in table.columns:
        cells = [value for value in table.cells(column.name).values() if value is not None]
        if column.kind is Kind.CATEGORICAL:
            found[column.name] = list(dict.fromkeys(map(str, cells)))
        else:
            is_whole, numbers = all(isinstance(value, int) for value in cells), list(map(float, cells))
            found[column.name] = Range(low=min(numbers), high=max(numbers), is_whole=is_whole)
    return found


def _parameters(table: Table, row: Mapping[str, Value | None]) -> dict[str, Value]:
    """The features of a row; none where its cell is empty."""
    features = ((column.name, row[column.name]) for column in table.columns)
    return {name: value for name, value in features if value is not None}
