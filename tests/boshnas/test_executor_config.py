import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from boshnas.errors import InputError
from boshnas.executors.config import SETTINGS, load_executor_config
from boshnas.executors.local_settings import LocalSettings
from boshnas.executors.ray.settings import RaySettings


def load(tmp_path: Path, content: str | bytes, name: str = "ray") -> BaseModel:
    path = tmp_path / "executor.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_executor_config(name, path)


def test_a_file_is_read_and_nothing_is_the_defaults(tmp_path: Path):
    assert load(tmp_path, "num_cpus: 2\naddress: head:6379\n") == RaySettings(num_cpus=2, address="head:6379")
    assert load(tmp_path, "# nothing yet\n") == RaySettings()
    assert load_executor_config("local", None) == LocalSettings()


def test_gpus_may_be_written_as_numbers(tmp_path: Path):
    assert load(tmp_path, "gpus: [0, MIG-1]", "local") == LocalSettings(gpus=("0", "MIG-1"))


@pytest.mark.parametrize("name", SETTINGS)
def test_every_misspelt_key_is_refused_with_the_nearest(tmp_path: Path, name: str):
    for field in SETTINGS[name].model_fields:
        with pytest.raises(
            InputError, match=rf"{field}x is no setting of the executor '{name}'. Did you mean '{field}'"
        ):
            load(tmp_path, f"{field}x: 1", name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("zzz: 1", "zzz is no setting of the executor 'ray'. There are address, num_cpus, "),
        ("num_cpus: many", "num_cpus must be a number, got 'many'. Correct it."),
        ("num_cpus: -1", "num_cpus must be above 0, got -1. Correct it."),
        ("num_cpus: .nan", "num_cpus must be a finite number, got nan"),
        ("max_in_flight: 1.5", "max_in_flight must be a whole number, got 1.5"),
        ("address: head", "address must be 'auto' or HOST:PORT, got 'head'"),
        ("address: 6379", "address must be text in quotes, got 6379"),
        ("max_in_flight: x", "max_in_flight must be a whole number, got 'x'. Correct it."),
        ("max_retries: -1", "max_retries must be at least 0, got -1"),
        (
            "num_cpus: 1\nnum_gpus: 0\nnum_cpus: 2",
            "key 'num_cpus' stands twice, the second time in line 3",
        ),
        ("[1]: 2", "a name must be text, got a sequence in line 1"),
        ("a: 1\n? {b: 1}\n: 2", "a name must be text, got a mapping in line 2"),
        ("[1, 2]", "must hold one mapping of names to values, got list"),
        ("local", "must hold one mapping of names to values, got str"),
        ("1: 2", "executor.yaml: a name must be text, got 1. Write lines"),
        ("yes: 2", "executor.yaml: a name must be text, got True. Write lines"),
        ("a: [", "must be YAML: while parsing a flow node .* in line 1, column 5"),
        ("a: 1\n---\nb: 1", "must be YAML: "),
        (b"\xff\xfe\x00", "must be YAML: "),
        ("time: 2026-13-45", "must be YAML: month must be in 1..12"),
        ("num_cpus: " + "9" * 5000, "must be YAML: Exceeds the limit"),
        ("[" * 3000, "must be YAML, got too many levels"),
        ("!!python/object/apply:os.system ['true']", "must be YAML: "),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, content: str | bytes, message: str):
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, content)
    assert str(caught.value).startswith("--executor-config: ")
    assert "\n" not in str(caught.value)
    assert "byte string" not in str(caught.value)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_number_that_cannot_be_meant_is_refused(tmp_path: Path, name: str):
    fields = SETTINGS[name].model_fields.items()
    numbers = [field for field, info in fields if re.search(r"\b(int|float)\b", str(info.annotation))]
    assert len(numbers) >= 4
    for field in numbers:
        for value in ("true", ".inf", ".nan", "9" * 26, f"'{'9' * 26}'", "'2'"):
            with pytest.raises(InputError, match=f"{field} must be (a|at most) .*, got "):
                load(tmp_path, f"{field}: {value}", name)
    assert load(tmp_path, "\n".join(f"{field}: 2" for field in numbers), name)


@pytest.mark.parametrize(
    ("word", "rule"),
    [
        ("--gpus 2", "must be --name or --name=value"),
        ("--mem=3G", "has a key of its own, mem"),
        ("--array=0-3", "is for the executor to say"),
    ],
)
def test_a_word_for_sbatch_that_is_refused_is_told_once(tmp_path: Path, word: str, rule: str):
    with pytest.raises(InputError) as caught:
        load(tmp_path, f"extra: [--exclusive, '{word}']", "slurm")
    assert str(caught.value).endswith(f"executor.yaml: extra.1 {rule}, got '{word}'. Correct it.")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path):
    with pytest.raises(InputError, match="none.yaml cannot be read: No such file"):
        load_executor_config("ray", tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_executor_config("ray", tmp_path)


def test_an_unknown_executor_is_told():
    with pytest.raises(InputError, match=r"--executor: must be one of .*, got 'rai'. Did you mean 'ray'\?"):
        load_executor_config("rai", None)
