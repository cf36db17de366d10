import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from boshnas.baselines import ensemble
from boshnas.baselines.base import Baseline
from boshnas.baselines.botorch_gp import BotorchSearcher
from boshnas.baselines.ensemble import EnsembleSearcher
from boshnas.baselines.evolution import EvolutionSearcher
from boshnas.baselines.forest import ForestSearcher
from boshnas.baselines.local_search import LocalSearcher
from boshnas.baselines.neighbors import nearest
from boshnas.baselines.optuna_samplers import OptunaGPSearcher, TPESearcher
from boshnas.errors import InputError
from boshnas.pool import Pool


def line(num_rows: int = 40) -> Pool:
    """Rows on a line, one apart: each has two neighbours."""
    return Pool([str(row) for row in range(num_rows)], np.arange(num_rows, dtype=np.float64)[:, None])


def grid(num_rows: int = 200) -> Pool:
    return Pool([str(row) for row in range(num_rows)], np.random.default_rng(1).uniform(0, 1, (num_rows, 4)))


def truth(pool: Pool) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(-((pool.X - 0.4) ** 2).sum(axis=1))


def best_found(search: Baseline, num_rounds: int) -> float:
    """Utility of the best after ten random rows and some rounds."""
    values = truth(search.pool)
    seen = [search.pool.ids[row] for row in np.random.default_rng(0).permutation(len(search.pool))[:10]]
    search.tell({id_: float(values[int(id_)]) for id_ in seen})
    for _ in range(num_rounds):
        asked = search.ask(1)
        search.tell({id_: float(values[int(id_)]) for id_ in asked})
        seen += asked
    return float(values[[int(id_) for id_ in seen]].max())


def test_nearest_rows_are_those_within_half_a_step_of_the_least_distance():
    X = np.array([[0.0], [2.0], [2.4], [2.6], [-2.0]])
    assert nearest(X, 0, np.array([1, 2, 3, 4])).tolist() == [1, 2, 4]
    assert nearest(X, 0, np.array([3])).tolist() == [3]


def test_evolution_proposes_neighbours_of_the_best_of_five():
    search = EvolutionSearcher(line(), seed=0)
    search.tell({str(row): float(row) for row in (5, 20)})
    assert set(search.ask(4)) <= {"3", "4", "6", "7", "18", "19", "21", "22"}
    asked = [EvolutionSearcher(line(), seed=seed) for seed in range(40)]
    for each in asked:
        each.tell({"5": 0.0, "20": 1.0})
    num_from_best = sum(each.ask(1)[0] in ("19", "21") for each in asked)
    assert num_from_best > 34  # the worse one wins where it is drawn five times: 1 in 32


def test_evolution_forgets_all_but_the_last_thirty():
    search = EvolutionSearcher(line(100), seed=0)
    search.tell({"90": 1000.0})
    search.tell({str(row): float(row) for row in range(30)})
    assert all(int(id_) < 40 for id_ in search.ask(8))


def test_local_search_climbs_and_then_restarts():
    search = LocalSearcher(line(), seed=0)
    search.tell({"0": 0.0, "20": 5.0})
    assert sorted(search.ask(2)) == ["19", "21"]
    search.tell({"21": 6.0})  # better: the walk moves
    assert search.ask(1) == ["22"]
    search.tell({"22": 5.5})
    (elsewhere,) = search.ask(1)  # 20 and 22 are worse: 21 is a local optimum
    assert int(elsewhere) not in (0, 20, 21, 22)
    search.tell({elsewhere: -1.0})  # worse than all, and yet where the walk goes on
    row = int(elsewhere)
    assert {int(id_) for id_ in search.ask(1)} <= {row - 1, row + 1}


def test_local_search_does_not_wait_for_what_is_in_flight():
    search = LocalSearcher(line(), seed=0)
    search.tell({"0": 0.0, "20": 5.0})
    (elsewhere,) = search.ask(1, pending=["19", "21"])
    assert elsewhere not in ("19", "21")


@pytest.mark.parametrize("kind", [EvolutionSearcher, LocalSearcher, ForestSearcher, EnsembleSearcher])
def test_learning_beats_chance(kind: type[Baseline]):
    values = np.sort(truth(grid()))
    assert best_found(kind(grid(), seed=0), 25) >= values[-5]  # chance reaches it in one run of five


def test_batched_networks_are_independent_and_of_the_asked_shape():
    X, z = torch.rand(12, 3), torch.rand(12)
    parameters = ensemble.train(X, z, torch.Generator().manual_seed(0))
    assert [tuple(array.shape) for array in parameters[:2]] == [(5, 3, 64), (5, 1, 64)]
    assert [tuple(array.shape) for array in parameters[4:]] == [(5, 64, 1), (5, 1, 1)]
    with torch.no_grad():
        said = ensemble.forward(parameters, X)
        for network in range(5):
            layers = [torch.nn.Linear(3, 64), torch.nn.Linear(64, 64), torch.nn.Linear(64, 1)]
            for layer, weights, biases in zip(layers, parameters[0::2], parameters[1::2], strict=True):
                layer.weight.copy_(weights[network].T)
                layer.bias.copy_(biases[network, 0])
            alone = layers[2](layers[1](layers[0](X).relu()).relu()).squeeze(-1)
            torch.testing.assert_close(said[network], alone)
    assert (said - z).square().mean() < 0.5 * z.var()


COLUMNS = {"op": ["a", "b", "a", "c"], "width": [128, 256, 512, 1024], "lr": [0.1, None, 0.3, 0.4]}


def test_each_column_is_one_parameter():
    tpe, gp = (kind(grid(4), COLUMNS) for kind in (TPESearcher, OptunaGPSearcher))
    assert {name: len(kind.choices) for name, kind in tpe._distributions.items()} == {"op": 3, "width": 4, "lr": 4}
    assert isinstance(gp._distributions["width"], FloatDistribution)
    assert isinstance(gp._distributions["op"], CategoricalDistribution)
    assert isinstance(gp._distributions["lr"], CategoricalDistribution)  # it may be absent
    assert gp._places[:, 1].tolist() == pytest.approx([0, 1 / 7, 3 / 7, 1])  # spans a factor of 8: linear


def test_wide_positive_ranges_are_logarithmic():
    gp = OptunaGPSearcher(grid(3), {"lr": [1e-4, 1e-3, 1e-2]})
    assert gp._places[:, 0].tolist() == pytest.approx([0, 0.5, 1])


def test_samplers_are_told_the_row_that_was_measured():
    search = TPESearcher(grid(4), COLUMNS, num_initial=2)
    search.tell({"1": 2.0, "3": 3.0})
    search.ask(2)
    done = search._study.get_trials(states=[TrialState.COMPLETE])
    assert [trial.params for trial in done] == [{"op": 1, "width": 1, "lr": 3}, {"op": 2, "width": 3, "lr": 2}]
    assert [trial.value for trial in done] == [2.0, 3.0]
    assert not search._study.get_trials(states=[TrialState.RUNNING])


def test_a_column_has_a_value_for_each_candidate():
    with pytest.raises(InputError, match="column 'op' must have one value for each of 5 candidates, got 4"):
        TPESearcher(grid(5), COLUMNS)


def test_botorch_takes_its_own_greatest_log_expected_improvement():
    pytest.importorskip("botorch")
    from botorch.acquisition import LogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    pool = grid(60)
    told = list(range(12))
    y = truth(pool)[told]
    search = BotorchSearcher(pool, seed=0)
    search.tell({str(row): float(value) for row, value in zip(told, y, strict=True)})
    unit = torch.tensor((pool.X - pool.X.min(axis=0)) / np.ptp(pool.X, axis=0))
    z = torch.tensor((y - y.mean()) / y.std())
    model = SingleTaskGP(unit[told], z[:, None])
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    with torch.no_grad():
        worth = LogExpectedImprovement(model, best_f=z.max())(unit[12:, None, :])
    assert search.ask(1) == [str(12 + int(worth.argmax()))]


def test_without_botorch_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "botorch", None)
    with pytest.raises(InputError, match=r"must have the package botorch.*-e '\.\[bench\]'"):
        BotorchSearcher(grid())


def test_searching_a_table_does_not_import_the_peers():
    code = "import sys, boshnas.table_command; assert not {'optuna', 'botorch', 'sklearn.ensemble'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
