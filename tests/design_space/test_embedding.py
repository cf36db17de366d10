"""Points whose distances fit the graphs': exact where they can be, close where not, the same each time, and kept."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from design_space import Architecture, DesignSpace, InputError, Layer
from design_space.distance import EditCosts, Graphs, edit_distances
from design_space.embedding import DIMENSIONS, Embedding, Points, classical_scaling, majorise, stress

MINI = DesignSpace.load("flexibert_mini")
SPACES = pytest.mark.parametrize("name", ["flexibert_mini", "flexibert_2"])


@cache
def fitted(name: str) -> tuple[Embedding, list[Architecture]]:
    """An embedding of 80 landmarks, and 40 architectures that are none of them."""
    space = DesignSpace.load(name)
    some = space.sample(2, 120, np.random.default_rng(0))
    return Embedding.fit(space, some[:80], seed=0), some[80:]


def graph_distances(embedding: Embedding, rows: list[Architecture], columns: list[Architecture]) -> Points:
    graphs = Graphs(rows, embedding.costs), Graphs(columns, embedding.costs)
    return edit_distances(*graphs, reorder=False).astype(np.float64)


def test_stress_by_hand() -> None:
    targets = np.array([[0.0, 3.0], [3.0, 0.0]])
    assert stress(targets, targets) == 0
    assert stress(targets, np.array([[0.0, 2.0], [2.0, 0.0]])) == pytest.approx(1 / 3)
    assert stress(2 * targets, 2 * targets + 1 - np.eye(2)) == pytest.approx(1 / 6)


@pytest.mark.parametrize("dimensions", [3, 5])
def test_points_in_three_dimensions_are_recovered_up_to_distance(dimensions: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 3)) * [3, 2, 1]
    targets = cdist(truth, truth)
    points = classical_scaling(targets, dimensions)
    assert points.shape == (40, dimensions)
    np.testing.assert_allclose(cdist(points, points), targets, atol=1e-7)
    np.testing.assert_allclose(points[:, 3:], 0, atol=1e-6)
    from_afar = majorise(targets, points + rng.normal(size=points.shape), 1000)
    np.testing.assert_allclose(cdist(from_afar, from_afar), targets, atol=0.02)  # two spare dimensions converge slowly


def test_a_plain_step_of_majorisation_by_hand() -> None:
    # Two points one apart that should be three apart: x₁ ← ½ (x₁ + x₂ + 3 (x₁ − x₂)/1) = −1, x₂ ← 2.
    points = majorise(np.array([[0.0, 3.0], [3.0, 0.0]]), np.array([[0.0], [1.0]]), 1)
    np.testing.assert_allclose(points - points.mean(), [[-1.5], [1.5]])


@pytest.mark.parametrize("seed", range(5))
def test_plain_steps_never_raise_the_stress(seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = cdist(*[rng.exponential(size=(25, 8))] * 2, "cityblock")
    points = rng.normal(size=(25, 3))
    stresses = [stress(targets, cdist(points, points))]
    for _ in range(60):
        points = majorise(targets, points, 1)
        stresses.append(stress(targets, cdist(points, points)))
    assert all(after <= before * (1 + 1e-12) for before, after in zip(stresses, stresses[1:], strict=False))
    assert stresses[-1] < 0.7 * stresses[0]


@SPACES
def test_majorisation_lowers_the_stress_of_classical_scaling(name: str) -> None:
    embedding, _ = fitted(name)
    landmarks = list(embedding.landmarks)
    targets = graph_distances(embedding, landmarks, landmarks)
    start = classical_scaling(targets, DIMENSIONS)
    assert embedding.stress == stress(targets, cdist(embedding.points, embedding.points))
    assert embedding.stress < 0.8 * stress(targets, cdist(start, start))


def test_coincident_points_stay_finite() -> None:
    targets = np.zeros((6, 6))
    targets[:3, 3:] = targets[3:, :3] = 2.0
    points = majorise(targets, classical_scaling(targets, 2))
    np.testing.assert_allclose(cdist(points, points), targets, atol=1e-6)
    assert np.isfinite(majorise(targets, np.zeros((6, 2)))).all()


@SPACES
def test_distances_of_points_rank_as_those_of_graphs(name: str) -> None:
    embedding, _ = fitted(name)
    landmarks = list(embedding.landmarks)
    pairs = np.triu_indices(len(landmarks), 1)
    distances = cdist(embedding.points, embedding.points)[pairs]
    assert embedding.points.shape == (80, DIMENSIONS)
    assert spearmanr(graph_distances(embedding, landmarks, landmarks)[pairs], distances).statistic > 0.95
    assert embedding.stress < 0.06


@SPACES
def test_new_architectures_are_placed_about_as_well_as_landmarks(name: str) -> None:
    embedding, new = fitted(name)
    placed = embedding.place(new)
    targets = graph_distances(embedding, new, list(embedding.landmarks))
    assert stress(targets, cdist(placed, embedding.points)) < 1.2 * embedding.stress
    pairs = np.triu_indices(len(new), 1)
    between = graph_distances(embedding, new, new)[pairs]
    assert spearmanr(between, cdist(placed, placed)[pairs]).statistic > 0.9


@SPACES
def test_a_landmark_is_placed_near_its_own_point(name: str) -> None:
    embedding, _ = fitted(name)
    off = np.linalg.norm(embedding.place(embedding.landmarks) - embedding.points, axis=1)
    mean = cdist(embedding.points, embedding.points).mean()
    assert off.mean() < 0.05 * mean
    assert off.max() < 0.2 * mean


def test_what_lies_in_the_landmarks_dimensions_is_placed_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    landmarks, truth = rng.normal(size=(30, 4)) + 5, rng.normal(size=(7, 4)) + 5
    some = MINI.sample(1, 37, rng)
    embedding = Embedding(tuple(some[:30]), landmarks, EditCosts.of(MINI), 0.0)
    monkeypatch.setattr("design_space.embedding.edit_distances", lambda *_, **__: cdist(truth, landmarks))
    np.testing.assert_allclose(embedding.place(some[30:]), truth, atol=1e-9)


def test_places_do_not_hang_on_what_is_placed_along_and_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    embedding, new = fitted(MINI.name)
    together = embedding.place(new)
    monkeypatch.setattr("design_space.embedding._BLOCK", 16)
    told: list[tuple[int, int]] = []
    np.testing.assert_allclose(embedding.place(new, lambda *done: told.append(done)), together, atol=1e-9)
    assert told == [(16, 40), (32, 40), (40, 40)]
    np.testing.assert_allclose(embedding.place(new[:1]), together[:1], atol=1e-9)
    assert embedding.place([]).shape == (0, DIMENSIONS)


def test_landmarks_are_drawn_by_the_seed() -> None:
    some = MINI.sample(1, 60, np.random.default_rng(0))
    one, same, other = (Embedding.fit(MINI, some, num_landmarks=25, seed=seed) for seed in (3, 3, 4))
    assert len(set(one.landmarks)) == 25
    assert set(one.landmarks) < set(some)
    assert one.landmarks == same.landmarks != other.landmarks
    np.testing.assert_array_equal(one.points, same.points)


def test_the_same_seed_gives_the_same_points_in_a_new_process() -> None:
    code = """if True:
        import json, numpy as np
        from design_space import DesignSpace
        from design_space.embedding import Embedding
        space = DesignSpace.load("flexibert_mini")
        some = space.sample(2, 60, np.random.default_rng(0))
        embedding = Embedding.fit(space, some, num_landmarks=40, seed=1)
        print(json.dumps(embedding.place(some).tolist()))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    some = MINI.sample(2, 60, np.random.default_rng(0))
    points = Embedding.fit(MINI, some, num_landmarks=40, seed=1).place(some)
    np.testing.assert_allclose(json.loads(done.stdout), points, rtol=0, atol=1e-9)


def test_too_few_landmarks_are_refused() -> None:
    some = MINI.sample(1, 20, np.random.default_rng(0))
    assert Embedding.fit(MINI, some[:17]).points.shape == (17, DIMENSIONS)
    with pytest.raises(InputError, match="embedding: 16 dimensions need more than 16 landmarks, got 16"):
        Embedding.fit(MINI, some[:16])
    with pytest.raises(InputError, match="4 dimensions need more than 4 landmarks, got 3"):
        Embedding.fit(MINI, some, dimensions=4, num_landmarks=3)


def test_an_architecture_of_another_space_is_refused() -> None:
    embedding, _ = fitted(MINI.name)
    with pytest.raises(InputError, match="a position for every label, has none for 'sa_h64_p-sdp'"):
        embedding.place([Architecture((Layer("sa", "sdp", 64, 2, (512,)),))])


@SPACES
def test_save_and_load_round_trip(name: str, tmp_path: Path) -> None:
    embedding, new = fitted(name)
    points = embedding.place(new)
    path = tmp_path / "embedding.npz"
    embedding.save(path, [each.id for each in new], points)
    loaded, by_id = Embedding.load(path)
    assert (loaded.landmarks, loaded.costs, loaded.stress) == (embedding.landmarks, embedding.costs, embedding.stress)
    np.testing.assert_array_equal(loaded.points, embedding.points)
    np.testing.assert_array_equal(loaded.place(new), points)
    assert list(by_id) == [each.id for each in new]
    np.testing.assert_array_equal(list(by_id.values()), points.astype(np.float32))


def saved(path: Path) -> dict[str, Any]:
    """The arrays of a saved embedding."""
    some = MINI.sample(1, 10, np.random.default_rng(0))
    embedding = Embedding.fit(MINI, some, dimensions=4)
    embedding.save(path, [each.id for each in some], embedding.place(some))
    with np.load(path) as content:
        return dict(content)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as error:
        Embedding.load(path)
    return str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: b"hello\nthere\n",
        lambda content: content[: len(content) // 2],
        lambda content: content[:200] + bytes(200) + content[400:],
        lambda content: b"PK\x03\x04" + content[500:700],
    ],
    ids=["empty", "text", "half", "damaged", "start of a zip"],
)
def test_what_is_no_whole_file_is_refused_in_one_line(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "embedding.npz"
    saved(path)
    path.write_bytes(change(path.read_bytes()))
    message = refusal(path)
    assert message.startswith(f"{path}: must be a file that `embed` wrote (")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ids", None),
        ("landmark_points", None),
        ("landmark_points", np.ones((3, 4))),
        ("landmark_points", np.full((10, 4), np.nan)),
        ("landmarks", np.arange(10)),
        ("landmarks", np.array(["{}"] * 10)),
        ("labels", np.array(["input"])),
        ("points", np.ones((3, 4))),
        ("stress", np.array("low")),
        ("ids", np.array([{}] * 10, dtype=object)),  # pickled: never read
    ],
)
def test_another_content_is_refused_in_one_line(tmp_path: Path, name: str, value: Any) -> None:
    arrays = saved(tmp_path / "embedding.npz")
    path = tmp_path / "other.npz"
    np.savez(path, **{key: array for key, array in {**arrays, name: value}.items() if array is not None})
    message = refusal(path)
    assert message.startswith(f"{path}: must be a file that `embed` wrote (")
    assert "\n" not in message


def test_another_kind_of_file_a_folder_and_no_file_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.ones(3))
    for path in (tmp_path / "array.npy", tmp_path, tmp_path / "none.npz"):
        assert refusal(path).startswith(f"{path}: must be a file that `embed` wrote (")
