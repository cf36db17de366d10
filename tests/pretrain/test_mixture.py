"""Mixtures: nothing lost, nothing twice, weights are shares, the same order for the same seed."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from design_space.errors import InputError
from pretrain import hub
from pretrain.config import Source
from pretrain.mixture import Mixture


def make(folder: Path, **sizes: int) -> dict[str, Source]:
    """One file for each name, with so many documents "name number"."""
    for name, size in sizes.items():
        (folder / f"{name}.txt").write_text("".join(f"{name} {number}\n" for number in range(size)))
    return {name: Source(source=str(folder / f"{name}.txt")) for name in sizes}


def weighted(source: Source, weight: float) -> Source:
    return source.model_copy(update={"weight": weight})


def test_one_source_keeps_its_order(tmp_path: Path):
    mixture = Mixture([make(tmp_path, a=100)["a"]])
    assert list(mixture) == [f"a {number}" for number in range(100)]
    assert list(mixture) == list(mixture)


def test_several_lose_no_document_and_repeat_none(tmp_path: Path):
    sources = make(tmp_path, a=500, b=70, c=1)
    documents = list(Mixture(list(sources.values())))
    assert Counter(documents) == Counter(
        f"{name} {i}" for name, n in (("a", 500), ("b", 70), ("c", 1)) for i in range(n)
    )
    # Each source keeps its own order.
    assert [text for text in documents if text.startswith("b")] == [f"b {number}" for number in range(70)]


def test_weights_are_the_shares_while_all_sources_last(tmp_path: Path):
    sources = make(tmp_path, a=30_000, b=30_000)
    documents = list(Mixture([weighted(sources["a"], 3.0), weighted(sources["b"], 1.0)]))[:16_000]
    # A thousand draws of sixteen: a standard deviation of 0.014.
    assert sum(text.startswith("a") for text in documents) / 16_000 == pytest.approx(0.75, abs=0.06)


def test_the_seed_decides_the_order_and_the_scale_of_weights_does_not(tmp_path: Path):
    a, b = make(tmp_path, a=300, b=300).values()
    first = list(Mixture([a, b], seed=1))
    assert first == list(Mixture([a, b], seed=1))
    assert first != list(Mixture([a, b], seed=2))
    assert first == list(Mixture([weighted(a, 5.0), weighted(b, 5.0)], seed=1))


def test_duplicates_are_dropped_within_and_between_sources(tmp_path: Path):
    (tmp_path / "a.txt").write_text("x\ny\nx\n")
    (tmp_path / "b.txt").write_text("y\nz\n")
    assert list(Mixture.of([str(tmp_path / "a.txt")])) == ["x", "y"]
    assert sorted(Mixture.of([str(tmp_path / name) for name in ("a.txt", "b.txt", "a.txt")])) == ["x", "y", "z"]


def test_each_source_has_its_own_column(tmp_path: Path):
    (tmp_path / "a.csv").write_text("body,text\none,no\n")
    (tmp_path / "b.csv").write_text("body,text\nno,two\n")
    sources = [Source(source=str(tmp_path / "a.csv"), column="body"), Source(source=str(tmp_path / "b.csv"))]
    assert sorted(Mixture(sources)) == ["one", "two"]


def test_hub_and_files_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "load_dataset", lambda *_, **__: [{"text": f"hub {number}"} for number in range(40)])
    monkeypatch.setattr(hub, "dataset_info", lambda *_, **__: SimpleNamespace(sha="1"))
    documents = list(Mixture([make(tmp_path, a=40)["a"], Source(source="owner/name")]))
    assert Counter(text.split()[0] for text in documents) == {"a": 40, "hub": 40}


def test_what_is_not_asked_for_is_not_read(tmp_path: Path):
    sources = make(tmp_path, a=1_000, b=1_000)
    (tmp_path / "c.txt").write_bytes(b"c\n" * 200_000 + b"\xff")
    documents = iter(Mixture([*sources.values(), Source(source=str(tmp_path / "c.txt"))]))
    assert next(documents)
    documents.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", [1, 2])
def test_what_is_wrong_in_a_source_is_told_as_it_is(tmp_path: Path, number: int):
    (tmp_path / "bad.txt").write_bytes(b"good\n" * 100 + b"\xff\n")
    sources = [Source(source=str(tmp_path / "bad.txt")), make(tmp_path, a=10)["a"]][:number]
    with pytest.raises(InputError, match=r"bad\.txt: line 101, byte 1: must be UTF-8 text, is not"):
        list(Mixture(sources))


def test_refuses_a_source_that_does_not_exist_before_anything_is_read(tmp_path: Path):
    with pytest.raises(InputError, match=r"absent\.txt: no such file or folder"):
        Mixture([*make(tmp_path, a=1).values(), Source(source=str(tmp_path / "absent.txt"))])


def test_refuses_a_mixture_of_nothing():
    with pytest.raises(InputError, match="corpus: must have at least one source, has none"):
        Mixture([])


def test_digests_are_those_of_the_sources(tmp_path: Path):
    sources = make(tmp_path, a=1, b=2)
    one, two, none = Mixture([*sources.values(), Source(source="owner/name")]).digests
    assert one != two
    assert none is None
