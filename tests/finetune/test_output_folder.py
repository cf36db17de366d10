"""A folder is filled by one command at a time, and what it holds is not written over."""

import subprocess
import sys
from pathlib import Path

import pytest

from design_space.errors import InputError
from finetune.output_folder import output_folder, require_free


def test_two_commands_do_not_fill_one_folder(tmp_path: Path) -> None:
    refused = pytest.raises(InputError, match="must be filled by one command at a time")
    with output_folder(tmp_path), refused, output_folder(tmp_path):
        pytest.fail("both are in")
    with output_folder(tmp_path):
        pass


def test_another_process_holds_it_until_it_is_killed(tmp_path: Path) -> None:
    hold = (
        "import sys, time; from pathlib import Path; from finetune.output_folder import output_folder\n"
        "with output_folder(Path(sys.argv[1])): print('in', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(InputError, match="another one is at it"), output_folder(tmp_path):
            pytest.fail("both are in")
        holder.kill()
    with output_folder(tmp_path):
        pass


def test_processes_of_one_command_share_it(tmp_path: Path) -> None:
    with output_folder(tmp_path), output_folder(tmp_path, is_first=False):
        pass


def test_who_interrupts_is_told_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), output_folder(tmp_path / "new"):
        raise KeyboardInterrupt
    told = f"What is done is kept in {tmp_path}/new. The same command with --resume goes on.\n"
    assert capsys.readouterr().err == told


def test_nothing_is_made_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with output_folder(None):
        pass
    require_free("", resume=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "what"), [("result.json", "a result"), ("run-1.json", "runs"), ("a/run-2.json", "runs")]
)
def test_results_are_not_written_over_unless_they_are_gone_on_with(tmp_path: Path, place: str, what: str) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).touch()
    with pytest.raises(InputError, match=f"holds {what} already. Give another folder, or --resume"):
        require_free(str(tmp_path), resume=False)
    require_free(str(tmp_path), resume=True)
