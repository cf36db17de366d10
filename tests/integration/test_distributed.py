"""Several processes train as one."""

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pretrain.checkpoints import checkpoints

FLAGS = {
    "--use_cpu": "true",
    "--model_dict": "bert_tiny",
    "--vocab_size": "1024",
    "--max_steps": "6",
    "--logging_steps": "1",
    "--learning_rate": "1e-3",
    "--max_seq_length": "32",
    "--dropout": "0",
    "--disable_tqdm": "true",
}

BOTH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "pretrain"]


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path) -> None:
    alone = [sys.executable, "-m", "pretrain", "--per_device_train_batch_size", "16"]
    for name, command in {"one": alone, "two": [*BOTH, "--per_device_train_batch_size", "8"]}.items():
        flags = FLAGS | {"--output_dir": str(tmp_path / name), "--cache_dir": str(tmp_path / "cache")}
        words = [word for pair in flags.items() for word in pair]
        subprocess.run([*command, *words], check=True, timeout=300)
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("one", "two")]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=1e-5, rtol=0)
    curves = []
    for name in ("one", "two"):
        with (tmp_path / name / "learning_curve.csv").open(newline="") as file:
            curves.append([float(row[part]) for row in csv.DictReader(file) for part in row if row[part]])
    assert curves[0] == pytest.approx(curves[1], abs=1e-5)


@pytest.mark.slow
def test_two_processes_stop_after_the_same_step(tmp_path: Path) -> None:
    out = tmp_path / "out"
    flags = FLAGS | {"--output_dir": str(out), "--cache_dir": str(tmp_path / "cache"), "--max_steps": "100000"}
    with subprocess.Popen(
        [*BOTH, *(word for pair in flags.items() for word in pair)], stderr=subprocess.PIPE, text=True
    ) as run:
        while not (out / "learning_curve.csv").is_file() and run.poll() is None:
            time.sleep(0.2)
        run.send_signal(signal.SIGINT)
        assert run.stderr is not None
        told = run.stderr.read()
    (checkpoint,) = checkpoints(out)
    assert told.count(f"interrupted; checkpoint in {checkpoint}. The same command with --resume goes on.") == 1
    assert {path.name for path in checkpoint.glob("rng_state*")} == {"rng_state_0.pth", "rng_state_1.pth"}
