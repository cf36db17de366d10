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

Values = NDArray[np.float64]

_PRIOR_DEGREES = 4.0
_LEAK = 0.999
_MIN_LEAK_ROWS = 5  # fewer agree in rank by chance


class Table:
    """Rows of a table as candidates: a pool to search, and what has been measured of it.

    Args:
        frame: One row an architecture, at least two; text, numbers or booleans.
        objective: Column to optimise; empty where a row is not measured.
        minimize: Less is better.
        features: Columns that describe an architecture. None: all without another use here.
        ignore: Columns that are none, instead of `features`.
        noise_std: Column with the standard deviation of each objective, empty where it is unknown.
        repeats: Columns with repeated measurements whose mean the objective is, instead of `noise_std`.
        id: Column of identifiers. None: each row's number in the table, from 0.
        cost: Column with what it costs to measure each row, > 0.
        constraints: Limits such as `params<=5e6`; rows beyond them are no candidates.
        name: What errors call the table.

    Attributes:
        name: What errors call the table.
        pool: Candidates with their feature rows.
        columns: Features, in order.
        notes: What a user should know: columns left out, rows that repeat, features that look like the objective.
        values: Objective by id, in its own unit, NaN where not measured.
        noise_std: Its standard deviation by id, where known.
        costs: Expected cost by id; None without `cost`.
        objective: Which way is better.
        objective_name: Its column.

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
        objective: str,
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
            "objective": [objective],
            "id": _list(id),
            "noise_std": _list(noise_std),
            "repeats": list(repeats or ()),
            "cost": _list(cost),
            "constraint": [limit.column for limit in limits],
        }
        if len(frame) < 2:
            raise InputError(f"{where}: a table must have at least two rows below its header, got {len(frame)}.")
        for role, names in {**uses, "features": list(features or ()), "ignore": list(ignore or ())}.items():
            require_known(names, frame, role, where)
        _check_uses(uses, features, ignore, where)
        self.name = name
        self.notes: list[str] = []
        self.objective, self.objective_name = Objective("minimize" if minimize else "maximize"), objective
        cells = {column: typed(frame[column]) for column in frame.columns}
        whole = pd.DataFrame({column: values for column, (values, _) in cells.items()})
        ids = [str(row) for row in range(len(frame))] if id is None else _ids(frame[id], whole[id].isna(), where)
        measured = numbers_of(whole, objective, "objective", where)
        kept = self._within(whole, limits, where)
        self._rows = whole[kept]
        self._whole = {name for name in whole.columns if describe(whole[name]).kind is Kind.INTEGER}
        kept_ids = [id_ for id_, is_kept in zip(ids, kept, strict=True) if is_kept]
        self.columns = self._select(features, ignore, uses, where)
        self.notes += [
            f"{column.name}: numbers and text together, read as categories"
            for column in self.columns
            if cells[column.name][1]
        ]
        encoded = encode(self._rows, self.columns)
        self.pool = Pool(kept_ids, encoded.X, encoded.groups)
        self.values: dict[str, float] = dict(zip(kept_ids, measured[kept].tolist(), strict=True))
        self.noise_std = self._noise(noise_std, uses["repeats"], where)
        self.costs = None if cost is None else self._costs(cost, where)
        self._note_rows()

    @classmethod
    def read(cls, path_or_name: str | Path, objective: str | None = None, **options: Any) -> Self:
        """Read a file, or a table that comes with the package.

        Args:
            path_or_name: As `table_file.read_table` takes it, or `nas_bench_bert`, which knows its objective, id and
                features; `ignore` takes from these features.
            objective: Column to optimise; may be left out for a shipped table.
            **options: As the class takes them.

        Raises:
            InputError: If the file cannot be read, the objective is missing, or as the class raises.
        """
        where = str(path_or_name)
        if where not in shipped_names():
            frame = read_table(path_or_name)
            if objective is None:
                columns = shortened([str(column) for column in frame.columns])
                raise InputError(f"{where}: objective must name a column, got none. It has {columns}.")
            return cls(frame, objective=objective, **options, name=where)
        shipped = shipped_table(where)
        frame = read_table(shipped.path)
        if objective is None:
            objective, options["minimize"] = shipped.objective, options.get("minimize") or shipped.minimize
        if options.get("features") is None:
            ignored = options.pop("ignore", None) or ()
            require_known(ignored, frame, "ignore", where)
            used = {objective, options.get("id"), options.get("noise_std"), *(options.get("repeats") or ()), *ignored}
            options["features"] = [column for column in shipped.features if column not in used]
        options["id"] = options.get("id") or shipped.id
        return cls(frame, objective=objective, **options, name=where)

    @property
    def measured(self) -> list[str]:
        """Ids with an objective, in order."""
        return [id_ for id_, value in self.values.items() if not math.isnan(value)]

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

    def _within(self, frame: pd.DataFrame, limits: Sequence[Limit], where: str) -> NDArray[np.bool_]:
        """Which rows are candidates, shape (n,)."""
        kept = np.ones(len(frame), dtype=bool)
        for limit in limits:
            kept &= limit.holds(numbers_of(frame, limit.column, "constraint", where))
        if limits:
            self.notes.append(f"{kept.sum()} of {len(frame)} rows are within the constraints")
        if kept.sum() < 2:
            raise InputError(f"{where}: constraints must leave at least two rows, got {kept.sum()}. Relax one.")
        return kept

    def _select(
        self,
        features: Sequence[str] | None,
        ignore: Sequence[str] | None,
        uses: Mapping[str, Sequence[str]],
        where: str,
    ) -> list[Column]:
        """Feature columns among the candidates' rows, in order."""
        taken = {name for names in uses.values() for name in names} | set(ignore or ())
        free = [str(column) for column in self._rows.columns if column not in taken]
        chosen, notes = select_features(self._rows, free if features is None else features, features is not None, where)
        self.notes += notes
        self.notes += [
            f"{column.name}: counts the rows; if it is an identifier, name it as id or ignore it"
            for column in chosen
            if column.kind is Kind.INTEGER and (np.diff(self._rows[column.name].to_numpy(np.float64)) == 1).all()
        ]
        return chosen

    def _noise(self, noise_std: str | None, repeats: Sequence[str], where: str) -> dict[str, float]:
        """Standard deviation of the objective by id, where known."""
        if repeats:
            columns = [numbers_of(self._rows, name, "repeats", where) for name in repeats]
            std = pooled_std(np.column_stack(columns))
        elif noise_std is not None:
            std = numbers_of(self._rows, noise_std, "noise_std", where)
            self._require(std, ~(std < 0), f"{where}: noise_std column {noise_std!r} must be >= 0")
        else:
            return {}
        return {id_: value for id_, value in zip(self.pool.ids, std.tolist(), strict=True) if not math.isnan(value)}

    def _costs(self, cost: str, where: str) -> dict[str, float]:
        values = numbers_of(self._rows, cost, "cost", where)
        self._require(values, values > 0, f"{where}: cost column {cost!r} must be > 0 and not empty")
        return dict(zip(self.pool.ids, values.tolist(), strict=True))

    def _require(self, values: Values, holds: NDArray[np.bool_], rule: str) -> None:
        if not holds.all():
            place = int(np.argmin(holds))
            got = "nothing" if math.isnan(values[place]) else f"{values[place]:g}"
            row = self._rows.index[place]
            raise InputError(f"{rule}, got {got} in row {row} (counted from 0). Correct it, or leave the option out.")

    def _note_rows(self) -> None:
        """Say what is odd about the candidates' rows."""
        values = np.array(list(self.values.values()))
        present = ~np.isnan(values)
        if num_empty := int((~present).sum()):
            self.notes.append(f"{num_empty} of {len(values)} rows have no value of {self.objective_name}")
        if present.any() and np.ptp(values[present]) == 0:
            self.notes.append(f"warning: {self.objective_name} is the same in every row: nothing to find")
        if num_alike := int(pd.DataFrame(self.pool.X).duplicated(keep=False).sum()):
            self.notes.append(
                f"{num_alike} rows have the features of another: each stays a candidate, and their values count as "
                "repeated measurements"
            )
        for column in self.columns:
            if column.kind is Kind.CATEGORICAL:
                continue
            correlation = _spearman(self._rows[column.name].to_numpy(np.float64), values)
            if abs(correlation) > _LEAK:
                self.notes.append(
                    f"warning: {column.name}: orders the rows as {self.objective_name} does (Spearman "
                    f"{correlation:.4f}): leaks the objective? If so, ignore it"
                )


def pooled_std(repeats: Values) -> Values:
    """Standard deviation of each row's mean, from its repeats and those of all rows.

    Two or three repeats say little about a row's own noise: the sample variance of three is off by more than a factor
    of three one time in three. So each row's variance is pulled towards the mean variance of all rows, which counts as
    ν₀ = 4 further degrees of freedom. With k repeats of sample variance s², and s₀² the mean over rows,

        variance of the mean = (s² (k − 1) + s₀² ν₀) / (k − 1 + ν₀) / k

    which is the inverse of the posterior mean precision under a scaled inverse-χ² prior. A row measured once has s₀².

    Args:
        repeats: Shape (n, r), NaN where a repeat is missing.

    Returns:
        Shape (n,), same unit; NaN for rows without repeats, and for all where no row has two.

    Reference:
        Smyth 2004, doi 10.2202/1544-6115.1027, equation of the moderated variance, with ν₀ fixed.

    Example:
        >>> pooled_std(np.array([[1.0, 3.0], [5.0, 5.0]])).round(3).tolist()
        [0.775, 0.632]
    """
    count = (~np.isnan(repeats)).sum(axis=1)
    mean = np.nansum(repeats, axis=1) / np.maximum(count, 1)
    squares = np.nansum((repeats - mean[:, None]) ** 2, axis=1)  # s² (k − 1)
    repeated = count > 1
    if not repeated.any():
        return np.full(len(repeats), np.nan)
    overall = float((squares[repeated] / (count[repeated] - 1)).mean())
    degrees = np.maximum(count - 1, 0)
    variance = (squares + overall * _PRIOR_DEGREES) / (degrees + _PRIOR_DEGREES) / np.maximum(count, 1)
    return np.where(count > 0, np.sqrt(variance), np.nan)


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
        if uses["objective"][0] in uses[role]:
            raise InputError(f"{where}: {role} must not be the objective, got {uses[role]}. Name other columns.")
    repeated = [name for names in (uses["repeats"], features or ()) for name in names if list(names).count(name) > 1]
    if repeated:
        raise InputError(f"{where}: a column must be named once, got {repeated[0]!r} twice. Leave one out.")


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


def _spearman(first: Values, second: Values) -> float:
    """Rank correlation of two columns, each (n,), over the rows where both are present; 0 where one is constant."""
    both = ~(np.isnan(first) | np.isnan(second))
    ranks = [pd.Series(values[both]).rank().to_numpy(np.float64) for values in (first, second)]
    if both.sum() < _MIN_LEAK_ROWS or any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    first, second = ((rank - rank.mean()) / rank.std() for rank in ranks)
    return float((first * second).mean())
