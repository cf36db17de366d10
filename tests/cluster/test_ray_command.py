"""`python -m boshnas.run` and `python -m boshnas.doctor` on a real Ray cluster."""

import json
import sys
from pathlib import Path

import pytest

from boshnas.doctor.__main__ import main as doctor
from boshnas.run import main

pytestmark = pytest.mark.cluster

EVALUATOR = """
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
job = json.loads(path.read_text())
result = {"number": job["number"], "id": job["id"], "status": "finished", "score": float(sum(job["architecture"]["h"]))}
path.with_name("part").write_text(json.dumps(result))
path.with_name("part").rename(path.with_name("result.json"))
"""


@pytest.fixture
def words(tmp_path: Path, tiny_text: str, ray_cluster: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(tiny_text)
    (tmp_path / "evaluate.py").write_text(EVALUATOR)
    (tmp_path / "ray.yaml").write_text(f"address: {ray_cluster}\nnum_cpus: 1\n")
    evaluator = f"{sys.executable} -S evaluate.py {{job}}"
    executor = ["--executor", "ray", "--executor-config", "ray.yaml"]
    return ["--space", "tiny.yaml", "--out", "run", "--budget", "5", "--evaluator", evaluator, *executor]


def test_a_search_goes_through_ray(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["num_evaluated"], found["num_failed"]) == (5, 0)


def test_a_dry_run_joins_the_cluster_and_leaves_nothing(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert main([*words, "--dry-run"]) == 0
    captured = capsys.readouterr()
    assert "Executor: ray, as many evaluations at a time as fit\n" in captured.out
    assert not Path("run").exists()
    assert main([*words, "--json"]) == 0  # this process has left the cluster again


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_what_no_node_has_is_one_line_and_leaves_nothing(
    words: list[str], capsys: pytest.CaptureFixture[str], dry: tuple[str, ...]
):
    path = Path("ray.yaml")
    path.write_text(path.read_text() + "num_gpus: 4\n")
    assert main([*words, *dry]) == 2
    assert "--executor ray: num_gpus must be" in capsys.readouterr().err.splitlines()[-1]
    assert not Path("run").exists()


def test_the_doctor_looks_at_the_cluster(words: list[str], capsys: pytest.CaptureFixture[str]):
    doctor(["--executor", "ray", "--executor-config", "ray.yaml", "--out", "runs", "--json"])
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert all(check["status"] == "ok" for name, check in checks.items() if name.startswith("ray"))
