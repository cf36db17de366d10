"""The command line: what it prints, what it writes, what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from design_space.__main__ import NAME, app
from design_space.architecture import Architecture
from design_space.command_line import run_app
from design_space.distance import distances
from design_space.embedding import Embedding
from design_space.space import DesignSpace

SMALL = """\
architecture:
  encoder_layers: [1, 2]
  hidden_size: [16, 32]
  num_heads: [2]
  operation_types: [sa, l]
  operation_parameters: {sa: [sdp], l: [dft]}
  feed-forward_hidden: [24, 40]
  number_of_feed-forward_stacks: [1]
levels:
  - {layers_per_stack: 1, free_feed_forward: false}
"""
MIXED = '{"l": 1, "o": [["sa_sdp_64", "l_dft_64"]], "h": [128], "f": [[512]]}'
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in a folder with `small.yaml`: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "small.yaml").write_text(SMALL, "utf-8")

    def command(*words: str) -> tuple[int, str, str]:
        code = run_app(app, NAME, words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def content(run: Run, *words: str) -> dict:
    code, out, err = run(*words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out.splitlines()[-1])


def test_list_names_every_space_with_its_exact_size(run: Run):
    sizes = {space["name"]: space["size"] for space in content(run, "list")}
    assert sizes["flexibert_mini"] == 3_317_817_600
    assert sizes["flexibert_small"] == 21_964_384_040_055_167_554_704
    assert "nas_bench_bert" in run("list")[1]


def test_info_counts_every_level(run: Run):
    found = content(run, "info", "flexibert_mini")
    assert found["size"] == 3_317_817_600
    assert found["levels"] == [
        {"level": 1, "size": 9_312},
        {"level": 2, "size": 84_943_872},
        {"level": 3, "size": 3_317_817_600},
    ]
    limited = content(run, "info", "small.yaml", "--constraint", "layers<=1")
    assert (limited["size"], limited["constraints"]) == (8, ["layers <= 1"])
    assert "architectures: 72" in run("info", "small.yaml")[1]


def test_enumerate_gives_every_architecture_in_the_space_s_order(run: Run, tmp_path: Path):
    space = DesignSpace.load(tmp_path / "small.yaml")
    found = content(run, "enumerate", "small.yaml", "--level", "1")["architectures"]
    assert [each["id"] for each in found] == [architecture.id for architecture in space.enumerate(1)]
    assert [Architecture.from_model_dict(each["model_dict"]).id for each in found] == [each["id"] for each in found]
    assert [line.split()[0] for line in run("enumerate", "small.yaml")[1].splitlines()] == [e["id"] for e in found]


def test_samples_follow_the_seed(run: Run):
    words = ("sample", "flexibert_2", "-n", "3")
    one, same, other = (content(run, *words, "--seed", seed)["architectures"] for seed in ("1", "1", "2"))
    assert one == same != other
    assert len(one) == 3


@pytest.mark.parametrize("kind", ["ged", "wl", "naive"])
def test_distances_are_written_in_the_order_of_enumerate(run: Run, tmp_path: Path, kind: str):
    space = DesignSpace.load(tmp_path / "small.yaml")
    told = content(run, "distance", "small.yaml", "--kind", kind, "--out", "d.npy")
    matrix = np.load("d.npy")
    assert matrix.dtype == np.float32
    assert told["shape"] == list(matrix.shape) == [72, 72]
    np.testing.assert_array_equal(matrix, distances(space, kind, list(space.enumerate(1))))
    again = content(run, "distance", "small.yaml", "--kind", kind, "--out", "again.npy")  # from the cache
    np.testing.assert_array_equal(np.load("again.npy"), matrix)
    assert again["triangle_violations"] == told["triangle_violations"]
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 1


def test_limits_that_leave_few_of_many_make_a_matrix(run: Run):
    words = ("flexibert_mini", "--level", "2", "--constraint", "params<=6.9e6")
    listed = content(run, "enumerate", *words)["architectures"]
    assert content(run, "distance", *words, "--kind", "wl", "--out", "d.npy")["shape"] == [len(listed)] * 2 == [41, 41]


def test_no_cache_leaves_no_file_but_the_matrix(run: Run, tmp_path: Path):
    content(run, "distance", "small.yaml", "--kind", "naive", "--out", "d.npy", "--no-cache")
    assert not (tmp_path / "cache").exists()


def test_embedding_is_keyed_by_id_and_places_others(run: Run, tmp_path: Path):
    told = content(run, "embed", "small.yaml", "--out", "e.npz", "--landmarks", "40", "--dimensions", "4")
    embedding, points = Embedding.load(Path("e.npz"))
    space = DesignSpace.load(tmp_path / "small.yaml")
    assert set(points) == {architecture.id for architecture in space.enumerate(1)}
    assert told["shape"] == [72, 4]
    assert told["spearman"] > 0.8
    assert embedding.place(list(space.enumerate(1))[:2]).shape == (2, 4)
    sampled = content(run, "embed", "flexibert_2", "-n", "60", "--out", "two.npz", "--landmarks", "40")
    assert sampled["shape"] == [60, 16]


def test_show_draws_a_layer_a_box(run: Run, tmp_path: Path):
    architecture = DesignSpace.load(tmp_path / "small.yaml").architecture_at(1, 71)
    told = content(run, "show", architecture.id, "--space", "small.yaml", "--out", "a.svg")
    assert told["model_dict"] == architecture.to_model_dict()
    drawn = ElementTree.parse("a.svg").getroot()
    assert sum(element.get("class") == "layer" for element in drawn.iter()) == len(architecture.layers)
    (tmp_path / "model.json").write_text(json.dumps(architecture.to_model_dict()), "utf-8")
    assert content(run, "show", "model.json")["out"] == f"{architecture.id}.svg"
    assert content(run, "show", MIXED)["params"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("info", "flexibert_min"), "Did you mean 'flexibert_mini'?"),
        (("info", "small.yaml", "--constraint", "size<=3"), "quantity must be one of params, flops, layers"),
        (("enumerate", "flexibert_2"), "14973792179130493203042061814388067560. Use sample"),
        (("enumerate", "small.yaml", "--level", "2"), "level must be one of [1], got 2"),
        (("sample", "small.yaml", "-n", "0"), "--number: must be at least 1, got 0"),
        (("sample", "small.yaml", "--seed", "-1"), "--seed: must be at least 0, got -1"),
        (("embed", "small.yaml", "--out", "e.npz", "--dimensions", "0"), "--dimensions: must be at least 1, got 0"),
        (("distance", "small.yaml", "--out", "d.npz"), "--out: must end in .npy, got 'd.npz'"),
        (("distance", "small.yaml", "--out", "nowhere/d.npy"), "the folder 'nowhere' does not exist"),
        (("distance", "small.yaml", "--out", "d.npy", "--kind", "edit"), "must be one of ged, wl, naive, got 'edit'"),
        (("distance", "flexibert_mini", "--level", "2", "--out", "d.npy"), "level 2 has 84943872"),
        (("embed", "flexibert_mini", "--level", "3", "--out", "e.npz"), "Give -n to embed a sample"),
        (("embed", "small.yaml", "-n", "9", "--out", "e.npz"), "16 dimensions need more than 16 landmarks, got 9"),
        (("show", "0123456789abcdef", "--space", "small.yaml"), "is no id of level 1 of small"),
        (("show", "0123456789abcdef", "--space", "flexibert_2"), "too large to look an id up"),
        (("sample", "flexibert_mini", "--constraint", "params<0"), "no architecture of level 3 is within the limits"),
        (("distance", "small.yaml", "--constraint", "params<=1", "--out", "d.npy"), "no architecture of level 1"),
        (("distance", "small.yaml", "--out", "d.npy", "--seed", "-1"), "--seed: must be at least 0, got -1"),
        (("show", MIXED, "--out", "/proc/a.svg"), "'/proc' cannot be written to"),
        (("show", "missing.json"), "which is no file"),
        (("show", "{"), "must be JSON"),
        (("paint",), "No such command 'paint'"),
        (("list", "--jsn"), "No such option"),
    ],
)
def test_wrong_words_end_in_one_line_and_code_2(run: Run, tmp_path: Path, words: tuple[str, ...], message: str):
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_is_replaced_only_where_asked(run: Run, tmp_path: Path):
    (tmp_path / "a.svg").write_text("mine", "utf-8")
    code, _, err = run("show", MIXED, "--out", "a.svg")
    assert code == 2
    assert "exists. Give another name, or --overwrite" in err
    assert (tmp_path / "a.svg").read_text("utf-8") == "mine"
    assert run("show", MIXED, "--out", "a.svg", "--overwrite")[0] == 0
