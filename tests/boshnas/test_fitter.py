import threading
from collections.abc import Sequence

import numpy as np
import pytest

from boshnas.fitter import MAX_ROWS, Fitter, Measured
from boshnas.pool import Pool
from boshnas.surrogates import CombinedSurrogate, GPSurrogate, Surrogate

RNG = np.random.default_rng(3)
X = RNG.uniform(size=(1500, 3))
Y = np.sin(4 * X[:, 0]) + X[:, 1] ** 2
POOL = Pool([str(row) for row in range(len(X))], X)


def measured(count: int) -> list[Measured]:
    return [Measured(str(row), float(Y[row]), float("nan")) for row in range(count)]


class Recorder:
    """Notes how many rows each fit and each conditioning was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fits: list[int] = []
        self.conditions: list[int] = []
        fit, condition = Surrogate.fit, Surrogate.condition

        def noting_fit(surrogate: Surrogate, X: Sequence[float], y: Sequence[float], noise: object = None) -> Surrogate:
            self.fits.append(len(y))
            return fit(surrogate, X, y, noise)  # type: ignore[arg-type]

        def noting(surrogate: Surrogate, X: Sequence[float], y: Sequence[float], noise: object = None) -> Surrogate:
            self.conditions.append(len(y))
            return condition(surrogate, X, y, noise)  # type: ignore[arg-type]

        monkeypatch.setattr(Surrogate, "fit", noting_fit)
        monkeypatch.setattr(Surrogate, "condition", noting)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


def fitter(in_background: bool = False) -> Fitter:
    return Fitter(GPSurrogate(max_steps=3), POOL, seed=0, in_background=in_background)


def test_up_to_200_results_each_is_fitted_to(recorder: Recorder):
    fitting = fitter()
    fitting.fitted(measured(119))
    fitting.fitted(measured(120))
    assert recorder.fits == [118, 119, 120]  # the first is what both start from
    assert recorder.conditions == []


def test_later_ones_are_conditioned_on_until_there_are_two_percent_more(recorder: Recorder):
    fitting = fitter()
    fitting.fitted(measured(400))
    before = len(recorder.fits)
    for count in range(401, 408):
        fitting.fitted(measured(count))
    assert len(recorder.fits) == before
    assert recorder.conditions == list(range(401, 408))
    fitting.fitted(measured(408))
    assert recorder.fits[before:] == [408]


def test_a_conditioned_surrogate_knows_the_new_results():
    fitting = fitter()
    fitting.fitted(measured(400))
    new = X[400:403]
    surprised = [Measured(entry.id, 9.0, 1e-3) for entry in measured(403)[400:]]
    surrogate = fitting.fitted([*measured(400), *surprised])
    assert np.allclose(surrogate.predict(new), 9.0, atol=0.5)


@pytest.mark.parametrize("count", [405, 1203])
def test_a_resumed_search_has_the_same_surrogate(count: int):
    first = fitter()
    for number in (399, 401, count - 1, count):
        surrogate = first.fitted(measured(number))
    again = fitter().fitted(measured(count))
    assert np.array_equal(surrogate.predict(X[:50]), again.predict(X[:50]))


def test_a_search_learns_from_the_best_half_of_what_it_may(recorder: Recorder):
    fitting = fitter()
    count = MAX_ROWS + 203
    surrogate = fitting.fitted(measured(count))
    assert max(recorder.fits + recorder.conditions) <= MAX_ROWS + count // 50
    assert isinstance(surrogate, GPSurrogate)
    rows = surrogate.process_.rows.numpy()
    best = np.argsort(-Y[: count - count % 14])[: MAX_ROWS // 2]
    scaled = (X - surrogate.x_offset_) / surrogate.x_scale_
    kept = {tuple(row) for row in rows.round(9).tolist()}
    assert all(tuple(row) in kept for row in scaled[best].round(9).tolist())


def test_in_the_background_a_proposal_never_waits_for_a_fit(monkeypatch: pytest.MonkeyPatch):
    fitting = fitter(in_background=True)
    first = fitting.fitted(measured(20))
    release, entered = threading.Event(), threading.Event()
    learn = Fitter._learn

    def slow(self: Fitter, results: Sequence[Measured]) -> None:
        entered.set()
        assert release.wait(10)
        learn(self, results)

    monkeypatch.setattr(Fitter, "_learn", slow)
    surrogate = fitting.fitted([*measured(20), Measured("700", 9.0, 1e-3)])
    assert surrogate is not first
    assert surrogate.predict(X[700:701])[0] == pytest.approx(9.0, abs=0.5)  # conditioned while the fit goes on
    assert entered.wait(10)
    assert fitting._fit[0] == 20
    release.set()
    assert fitting._thread is not None
    fitting._thread.join(10)
    assert fitting._fit[0] == 21


def test_a_fit_that_fails_in_the_background_is_told_and_the_last_one_serves(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    fitting = fitter(in_background=True)
    fitting.fitted(measured(20))

    def fail(self: Fitter, results: Sequence[Measured]) -> None:
        raise ValueError("not positive definite")

    monkeypatch.setattr(Fitter, "_learn", fail)
    surrogate = fitting.fitted(measured(21))
    assert fitting._thread is not None
    fitting._thread.join(10)
    assert np.isfinite(surrogate.predict(X[:5])).all()
    assert "could not be fitted to 21 results" in caplog.text


def test_conditioning_on_the_rows_of_the_fit_changes_nothing():
    surrogate = CombinedSurrogate(random_state=0).fit(X[:60], Y[:60])
    before = surrogate.posterior(X[60:90])
    surrogate.condition(X[:60], Y[:60])
    after = surrogate.posterior(X[60:90])
    assert np.allclose(before.mean, after.mean, atol=1e-9)
    assert np.allclose(before.epistemic_std, after.epistemic_std, atol=1e-9)


def test_in_the_background_a_resumed_search_begins_with_a_fit_to_some_of_its_results(recorder: Recorder):
    fitting = fitter(in_background=True)
    surrogate = fitting.fitted(measured(900))
    assert (recorder.fits[0], recorder.conditions[0]) == (200, MAX_ROWS)
    assert np.abs(surrogate.predict(X[:900]) - Y[:900]).mean() < 0.2
    assert fitting._thread is not None
    fitting._thread.join(30)
    assert fitting._fit[0] == 900
