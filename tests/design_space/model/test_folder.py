"""What a saved model leaves in its folder, and what it does not."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM
from design_space.model.folder import AUTO_CLASSES, add_code

SHAPE = {"l": 1, "o": ["sa"], "h": [8], "n": [2], "f": [[8]], "p": ["sdp"]}


@pytest.fixture
def model() -> FlexiBertForMaskedLM:
    return FlexiBertForMaskedLM(FlexiBertConfig(model_dict=SHAPE, vocab_size=20, max_position_embeddings=8))


@pytest.fixture
def umask() -> Iterator[int]:
    """One that lets the group read."""
    before = os.umask(0o027)
    yield 0o640
    os.umask(before)


def test_weights_may_be_read_by_those_whom_the_umask_lets(model: FlexiBertForMaskedLM, tmp_path: Path, umask: int):
    model.save_pretrained(tmp_path, max_shard_size="1KB")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) > 3
    assert set(modes.values()) == {umask}


def test_every_auto_class_finds_its_code(model: FlexiBertForMaskedLM, tmp_path: Path):
    model.save_pretrained(tmp_path)
    add_code(tmp_path)
    named = json.loads((tmp_path / "config.json").read_text())["auto_map"]
    assert set(named) == {"AutoConfig", *(auto.__name__ for auto in AUTO_CLASSES)}
    assert all((tmp_path / f"{place.split('.')[0]}.py").is_file() for place in named.values())
