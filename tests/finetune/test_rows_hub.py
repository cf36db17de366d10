"""Data sets of the hub: asked once, the local copy without it, and one line where there is neither."""

import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pytest

from design_space.errors import InputError
from finetune.rows.hub import load_from_hub
from pretrain import hub
from pretrain.hub import HubSet

ROWS = [{"text": "a", "label": 1}, {"text": "b", "label": 0}]


@pytest.fixture
def out_of_reach(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A hub that answers nobody; the time limits that it was asked with."""
    limits = []

    def ask(name: str, timeout: float) -> None:
        limits.append(timeout)
        raise ConnectionError("Name or service not known\nsecond line")

    monkeypatch.setattr(hub, "dataset_info", ask)
    return limits


@pytest.fixture
def local_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of `owner/name` with the splits train and test, laid as `datasets` lays what it downloads."""
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    files = {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "test")}
    datasets.load_dataset("json", data_files=files, cache_dir=str(tmp_path / "built"))
    (built,) = {path.parent for path in (tmp_path / "built").rglob("*.arrow")}
    folder = tmp_path / "cache" / "owner___name" / "default" / "0.0.0" / "0123"
    shutil.copytree(built, folder)
    for path in folder.glob("json-*"):
        path.rename(path.with_name(path.name.replace("json-", "name-")))
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps(info | {"config_name": "default", "dataset_name": "name"}))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_a_hub_in_reach_is_asked_for_name_configuration_and_split(monkeypatch: pytest.MonkeyPatch):
    asked = []

    def load(name: str, config: str | None, split: str | None) -> list[dict[str, Any]]:
        asked.append((name, config, split, datasets.config.HF_HUB_OFFLINE))
        return ROWS

    monkeypatch.setattr(hub, "dataset_info", lambda name, timeout: SimpleNamespace(sha="0"))
    monkeypatch.setattr(datasets, "load_dataset", load)
    assert load_from_hub(HubSet("owner/name", "config"), "test") == ROWS
    assert load_from_hub(HubSet("owner/name"), None) == ROWS
    assert asked == [("owner/name", "config", "test", False), ("owner/name", None, None, False)]


@pytest.mark.usefixtures("local_copy")
def test_out_of_reach_the_local_copy_is_read(out_of_reach: list[float]):
    assert list(load_from_hub(HubSet("owner/name"), "train")) == ROWS
    assert sorted(load_from_hub(HubSet("owner/name"), None)) == ["test", "train"]
    assert out_of_reach == [10.0, 10.0]


@pytest.mark.usefixtures("local_copy", "out_of_reach")
@pytest.mark.parametrize(
    ("hub_set", "split"),
    [(HubSet("owner/other"), "train"), (HubSet("owner/name"), "validation"), (HubSet("owner/name", "other"), "train")],
)
def test_without_a_copy_it_is_told_in_one_line_with_the_way_out(hub_set: HubSet, split: str):
    message = (
        r"^owner/\w+(:other)?@train: the hub data set cannot be read \(Name or service not known\)\. "
        r"Check name and network, or give a file or folder that exists\.$"
    )
    with pytest.raises(InputError, match=message):
        load_from_hub(hub_set, split)


@pytest.mark.usefixtures("out_of_reach")
def test_what_is_set_for_the_time_of_the_loading_is_set_back(monkeypatch: pytest.MonkeyPatch):
    logger = logging.getLogger("huggingface_hub")
    before = (logger.level, datasets.config.HF_HUB_OFFLINE)
    during = []

    def load(*_: object, **__: object) -> None:
        during.append((logger.level, datasets.config.HF_HUB_OFFLINE))
        raise OSError

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(InputError):
        load_from_hub(HubSet("owner/name"), "train")
    assert during == [(logging.ERROR, True)]
    assert (logger.level, datasets.config.HF_HUB_OFFLINE) == before
