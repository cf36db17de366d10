import numpy as np

from boshnas.surrogates.teacher_student import TeacherStudentSurrogate


def test_student_follows_the_teachers_deviation() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    surrogate = TeacherStudentSurrogate(random_state=0).fit(X, np.sin(X[:, 0]))
    near, far = surrogate.posterior(X).epistemic_std, surrogate.posterior(4 * X).epistemic_std
    assert far.mean() > 2 * near.mean()


def test_aleatoric_is_one_number() -> None:
    X = np.linspace(-1, 1, 30)[:, None]
    noise = TeacherStudentSurrogate(random_state=0).fit(X, X[:, 0]).posterior(X).aleatoric_std
    np.testing.assert_allclose(noise, noise[0])


def test_noisy_rows_count_less() -> None:
    X, y = np.repeat([[0.0], [1.0]], 2, axis=0), np.array([0.0, 10.0, 0.0, 10.0])
    surrogate = TeacherStudentSurrogate(random_state=0).fit(X, y, noise_std=[0.1, 50.0, 0.1, 50.0])
    assert surrogate.predict([[0.0]])[0] < 3
