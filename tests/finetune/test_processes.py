"""Processes of `torchrun` and of `--parallel`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from finetune.processes import each_alone


@pytest.mark.slow
@pytest.mark.parametrize(
    ("further", "weights"),
    [
        ({}, "modeling_flexibert.py"),
        ({"--tuning": "adapter", "--optim": "mfac", "--optim_args": "num_grads=4"}, "delta.safetensors"),
    ],
    ids=["full", "adapters by M-FAC"],
)
def test_two_processes_leave_what_one_leaves(
    further: dict[str, str], weights: str, checkpoint: str, tmp_path: Path
) -> None:
    flags = {
        "--model_name_or_path": checkpoint,
        "--task_name": "sst2",
        "--data": "demo",
        "--max_seq_length": "32",
        "--max_train_samples": "64",
        "--max_eval_samples": "33",
        "--num_train_epochs": "2",
        "--per_device_train_batch_size": "8",
        "--early_stopping_patience": "1",
        "--num_runs": "2",
        "--output_dir": str(tmp_path / "out"),
        "--use_cpu": "true",
        "--json": "true",
    }
    words = [word for pair in (flags | further).items() for word in pair]
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
        "-m",
        "finetune",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*torchrun, *words], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert [run["num_steps"] for run in result["tasks"][0]["runs"]] == [8, 8]  # 64 rows, 16 a step, 2 epochs
    names = [".lock", "model", "result.json", "result.md", "run-42.json", "run-43.json", "setting.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert (tmp_path / "out" / "model" / weights).exists()
    plain = [word for pair in flags.items() for word in pair]
    again = [sys.executable, "-m", "finetune", *plain, "--model_name_or_path", str(tmp_path / "out" / "model")]
    alone = [*again, "--do_eval", "--output_dir", str(tmp_path / "alone"), "--num_runs", "1"]
    scored = json.loads(subprocess.run(alone, env=environment, capture_output=True, text=True, timeout=300).stdout)
    best = max(run["score"] for run in result["tasks"][0]["runs"])
    assert scored["tasks"][0]["mean"]["score"] == best


@pytest.mark.slow
def test_workers_end_with_a_command_that_is_killed(checkpoint: str, tmp_path: Path) -> None:
    flags = {
        "--model_name_or_path": checkpoint,
        "--data": "demo",
        "--tasks": "cola,sst2",
        "--max_steps": "100000",
        "--parallel": "2",
        "--output_dir": str(tmp_path / "out"),
        "--use_cpu": "true",
    }
    words = [word for pair in flags.items() for word in pair]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "finetune", "glue", *words], env=environment, stderr=subprocess.DEVNULL
    ) as command:
        try:
            deadline = time.monotonic() + 120
            while len(list((tmp_path / "out").glob("*/.run-*"))) < 2:
                assert command.poll() is None, "ended before it trained"
                assert time.monotonic() < deadline, "did not train"
                time.sleep(0.5)
            workers = psutil.Process(command.pid).children(recursive=True)
        finally:
            command.kill()
    assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=30)
    for worker in alive:
        worker.kill()
    assert not alive


def _square_or_die(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


@pytest.mark.slow
@pytest.mark.parametrize("num_parallel", [1, 2])
def test_a_piece_whose_process_dies_leaves_the_others_alone(num_parallel: int) -> None:
    assert each_alone(_square_or_die, [1, 2, 3], num_parallel) == [1, None, 9]
