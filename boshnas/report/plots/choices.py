"""Which choices of an architecture tell a good score from a bad one.

Symbols: n finished trials, d choices.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold

from boshnas.objective import Objective
from boshnas.report.plots.panel import BLUE, GREY, HEIGHT, Panel, finished, new_figure, scores_of, shown
from boshnas.saved_run import Run
from boshnas.trial import Trial
from boshnas.wording import number

MIN_TRIALS = 10
MAX_TRIALS = 600
MAX_BARS = 15
MAX_LEVELS = 8
ABSENT = "absent"
_NUM_FOLDS = 5
_NUM_REPEATS = 3
_NUM_TREES = 40
_NUM_QUARTERS = 4

Values = NDArray[np.float64]


def choice_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """Choices, shape (n, d); those that never differ are left out.

    One with many numbers is a column of float64, NaN where a trial has none; any other one of text, `absent` there.
    """
    frame = pd.DataFrame([dict(trial.parameters) for trial in trials], dtype=object)
    frame = pd.DataFrame({name: _column(frame[name]) for name in frame.columns})
    return frame.loc[:, frame.nunique(dropna=False) > 1]


def _column(values: pd.Series) -> pd.Series:
    """A choice as float64 where it has more numbers than could each be a case of its own, else as text."""
    known = values.dropna()
    if known.map(lambda value: isinstance(value, int | float)).all() and known.nunique() > MAX_LEVELS:
        return values.astype(np.float64)
    return values.map(lambda value: ABSENT if pd.isna(value) else str(value))


def _block(values: pd.Series) -> Values:
    """Features of a choice for a forest, shape (n, its number of columns)."""
    if values.dtype != np.float64:
        return pd.get_dummies(values).to_numpy(np.float64)
    # A forest goes by the order alone, and has no room for the largest floats.
    ranks = values.rank()
    return np.column_stack([ranks.fillna(ranks.mean()), values.isna()]).astype(np.float64)


def importances(table: pd.DataFrame, scores: Values) -> tuple[Values, float]:
    """How much of the variance of the scores a forest no longer explains once a choice is shuffled.

    Forests are fitted on four fifths of the trials and asked for the last fifth, in turn; the columns of one choice
    are shuffled together.

    Args:
        table: As `choice_table` makes it, shape (n, d).
        scores: Shape (n,), not all equal.

    Returns:
        Mean fall of R², shape (d,), and R² itself, both on trials that were not fitted.
    """
    scores = scores / np.abs(scores).max()  # squares of the largest floats are infinite
    blocks = [_block(table[name]) for name in table.columns]
    ends = np.cumsum([block.shape[1] for block in blocks])
    X, rng = np.concatenate(blocks, axis=1), np.random.default_rng(0)
    errors, shuffled = np.zeros(len(scores)), np.zeros((len(blocks), len(scores)))
    for train, test in KFold(_NUM_FOLDS, shuffle=True, random_state=0).split(X):
        forest = RandomForestRegressor(_NUM_TREES, max_features=1 / 3, random_state=0).fit(X[train], scores[train])
        errors[test] = (forest.predict(X[test]) - scores[test]) ** 2
        variants = np.tile(X[test], (len(blocks), _NUM_REPEATS, 1, 1))
        for place, end in enumerate(ends):
            begin = end - blocks[place].shape[1]
            for repeat in range(_NUM_REPEATS):
                variants[place, repeat, :, begin:end] = X[rng.permutation(test), begin:end]
        asked = forest.predict(variants.reshape(-1, X.shape[1])).reshape(len(blocks), _NUM_REPEATS, len(test))
        shuffled[:, test] = ((asked - scores[test]) ** 2).mean(axis=1)
    total = scores.var()
    return (shuffled.mean(axis=1) - errors.mean()) / total, 1 - errors.mean() / total


def choices(run: Run) -> Panel:
    """Importance of each choice, by grouped permutation of random forests."""
    name, title = "choices", "Which choices matter"
    known = [trial for trial in finished(run.trials) if trial.parameters]
    if len(known) < MIN_TRIALS:
        sentence = f"It needs at least {MIN_TRIALS} finished evaluations with their choices; there are {len(known)}."
        return Panel(name=name, title=title, finding=sentence)
    trials = _spread(known)
    table, scores = choice_table(trials), np.array(scores_of(trials))
    if table.empty or np.ptp(scores) == 0:
        what = "choices" if table.empty else "scores"
        return Panel(name=name, title=title, finding=f"All measured {what} are equal, so no choice can matter.")
    values, explained = importances(table, scores)
    if explained <= 0:
        sentence = (
            f"A random forest foresees the scores of {len(trials)} evaluations no better than their mean does: nothing "
            "can be said of single choices yet."
        )
        return Panel(name=name, title=title, finding=sentence)
    order = np.argsort(-values, kind="stable")[:MAX_BARS]
    names = [str(table.columns[place]) for place in order]
    bars = [max(0.0, float(values[place])) for place in order]
    figure = new_figure("loss of R²", "", max(HEIGHT, 110 + 24 * len(names)))
    figure.add_bar(
        x=bars,
        y=list(range(len(names))),
        orientation="h",
        marker={"color": BLUE, "line": {"color": GREY, "width": 1}},
        text=[_told(table[choice], scores, run.objective) for choice in names],
        textposition="none",
        customdata=[shown(choice) for choice in names],
        hovertemplate="%{customdata}: %{x:.3f}<br>%{text}<extra></extra>",
    )
    figure.update_xaxes(nticks=4)
    ticks = [shown(_in_the_middle(choice, 28)) for choice in names]
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=ticks, autorange="reversed", showgrid=False)
    return Panel(
        name=name,
        title=title,
        finding=_finding(names[0], _means(_cases(table[names[0]]), scores, run.objective), explained),
        caption=f"Random forests of {_NUM_TREES} trees on the choices (what is absent is a choice of its own), "
        f"fitted on four fifths of {len(trials)} finished evaluations and asked for the last fifth in turn: they "
        f"explain {explained:.0%} of the variance there. A bar is what they lose when one choice is shuffled among "
        "those evaluations. Choices that go together share their importance.",
        figure=figure,
    )


def _spread(trials: Sequence[Trial]) -> list[Trial]:
    """So many trials at equal distances: the best alone would be no fair sample."""
    num = min(len(trials), MAX_TRIALS)
    return [trials[place * len(trials) // num] for place in range(num)]


def _cases(values: pd.Series) -> pd.Series:
    """A choice as texts; many numbers are cut into quarters of about as many trials each."""
    if values.dtype != np.float64:
        return values
    cut = pd.qcut(values, _NUM_QUARTERS, duplicates="drop")
    ends = {
        interval: f"{values[cut == interval].min():g} to {values[cut == interval].max():g}" for interval in cut.unique()
    }
    return cut.map(ends).astype(object).where(values.notna(), ABSENT)


def _means(cases: pd.Series, scores: Values, objective: Objective) -> pd.Series:
    """Mean score of each case of a choice, best first."""
    means = pd.Series(scores, cases.index).groupby(cases).mean()
    return means.sort_values(ascending=objective.direction == "minimize", kind="stable")


def _told(values: pd.Series, scores: Values, objective: Objective) -> str:
    cases = _cases(values)
    counts = Counter(cases)
    lines = [
        f"{shown(case, 24)}: mean {number(mean)} of {counts[case]}"
        for case, mean in _means(cases, scores, objective).items()
    ]
    return "<br>".join(lines[:MAX_LEVELS])


def _in_the_middle(text: str, most: int) -> str:
    """A text that is cut, if long, where names that belong together are alike."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def _finding(name: str, means: pd.Series, explained: float) -> str:
    best, worst = ((means.index[place], number(means.iloc[place])) for place in (0, -1))
    return (
        f"{name} tells most of the score, as far as the choices tell it at all ({explained:.0%} of its variance): "
        f"{best[0]} has a mean score of {best[1]}, {worst[0]} of {worst[1]}."
    )
