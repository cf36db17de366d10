import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from boshnas.errors import InputError
from boshnas.surrogates import CombinedSurrogate, GPSurrogate, NPNSurrogate, Surrogate, TeacherStudentSurrogate
from boshnas.surrogates.saving import ARRAYS_FILE, STATE_FILE, load, save

SURROGATES = [
    NPNSurrogate(num_steps=5, random_state=0),
    TeacherStudentSurrogate(num_steps=5, random_state=0),
    GPSurrogate(groups=(0, 0, 1), max_steps=5),
    CombinedSurrogate(num_members=2, num_steps=5, max_steps=5, warm_start=True, random_state=1),
]


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = np.repeat(rng.random((15, 3)), 2, axis=0)
    return X, 90 - np.exp(X[:, 0] * 3) + 0.1 * rng.normal(size=30)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=lambda surrogate: type(surrogate).__name__)
def test_predicts_and_goes_on_the_same(surrogate: Surrogate, tmp_path: Path) -> None:
    X, y = data()
    before = clone(surrogate).fit(X, y)
    save(before, tmp_path / "new" / "folder")
    after = load(tmp_path / "new" / "folder")
    assert after.get_params() == before.get_params()
    for part in ("mean", "epistemic_std", "aleatoric_std"):
        np.testing.assert_allclose(getattr(after.posterior(X), part), getattr(before.posterior(X), part), rtol=1e-10)
    np.testing.assert_allclose(after.fit(X, y).predict(X), before.fit(X, y).predict(X), rtol=1e-6)


def test_an_unfitted_one_stays_unfitted(tmp_path: Path) -> None:
    save(GPSurrogate(max_steps=3), tmp_path)
    with pytest.raises(NotFittedError):
        load(tmp_path).predict(np.zeros((1, 2)))


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: must hold a saved surrogate, got nothing there. Give the folder"):
        load(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: must hold a saved surrogate, got a file"):
        load(tmp_path / "file")


def test_what_is_no_surrogate_is_refused_and_leaves_the_one_that_is_there(tmp_path: Path) -> None:
    X, y = data()
    good = GPSurrogate(max_steps=5).fit(X, y)
    save(good, tmp_path)
    with pytest.raises(
        InputError, match=r"surrogate must be one of NPNSurrogate, .*, got Pipeline\. Of a pipeline, save"
    ):
        save(make_pipeline(StandardScaler(), good), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="settings of GPSurrogate must be plain numbers"):
        save(GPSurrogate(max_steps=5, random_state=np.random.RandomState(0)), tmp_path)  # type: ignore[arg-type]
    np.testing.assert_allclose(load(tmp_path).predict(X), good.predict(X))


def test_settings_may_be_numbers_of_numpy(tmp_path: Path) -> None:
    save(GPSurrogate(max_steps=np.int64(5)), tmp_path)  # type: ignore[arg-type]
    assert load(tmp_path).get_params()["max_steps"] == 5


def test_a_save_that_fails_half_way_leaves_the_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = data()
    good = GPSurrogate(max_steps=5).fit(X, y)
    save(good, tmp_path)

    def fail(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(InputError, match=r"must be a folder that can be written \(No space left on device\)"):
        save(GPSurrogate(max_steps=5).fit(X, -y), tmp_path)
    np.testing.assert_allclose(load(tmp_path).predict(X), good.predict(X))
    assert {path.name for path in tmp_path.iterdir()} == {ARRAYS_FILE, STATE_FILE}


def test_a_file_is_no_folder_to_save_into(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target in ("file", "file/below"):
        with pytest.raises(InputError, match=f"save: .*{target} must be a folder that can be written"):
            save(GPSurrogate(), tmp_path / target)


def test_damaged_arrays(tmp_path: Path) -> None:
    save(GPSurrogate().fit(*data()), tmp_path)
    (tmp_path / ARRAYS_FILE).write_bytes(b"no tensors")
    with pytest.raises(InputError, match="must hold a saved surrogate"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"schema": 99}, "schema of surrogate.json must be 1"), ({"surrogate": {"kind": "X"}}, "'X'")],
)
def test_another_version_or_kind(change: dict[str, object], message: str, tmp_path: Path) -> None:
    save(GPSurrogate().fit(*data()), tmp_path)
    state = json.loads((tmp_path / STATE_FILE).read_text())
    (tmp_path / STATE_FILE).write_text(json.dumps(state | change))
    with pytest.raises(InputError, match=message):
        load(tmp_path)
