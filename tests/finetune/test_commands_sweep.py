"""`python -m finetune sweep`: every combination is run, told and drawn; what cannot be run is named."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from design_space.errors import InputError
from finetune.__main__ import main
from finetune.commands import sweep


@pytest.fixture
def sweep_flags(flags: Callable[..., list[str]], tmp_path: Path) -> Callable[..., list[str]]:
    """Words of a small sweep into the folder `out`, further ones appended."""
    return lambda *further: flags("--output_dir", str(tmp_path / "out"), *further, command="sweep")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run combinations in this process, which has imported all."""

    def in_this_process(do: Callable[[Any], Any], items: Iterable[Any], *_: Any, **__: Any) -> list[Any]:
        return [do(item) for item in items]

    monkeypatch.setattr(sweep, "each_alone", in_this_process)


@pytest.mark.usefixtures("here")
def test_every_combination_is_in_the_table_with_its_costs(
    sweep_flags: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--optim", "adamw,mfac", "--optim_args", "mfac:num_grads=8", "--tuning", "full,head")
    main(sweep_flags(*arguments, "--num_runs", "2"))
    table = capsys.readouterr().out
    names = {line.split("|")[1].strip() for line in table.splitlines()[2:]}
    assert names == {"adamw-full", "adamw-head", "mfac-full", "mfac-head"}
    head, full = (next(line for line in table.splitlines() if f"adamw-{name} " in line) for name in ("head", "full"))
    assert "(100.00%)" in full
    assert "(100.00%)" not in head
    assert "±" in full
    assert "MiB" in full
    out = tmp_path / "out"
    assert (out / "sweep.md").read_text() == table
    assert Image.open(out / "sweep.png").size[0] > 500
    setting = json.loads((out / "mfac-head" / "result.json").read_text())["tasks"][0]["setting"]
    assert (setting["optim"], setting["optim_args"], setting["learning_rate"]) == ("mfac", "num_grads=8", 1e-3)


@pytest.mark.usefixtures("here")
def test_rates_make_combinations_of_their_own(
    sweep_flags: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(sweep_flags("--learning_rate", "1e-3,1e-2", "--json"))
    found = json.loads(capsys.readouterr().out)
    assert list(found["combinations"]) == ["adamw-full-1e-3", "adamw-full-1e-2"]
    assert found["combinations"]["adamw-full-1e-2"]["tasks"][0]["setting"]["learning_rate"] == 1e-2
    assert found["failed"] == {}


@pytest.mark.usefixtures("here")
def test_what_cannot_be_run_is_told_and_the_others_go_on(
    sweep_flags: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(sweep_flags("--tuning", "head,prompt", "--num_virtual_tokens", "4", "--learning_rate", "1e-3,1e38"))
    told = capsys.readouterr()
    table, reasons = told.out.split("\n\n", 1)
    assert {line.split("|")[1].strip() for line in table.splitlines()[2:]} == {"adamw-head-1e-3", "adamw-prompt-1e-3"}
    assert [line.partition(": left out: ")[0] for line in reasons.splitlines() if line] == [
        "adamw-head-1e38",
        "adamw-prompt-1e38",
    ]
    assert "left out: 2 of 4 combinations" in told.err


@pytest.mark.usefixtures("here")
def test_runs_that_are_done_are_taken(
    sweep_flags: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(sweep_flags("--tuning", "head"))
    before = (tmp_path / "out" / "adamw-head" / "run-42.json").stat().st_mtime_ns
    main(sweep_flags("--tuning", "head,bitfit", "--resume"))
    assert (tmp_path / "out" / "adamw-head" / "run-42.json").stat().st_mtime_ns == before
    assert len(json.loads((tmp_path / "out" / "sweep.json").read_text())["combinations"]) == 2
    before_mistake = (tmp_path / "out" / "sweep.json").read_bytes()
    with pytest.raises(InputError, match="^--resume: .*adamw-head holds runs with weight_decay 0.01, got 0.5"):
        main(sweep_flags("--tuning", "head", "--weight_decay", "0.5", "--resume"))
    assert (tmp_path / "out" / "sweep.json").read_bytes() == before_mistake
    with pytest.raises(InputError, match="^--output_dir: .* holds a sweep already"):
        main(sweep_flags("--tuning", "head"))


@pytest.mark.usefixtures("here")
def test_without_any_result_the_reason_is_the_refusal(sweep_flags: Callable[..., list[str]], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="^sweep: no combination could be run; adamw-prompt: --num_virtual_tokens: "):
        main(sweep_flags("--tuning", "prompt", "--num_virtual_tokens", "5000"))
    assert not (tmp_path / "out" / "sweep.json").exists()
    main(sweep_flags("--tuning", "prompt", "--num_virtual_tokens", "4", "--resume"))  # nothing was done: may differ
    assert (tmp_path / "out" / "sweep.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--optim", "adamw,adman"], "^--optim: must be one of adamw, .*, got 'adman'"),
        (["--tuning", "adaptor"], "argument --tuning: invalid choice: 'adaptor'"),
        (["--tuning", ","], "^--tuning: must name at least one, got ','"),
        (["--learning_rate", ","], "^--learning_rate: must name at least one"),
        (
            ["--optim_args", "adamw:eps=1e-6;adamw:eps=1e-7"],
            r"with a name of --optim \(adamw\) once, got 'adamw:eps=1e-7'",
        ),
        (["--do_eval"], "^sweep: must train, which --do_eval and --do_predict alone do not"),
        (["--optim_args", "num_grads=8"], "^--optim_args: must be NAME:ARGUMENTS with a name of --optim"),
        (["--optim", "mfac", "--optim_args", "mfac:window=8"], "^--optim_args: must be arguments of mfac"),
        (["--learning_rate", "fast"], "argument --learning_rate.*: invalid float value: 'fast'"),
        (["--parallel", "0"], "^--parallel: must be at least 1"),
        (["--task", "sst2"], "unknown flag '--task'"),
    ],
)
def test_flags_are_refused_before_anything_runs(
    words: list[str], message: str, sweep_flags: Callable[..., list[str]], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        main(sweep_flags(*words))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_combinations_run_in_processes_of_their_own(sweep_flags: Callable[..., list[str]], tmp_path: Path) -> None:
    main(sweep_flags("--tuning", "head,prompt", "--num_virtual_tokens", "4", "--parallel", "2"))
    found = json.loads((tmp_path / "out" / "sweep.json").read_text())["combinations"]
    assert set(found) == {"adamw-head", "adamw-prompt"}
    assert all(one["tasks"][0]["runs"][0]["peak_memory_bytes"] > 0 for one in found.values())
