import numpy as np

from boshnas.surrogates.teacher_student import TeacherStudentSurrogate


def test_student_follows_the_teachers_deviation() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    surrogate = TeacherStudentSurrogate(random_state=0).fit(X, np.sin(X[:, 0]))
    near, far = surrogate.posterior(X).epistemic_std, surrogate.posterior(4 * X).epistemic_std
    assert far.mean() > 2 * near.mean()


def test_aleatoric_is_one_number() -> None:
    X = np.random.default_rng(0).normal(size=(30, 2))
    noise = TeacherStudentSurrogate(random_state=0).fit(X, X[:, 0]).posterior(X).aleatoric_std
    assert np.ptp(noise) == 0


def test_cross_fit_leaves_out_the_rows_own_value() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    y = rng.normal(size=30)  # nothing to learn: only a row's own value predicts it
    surrogate = TeacherStudentSurrogate(random_state=0)
    out_of_sample = surrogate.cross_fit(X, y, np.arange(30) % 5).mean
    assert np.corrcoef(surrogate.predict(X), y)[0, 1] > 0.5
    assert np.corrcoef(out_of_sample, y)[0, 1] < 0.2
