"""A table of architectures, some or all of them measured, as candidates for a search."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from boshnas.columns import (
    Column,
    Kind,
    Limit,
    as_text,
    describe,
    holds_dates,
    holds_lists,
    numbers_of,
    require_known,
    select_features,
    shortened,
    typed,
)
from boshnas.errors import InputError
from boshnas.features import encode
from boshnas.objective import Objective
from boshnas.pool import Pool
from boshnas.table_file import read_table, require_distinct, shipped_names, shipped_table
from boshnas.table_notes import leaks, notes_on_rows
from boshnas.table_repeats import contradiction, mean_of, pooled_std

Values = NDArray[np.float64]


class Table:
    """Rows of a table as candidates: a pool to search, and what has been measured of it.

    Args:
        frame: One row an architecture, at least two; text, numbers or booleans.
        objective: Column to optimise; empty where a row is not measured. None: the mean of `repeats`.
        minimize: Less is better.
        features: Columns that describe an architecture. None: all without another use here, a constraint not counted,
            that are known of a row before it is measured.
        ignore: Columns that are none, instead of `features`.
        noise_std: Column with the standard deviation of each objective, empty where it is unknown.
        repeats: Columns with repeated measurements whose mean the objective is, instead of `noise_std`; where an
            objective is named, it is used.
        id: Column of identifiers. None: each row's number in the table, from 0.
        cost: Column with what it costs to measure each row, > 0.
        constraints: Limits such as `params<=5e6`; rows beyond them are no candidates.
        name: What errors call the table.

    Attributes:
        name: What errors call the table.
        pool: Candidates with their feature rows, and where some of them are not measured, the measured rows beyond the
            constraints: they are told to a searcher like the others, and not proposed again.
        candidates: Ids within the constraints, in order.
        columns: Features, in order.
        shown: Other columns that matter to the choice: of the cost and of the constraints.
        notes: What a user should know: columns left out, rows that repeat, features that look like the objective.
        values: Objective by id, in its own unit, NaN where not measured.
        noise_std: Its standard deviation by id, where known.
        costs: Expected cost by id of each candidate; None without `cost`.
        objective: Which way is better.
        objective_name: Its column, or `mean of a, b, c`.

    Raises:
        InputError: If a column does not exist or does not hold what it has to, or no candidate is left.

    Example:
        >>> from boshnas import Searcher
        >>> table = Table.read("nas_bench_bert")
        >>> searcher = Searcher(table.pool, seed=0)
        >>> ids = searcher.ask(2)
        >>> searcher.tell(table.utilities(ids))
        >>> len(searcher.ask(3))
        3
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        *,
        objective: str | None = None,
        minimize: bool = False,
        features: Sequence[str] | None = None,
        ignore: Sequence[str] | None = None,
        noise_std: str | None = None,
        repeats: Sequence[str] | None = None,
        id: str | None = None,
        cost: str | None = None,
        constraints: Sequence[str] = (),
        name: str = "Table",
    ) -> None:
        where = name
        require_distinct([str(column) for column in frame.columns], where)
        frame = frame.set_axis([str(column) for column in frame.columns], axis=1).reset_index(drop=True)
        limits = [Limit.parse(text, where) for text in constraints]
        uses = {
            "objective": _list(objective),
            "id": _list(id),
            "noise_std": _list(noise_std),
            "repeats": list(repeats or ()),
            "cost": _list(cost),
        }
        if len(frame) < 2:
            raise InputError(f"{where}: a table must have at least two rows below its header, got {len(frame)}.")
        named = {"features": features or (), "ignore": ignore or (), "constraint": [limit.column for limit in limits]}
        for role, names in {**uses, **named}.items():
            require_known(names, frame, role, where)
        if objective is None and not repeats:
            raise InputError(
                f"{where}: objective must name a column, got none. It has {shortened(list(frame.columns))}."
            )
        _check_uses(uses, features, ignore, where)
        self.name = name
        self.notes: list[str] = []
        self.objective = Objective("minimize" if minimize else "maximize")
        self.objective_name = f"mean of {shortened(uses['repeats'])}" if objective is None else objective
        cells = {column: typed(frame[column]) for column in frame.columns}
        whole = pd.DataFrame({column: values for column, (values, _) in cells.items()})
        ids = [str(row) for row in range(len(frame))] if id is None else _ids(frame[id], whole[id].isna(), where)
        repeated = np.column_stack([numbers_of(whole, name, "repeats", where) for name in repeats]) if repeats else None
        measured = self._measured(whole, objective, repeated, ids, where)
        within = self._within(whole, limits, where)
        # Where nothing is left to propose, what lies beyond the limits has nothing to teach for.
        is_open = within & np.isnan(measured)
        kept = within | ~np.isnan(measured) if is_open.any() else within
        if not within.any() or kept.sum() < 2:
            raise InputError(f"{where}: constraints must leave at least two rows, got {within.sum()}. Relax one.")
        self._rows = whole[kept]
        self._whole = {name for name in whole.columns if describe(whole[name]).kind is Kind.INTEGER}
        self.candidates = [id_ for id_, is_within in zip(ids, within, strict=True) if is_within]
        kept_ids = [id_ for id_, is_kept in zip(ids, kept, strict=True) if is_kept]
        unknown = _unknown(whole, measured, is_open, self.objective_name)
        lists = [column for column in frame.columns if holds_lists(frame[column])]
        self.columns = self._select(features, ignore, uses, unknown, lists, where)
        chosen = [column.name for column in self.columns]
        self.shown = [name for name in dict.fromkeys([*uses["cost"], *named["constraint"]]) if name not in chosen]
        self._note_cells(frame[chosen], [name for name in chosen if cells[name][1]], lists)
        encoded = encode(self._rows, self.columns)
        self.pool = Pool(kept_ids, encoded.X, encoded.groups)
        self.values: dict[str, float] = dict(zip(kept_ids, measured[kept].tolist(), strict=True))
        self.noise_std = self._noise(noise_std, None if repeated is None else repeated[kept], where)
        self.costs = None if cost is None else self._costs(whole[within], cost, where)
        if is_open.any():
            self.notes.append(f"{is_open.sum()} of {within.sum()} rows have no value of {self.objective_name}")
        self.notes += notes_on_rows(encoded.X, measured[kept], self.objective_name)
        self.notes += leaks(self._rows, self.columns, measured[kept], self.objective_name, features is not None)

    @classmethod
    def read(cls, path_or_name: str | Path, objective: str | None = None, **options: Any) -> Self:
        """Read a file, or a table that comes with the package.

        Args:
            path_or_name: As `table_file.read_table` takes it, or `nas_bench_bert`, which knows its objective, id and
                features; `ignore` takes from these features.
            objective: Column to optimise; may be left out for a shipped table, and with `repeats`.
            **options: As the class takes them: `minimize`, `features` or `ignore`, `noise_std` or `repeats`, `id`,
                `cost`, `constraints`.

        Raises:
            InputError: If the file cannot be read, the objective is missing, or as the class raises.
        """
        where = str(path_or_name)
        if where not in shipped_names():
            return cls(read_table(path_or_name), objective=objective, **options, name=where)
        shipped = shipped_table(where)
        frame = read_table(shipped.path)
        if objective is None and not options.get("repeats"):
            objective, options["minimize"] = shipped.objective, options.get("minimize") or shipped.minimize
        if options.get("features") is None:
            ignored = options.pop("ignore", None) or ()
            require_known(ignored, frame, "ignore", where)
            _refuse_ignored(objective, ignored, where)
            used = {objective, options.get("id"), options.get("noise_std"), *(options.get("repeats") or ()), *ignored}
            options["features"] = [column for column in shipped.features if column not in used]
        options["id"] = options.get("id") or shipped.id
        return cls(frame, objective=objective, **options, name=where)

    @property
    def measured(self) -> list[str]:
        """Ids with an objective, in order; also of rows beyond the constraints, where they are in the pool."""
        return [id_ for id_, value in self.values.items() if not math.isnan(value)]

    @property
    def unmeasured(self) -> list[str]:
        """Candidates without an objective, in order."""
        return [id_ for id_ in self.candidates if math.isnan(self.values[id_])]

    def utilities(self, ids: Iterable[str]) -> dict[str, float | None]:
        """What a searcher is told of some ids: the objective as something to maximise, None where not measured."""
        values = {id_: self.values[id_] for id_ in ids}
        return {id_: None if math.isnan(value) else self.objective.utility(value) for id_, value in values.items()}

    def features(self) -> dict[str, list[str | int | float | None]]:
        """Values of each feature column in the pool's order, None where empty."""
        frame = self._rows[[column.name for column in self.columns]].astype(object)
        return {str(name): values.where(values.notna(), None).tolist() for name, values in frame.items()}

    def row(self, id_: str) -> dict[str, str | int | float | None]:
        """All columns of a candidate, None where empty.

        Raises:
            KeyError: If it is not in the pool.
        """
        place = int(self.pool.rows([id_])[0])
        return {str(name): _cell(values.iloc[place], name in self._whole) for name, values in self._rows.items()}

    def cells(self, name: str) -> dict[str, str | int | float | None]:
        """A column's cells by id, None where empty.

        Raises:
            KeyError: If there is no such column.
        """
        cells = (_cell(value, name in self._whole) for value in self._rows[name])
        return dict(zip(self.pool.ids, cells, strict=True))

    def _measured(
        self, frame: pd.DataFrame, objective: str | None, repeated: Values | None, ids: Sequence[str], where: str
    ) -> Values:
        """Objective of each row, shape (n,), NaN where not measured."""
        if objective is None:
            assert repeated is not None, "checked before"
            return mean_of(repeated)
        values = numbers_of(frame, objective, "objective", where)
        if repeated is not None and (row := contradiction(values, repeated)) is not None:
            self.notes.append(
                f"warning: {objective} is not the mean of its repeats: {values[row]:.5g} in row {ids[row]}, whose "
                f"repeats have the mean {mean_of(repeated)[row]:.5g}; the column {objective} is used, and the repeats "
                "for its noise alone"
            )
        return values

    def _within(self, frame: pd.DataFrame, limits: Sequence[Limit], where: str) -> NDArray[np.bool_]:
        """Which rows are candidates, shape (n,)."""
        within = np.ones(len(frame), dtype=bool)
        for limit in limits:
            within &= limit.holds(numbers_of(frame, limit.column, "constraint", where))
        if limits:
            self.notes.append(f"{within.sum()} of {len(frame)} rows are within the constraints")
        return within

    def _select(
        self,
        features: Sequence[str] | None,
        ignore: Sequence[str] | None,
        uses: Mapping[str, Sequence[str]],
        unknown: Mapping[str, str],
        lists: Sequence[str],
        where: str,
    ) -> list[Column]:
        """Feature columns among the kept rows, in order."""
        taken = {name for names in uses.values() for name in names} | set(ignore or ())
        free = [str(column) for column in self._rows.columns if column not in taken]
        is_named = features is not None
        candidates = [name for name in free if name not in unknown] if features is None else features
        chosen, notes = select_features(self._rows, candidates, is_named, where, lists)
        if features is None:
            self.notes += [f"{name}: left out, {unknown[name]}" for name in free if name in unknown]
        self.notes += notes
        self.notes += [
            f"warning: {column.name}: {unknown[column.name]}, so it says nothing of what could be proposed: leave it "
            "out of the features"
            for column in chosen
            if column.name in unknown
        ]
        self.notes += [
            f"{column.name}: counts the rows; if it is an identifier, --id {column.name} names the rows by it, and "
            f"--ignore {column.name} leaves it out"
            for column in chosen
            if column.kind is Kind.INTEGER and (np.diff(self._rows[column.name].to_numpy(np.float64)) == 1).all()
        ]
        return chosen

    def _note_cells(self, frame: pd.DataFrame, mixed: Sequence[str], lists: Sequence[str]) -> None:
        """Say how cells of features were read that are neither plain numbers nor plain text."""
        self.notes += [f"{name}: numbers and text together, read as categories" for name in mixed]
        self.notes += [f"{name}: dates, read as days since 1970-01-01" for name in frame if holds_dates(frame[name])]
        self.notes += [
            f"{name}: lists, each another category: give each place of them a column of its own to have them compared"
            for name in frame
            if name in lists
        ]

    def _noise(self, noise_std: str | None, repeated: Values | None, where: str) -> dict[str, float]:
        """Standard deviation of the objective by id, where known."""
        if repeated is not None:
            std = pooled_std(repeated)
        elif noise_std is not None:
            std = numbers_of(self._rows, noise_std, "noise_std", where)
            self._require(std, self._rows, ~(std < 0), f"{where}: noise_std column {noise_std!r} must be >= 0")
        else:
            return {}
        return {id_: value for id_, value in zip(self.pool.ids, std.tolist(), strict=True) if not math.isnan(value)}

    def _costs(self, frame: pd.DataFrame, cost: str, where: str) -> dict[str, float]:
        values = numbers_of(frame, cost, "cost", where)
        self._require(values, frame, values > 0, f"{where}: cost column {cost!r} must be > 0 and not empty")
        return dict(zip(self.candidates, values.tolist(), strict=True))

    @staticmethod
    def _require(values: Values, frame: pd.DataFrame, holds: NDArray[np.bool_], rule: str) -> None:
        if not holds.all():
            place = int(np.argmin(holds))
            got = "nothing" if math.isnan(values[place]) else f"{values[place]:g}"
            row = frame.index[place]
            raise InputError(f"{rule}, got {got} in row {row} (counted from 0). Correct it, or leave the option out.")


def _cell(value: Any, is_whole: bool) -> str | int | float | None:
    """A cell as JSON can hold it."""
    if value is None or pd.isna(value):
        return None
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return str(value)
    return int(value) if is_whole else float(value)


def _list(name: str | None) -> list[str]:
    return [] if name is None else [name]


def _check_uses(
    uses: Mapping[str, Sequence[str]], features: Sequence[str] | None, ignore: Sequence[str] | None, where: str
) -> None:
    """Refuse options that contradict each other."""
    if features is not None and ignore is not None:
        raise InputError(f"{where}: features and ignore must not both be given. Keep one.")
    if uses["noise_std"] and uses["repeats"]:
        raise InputError(f"{where}: noise_std and repeats must not both be given. Keep one.")
    if len(uses["repeats"]) == 1:
        raise InputError(f"{where}: repeats must name at least two columns, got {uses['repeats']}. Add one.")
    for role in ("objective", "id", "noise_std", "repeats"):
        shared = [name for name in uses[role] if name in (features or ())]
        if shared:
            raise InputError(f"{where}: features must not name the {role} column, got {shared[0]!r}. Leave it out.")
    for role in ("id", "noise_std", "repeats"):
        if uses["objective"] and uses["objective"][0] in uses[role]:
            raise InputError(f"{where}: {role} must not be the objective, got {uses[role]}. Name other columns.")
    _refuse_ignored(next(iter(uses["objective"]), None), ignore or (), where)
    repeated = [name for names in (uses["repeats"], features or ()) for name in names if list(names).count(name) > 1]
    if repeated:
        raise InputError(f"{where}: a column must be named once, got {repeated[0]!r} twice. Leave one out.")


def _refuse_ignored(objective: str | None, ignore: Sequence[str], where: str) -> None:
    if objective in ignore:
        raise InputError(f"{where}: ignore must not name the objective, got {objective!r}. Leave it out.")


def _unknown(frame: pd.DataFrame, measured: Values, is_open: NDArray[np.bool_], objective: str) -> dict[str, str]:
    """Columns that have no value in any row that could be proposed, and how to say so."""
    if not is_open.any():
        return {}
    found = {}
    for name in frame.columns:
        is_known = frame[name].notna().to_numpy()
        if is_known.any() and not is_known[is_open].any():
            is_afterwards = not (is_known & np.isnan(measured)).any()
            reason = (
                f"known only where {objective} is" if is_afterwards else "empty in every row that could be proposed"
            )
            found[str(name)] = reason
    return found


def _ids(column: pd.Series, is_empty: pd.Series, where: str) -> list[str]:
    """Identifier of each row, as it stands in the table."""
    ids = column.map(as_text)
    for is_wrong, rule in ((is_empty, "not be empty"), (ids.duplicated(), "be distinct")):
        if is_wrong.any():
            row = int(np.argmax(is_wrong))
            raise InputError(
                f"{where}: id column {column.name!r} must {rule}, got {ids[row]!r} in row {row} (counted from 0). "
                "Correct it, or leave the option out."
            )
    return [str(text) for text in ids]
