"""Distance matrices of each kind, and the folder that keeps them."""

import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from design_space import Architecture, DesignSpace
from design_space.distance import (
    KINDS,
    EditCosts,
    Graphs,
    Kind,
    cached_distances,
    distances,
    edit_distances,
    wl_distances,
)
from design_space.distance.matrix import save_array, triangle_violations
from design_space.encoding import encode

MINI, MIXED = DesignSpace.load("flexibert_mini"), DesignSpace.load("flexibert_2")
SOME = MINI.sample(2, 24, np.random.default_rng(0))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[Kind]:
    """The kinds of the matrices that `cached_distances` has computed so far."""
    kinds: list[Kind] = []

    def noting(space: DesignSpace, kind: Kind, *args: Any, **kwargs: Any) -> NDArray[np.float32]:
        kinds.append(kind)
        return distances(space, kind, *args, **kwargs)

    monkeypatch.setattr("design_space.distance.matrix.distances", noting)
    return kinds


def test_kinds() -> None:
    assert KINDS == ("ged", "wl", "naive")
    costs = EditCosts.of(MINI)
    np.testing.assert_array_equal(distances(MINI, "ged", SOME), edit_distances(Graphs(SOME, costs)))
    np.testing.assert_array_equal(distances(MINI, "wl", SOME), wl_distances(SOME))
    part = edit_distances(Graphs(SOME[:5], costs), Graphs(SOME, costs))
    np.testing.assert_array_equal(distances(MINI, "ged", SOME[:5], SOME), part)
    np.testing.assert_array_equal(distances(MINI, "wl", SOME[:5], SOME), wl_distances(SOME[:5], SOME))


@pytest.mark.parametrize(("space", "level"), [(MINI, 3), (MIXED, 2)], ids=["mini", "mixed"])
def test_naive_is_euclidean_between_encoded_rows(space: DesignSpace, level: int) -> None:
    some = space.sample(level, 12, np.random.default_rng(1))
    rows = encode(space, some)
    plain = [[np.sqrt(((one - other) ** 2).sum()) for other in rows] for one in rows]
    np.testing.assert_allclose(distances(space, "naive", some), plain, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(distances(space, "naive", some[:3], some), plain[:3], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("space", [MINI, MIXED], ids=["mini", "mixed"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_symmetric_float32_matrix_zero_on_the_diagonal_alone(space: DesignSpace, kind: Kind) -> None:
    some = space.sample(2, 30, np.random.default_rng(2))
    matrix = distances(space, kind, some)
    assert (matrix.shape, matrix.dtype) == ((30, 30), np.float32)
    assert (matrix == matrix.T).all()
    assert (np.diag(matrix) == 0).all()
    assert (matrix[~np.eye(30, dtype=bool)] > 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_columns", [None, 7])
def test_progress_ascends_and_ends_with_all_cells(kind: Kind, num_columns: int | None) -> None:
    told: list[tuple[int, int]] = []
    columns = None if num_columns is None else SOME[:num_columns]
    total = distances(MINI, kind, SOME, columns, lambda *cells: told.append(cells)).size
    assert told[-1] == (total, total)
    assert told == sorted(told)


@pytest.mark.parametrize("kind", KINDS)
def test_a_matrix_is_computed_once_and_then_read(tmp_path: Path, computed: list[Kind], kind: Kind) -> None:
    folder = tmp_path / "not" / "there"
    first = np.array(cached_distances(MINI, kind, SOME, folder))
    np.testing.assert_array_equal(first, distances(MINI, kind, SOME))
    [file] = folder.iterdir()
    assert file.name.startswith(f"{kind}-")
    os.utime(file, (1, 1))
    second = cached_distances(MINI, kind, list(SOME), folder)
    np.testing.assert_array_equal(second, first)
    assert second.dtype == np.float32
    assert computed == [kind]
    assert [each.stat().st_mtime for each in folder.iterdir()] == [1]


def test_a_matrix_from_the_folder_cannot_be_written_to(tmp_path: Path) -> None:
    cached_distances(MINI, "naive", SOME, tmp_path)
    matrix = cached_distances(MINI, "naive", SOME, tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 1] = 0


def space_file(path: Path, feed_forward_sizes: str) -> DesignSpace:
    """flexibert_mini with other feed-forward sizes."""
    text = (resources.files("design_space") / "spaces" / "flexibert_mini.yaml").read_text("utf-8")
    path.write_text(text.replace("[512, 1024]", feed_forward_sizes), "utf-8")
    return DesignSpace.load(path)


def test_another_kind_space_choice_of_architectures_or_order_has_its_own_file(
    tmp_path: Path, computed: list[Kind]
) -> None:
    folder = tmp_path / "cache"
    wants: list[tuple[DesignSpace, Kind, list[Architecture]]] = [
        *((MINI, kind, SOME) for kind in KINDS),
        (space_file(tmp_path / "wider.yaml", "[256, 512, 1024]"), "ged", SOME),
        (MINI, "ged", SOME[:-1]),
        (MINI, "ged", SOME[::-1]),
        (MINI, "ged", [*SOME, SOME[0]]),
    ]
    for _ in range(2):
        for number, (space, kind, architectures) in enumerate(wants, start=1):
            matrix = cached_distances(space, kind, architectures, folder)
            np.testing.assert_array_equal(matrix, distances(space, kind, architectures))
            assert len(list(folder.iterdir())) == len(computed) >= number
    assert len(computed) == len(wants)


def test_a_space_of_another_name_with_the_same_choices_shares_the_file(tmp_path: Path, computed: list[Kind]) -> None:
    mine = space_file(tmp_path / "mine.yaml", "[512, 1024]")
    assert mine.name != MINI.name
    for space in (MINI, mine):
        cached_distances(space, "naive", SOME, tmp_path / "cache")
    assert len(computed) == 1


def full_disk(*args: Any, **kwargs: Any) -> None:
    if hasattr(args[0], "write"):
        args[0].write(b"half of it")
    raise OSError("no space left on device")


def interrupted(*args: Any, **kwargs: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "crash"),
    [
        ("numpy.save", full_disk),
        ("numpy.save", interrupted),
        ("os.fsync", full_disk),
        ("os.replace", interrupted),
    ],
)
def test_a_write_that_crashes_leaves_nothing_behind_and_the_next_one_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, crash: Callable[..., None]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(name, crash)
        with pytest.raises((OSError, KeyboardInterrupt)):
            save_array(tmp_path / "matrix.npy", distances(MINI, "naive", SOME))
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_array_equal(cached_distances(MINI, "naive", SOME, tmp_path), distances(MINI, "naive", SOME))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written_to_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("numpy.save", full_disk)
    matrix = cached_distances(MINI, "naive", SOME, tmp_path)
    np.testing.assert_array_equal(matrix, distances(MINI, "naive", SOME))
    assert "the matrix is not kept" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"half of it", None])
def test_a_file_that_cannot_be_read_is_computed_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes | None
) -> None:
    matrix = np.array(cached_distances(MINI, "naive", SOME, tmp_path))
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    np.testing.assert_array_equal(cached_distances(MINI, "naive", SOME, tmp_path), matrix)
    assert "computed anew" in caplog.text
    np.testing.assert_array_equal(np.load(path), matrix)


def test_a_crash_keeps_the_file_that_stood_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "matrix.npy"
    save_array(path, np.ones((2, 2), dtype=np.float32))
    with monkeypatch.context() as patch:
        patch.setattr("numpy.save", full_disk)
        with pytest.raises(OSError, match="no space left"):
            save_array(path, np.zeros((2, 2), dtype=np.float32))
    assert [each.name for each in tmp_path.iterdir()] == ["matrix.npy"]
    np.testing.assert_array_equal(np.load(path), np.ones((2, 2)))
    save_array(path, np.zeros((3, 3), dtype=np.float32))
    assert np.load(path).shape == (3, 3)


def test_triangle_violations_are_counted_beyond_rounding() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 4))
    metric = np.sqrt(((points[:, None] - points) ** 2).sum(axis=2)).astype(np.float32)
    assert triangle_violations(metric, 20_000, rng) == (0, 0.0)
    broken = np.array([[0, 1, 5], [1, 0, 1], [5, 1, 0]], dtype=np.float32)
    number, excess = triangle_violations(broken, 27_000, rng)
    assert number == pytest.approx(27_000 * 2 / 27, rel=0.1)  # 0 to 2 over 1, and back
    assert excess == 3
