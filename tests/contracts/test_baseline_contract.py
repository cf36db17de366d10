"""What every baseline promises: the parts of the searcher's contract that a comparison needs."""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest

from boshnas.baselines import RandomSearcher
from boshnas.baselines.base import Baseline
from boshnas.baselines.botorch_gp import BotorchSearcher
from boshnas.baselines.ensemble import EnsembleSearcher
from boshnas.baselines.evolution import EvolutionSearcher
from boshnas.baselines.forest import ForestSearcher
from boshnas.baselines.local_search import LocalSearcher
from boshnas.baselines.optuna_samplers import OptunaGPSearcher, OptunaSearcher, TPESearcher
from boshnas.errors import InputError
from boshnas.pool import Pool

Kind = Baseline | RandomSearcher


def pool(num_rows: int = 40) -> Pool:
    X = np.random.default_rng(0).uniform(0, 1, size=(num_rows, 3))
    return Pool([f"arch{row}" for row in range(num_rows)], X)


def optuna(kind: type[OptunaSearcher]) -> Callable[[Pool, int], Kind]:
    return lambda data, seed: kind(data, {f"x{j}": data.X[:, j].tolist() for j in range(3)}, seed=seed, num_initial=4)


MODES: dict[str, Callable[[Pool, int], Kind]] = {
    "random": lambda data, seed: RandomSearcher(data, seed=seed),
    "evolution": lambda data, seed: EvolutionSearcher(data, seed=seed),
    "local": lambda data, seed: LocalSearcher(data, seed=seed),
    "forest": lambda data, seed: ForestSearcher(data, seed=seed),
    "ensemble": lambda data, seed: EnsembleSearcher(data, seed=seed),
    "tpe": optuna(TPESearcher),
    "optuna_gp": optuna(OptunaGPSearcher),
    "botorch": lambda data, seed: BotorchSearcher(data, seed=seed),
}
needs_botorch = pytest.mark.skipif(find_spec("botorch") is None, reason="botorch is not installed")
each = pytest.mark.parametrize(
    "mode", [pytest.param(mode, marks=needs_botorch if mode == "botorch" else ()) for mode in MODES]
)


def values(search: Kind, ids: list[str]) -> dict[str, float | None]:
    X = search.pool.X[search.pool.rows(ids)]
    return dict(zip(ids, (80 - ((X - 0.3) ** 2).sum(axis=1)).tolist(), strict=True))


def begun(mode: str, num_rows: int = 40, seed: int = 3) -> Kind:
    """A search that was told its first four rows."""
    search = MODES[mode](pool(num_rows), seed)
    search.tell(values(search, search.pool.ids[:4]))
    return search


def run(search: Kind, num_rounds: int, k: int = 1) -> list[str]:
    ids: list[str] = []
    for _ in range(num_rounds):
        ids += (asked := search.ask(k))
        search.tell(values(search, asked))
    return ids


@each
def test_never_proposes_what_is_told_pending_or_failed(mode: str):
    search = begun(mode, num_rows=20)
    taken = set(search.pool.ids[:4])
    pending, failed = search.ask(2), search.ask(2, pending=search.pool.ids[4:8])
    assert not set(failed) & set(search.pool.ids[:8])
    search.tell(dict.fromkeys(failed))
    taken |= {*pending, *failed}
    for _ in range(3):
        asked = search.ask(2, pending=[*pending, "elsewhere"])
        assert len(set(asked)) == 2
        assert not set(asked) & taken
        search.tell(values(search, asked))
        taken |= set(asked)


@each
def test_the_pool_may_run_out(mode: str):
    search = begun(mode, num_rows=9)
    rest = search.ask(100)
    assert sorted(rest) == sorted(search.pool.ids[4:])
    assert search.ask(1, pending=rest) == []


@each
def test_same_seed_same_ids(mode: str):
    assert run(begun(mode), 4) == run(begun(mode), 4)


@pytest.mark.parametrize("mode", ["random", "evolution", "local", "forest", "tpe"])  # the others may well agree
def test_another_seed_other_ids(mode: str):
    assert len({tuple(begun(mode, seed=seed).ask(3)) for seed in range(6)}) > 1


@each
def test_nothing_is_needed_to_begin(mode: str):
    search = MODES[mode](pool(), 0)
    assert len(set(search.ask(3))) == 3
    search.tell({"arch0": 1.0, "arch1": None})
    assert set(search.ask(2)).isdisjoint({"arch0", "arch1"})


@each
def test_equal_values_teach_nothing_but_break_nothing(mode: str):
    search = MODES[mode](pool(), 0)
    search.tell(dict.fromkeys(search.pool.ids[:5], 1.0))
    assert len(search.ask(2)) == 2


@each
def test_wrong_calls_are_refused(mode: str):
    search = begun(mode)
    with pytest.raises(InputError, match="ids must be in the pool, got 'nobody'"):
        search.tell({"nobody": 1.0})
    with pytest.raises(InputError, match=r"objective of 'arch7' must be finite, or None if it failed, got nan"):
        search.tell({"arch7": float("nan")})
    with pytest.raises(InputError, match=r"k must be a whole number, got '2'"):
        search.ask("2")
    with pytest.raises(InputError, match="k must be >= 1, got 0"):
        search.ask(0)
    with pytest.raises(InputError, match="seed must be >= 0, got -1"):
        MODES[mode](pool(), -1)


def test_same_ids_in_a_new_process():
    modes = ["ensemble", "tpe"]
    code = f"""
import sys; sys.path.insert(0, {str(__file__).rsplit("/", 1)[0]!r})
import test_baseline_contract as contract
print(*(id_ for mode in {modes} for id_ in contract.run(contract.begun(mode), 2)))
"""
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.split() == [id_ for mode in modes for id_ in run(begun(mode), 2)]
