"""Data sets of the hub: their names, what is asked of `datasets`, and the refusals, among them the real one offline."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from design_space.errors import InputError
from pretrain import hub
from pretrain.documents import read_documents, source_files
from pretrain.hub import HubSet


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A hub that has every set; what was asked of it."""
    calls: list[dict[str, Any]] = []

    def load(name: str, config: str | None, **kwargs: Any) -> list[dict[str, Any]]:
        calls.append({"name": name, "config": config, **kwargs})
        return [{"text": f" {name} {number} ", "id": number} for number in range(3)] + [{"text": " ", "id": 9}]

    monkeypatch.setattr(hub, "load_dataset", load)
    monkeypatch.setattr(hub, "dataset_info", lambda name, timeout: SimpleNamespace(sha=f"sha of {name}"))
    return calls


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner/name", HubSet("owner/name")),
        ("owner/name:config", HubSet("owner/name", "config")),
        ("wikimedia/wikipedia:20231101.en", HubSet("wikimedia/wikipedia", "20231101.en")),
        ("allenai/c4:en@validation", HubSet("allenai/c4", "en", "validation")),
        ("owner/name@test", HubSet("owner/name", None, "test")),
        ("hub:imdb", HubSet("imdb")),
        ("hub:owner/na-me_1.0:c@s", HubSet("owner/na-me_1.0", "c", "s")),
        *((text, None) for text in ("name", "a/b/c", "/a/b", "./a", "../a", "a/", "demo", "", "hub:", "a/b:", "a b/c")),
    ],
)
def test_names(text: str, expected: HubSet | None):
    assert HubSet.parse(text) == expected


def test_a_set_is_streamed_from_one_revision(asked: list[dict[str, Any]]):
    assert list(read_documents("owner/name:config@test")) == ["owner/name 0", "owner/name 1", "owner/name 2"]
    assert asked == [
        {
            "name": "owner/name",
            "config": "config",
            "split": "test",
            "streaming": True,
            "revision": "sha of owner/name",
        }
    ]
    assert source_files("owner/name") == []


def test_a_folder_of_that_name_comes_first(asked: list[dict[str, Any]], tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "owner" / "name").mkdir(parents=True)
    (tmp_path / "owner" / "name" / "a.txt").write_text("mine\n")
    monkeypatch.chdir(tmp_path)
    assert list(read_documents("owner/name")) == ["mine"]
    assert asked == []


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("texts", r"^owner/name@train: must have the column 'texts', has 'text', 'id'\. Did you mean 'text'\?"),
        ("id", r"^owner/name@train: row 1: 'id' must be text, got 0"),
    ],
)
def test_refuses_a_wrong_column(asked: list[dict[str, Any]], column: str, message: str):
    with pytest.raises(InputError, match=message):
        list(read_documents("owner/name", column))


def fail(error: Exception) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


@pytest.mark.parametrize(
    "error", [ValueError("Unknown split 'trian'.\nmore"), RuntimeError("Dataset scripts"), ConnectionError()]
)
def test_what_the_hub_refuses_is_told_in_one_line(
    asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, error: Exception
):
    monkeypatch.setattr(hub, "load_dataset", fail(error))
    message = (
        r"^owner/name@train: the hub data set cannot be read \(.+\)\. Check name and network, or give a file or folder"
    )
    with pytest.raises(InputError, match=message) as caught:
        list(read_documents("owner/name"))
    assert "\n" not in str(caught.value)


def test_a_network_that_breaks_down_is_told(asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch):
    def load(*_: Any, **__: Any) -> Any:
        yield {"text": "one"}
        raise OSError("reset by peer")

    monkeypatch.setattr(hub, "load_dataset", load)
    documents = read_documents("owner/name")
    assert next(documents) == "one"
    with pytest.raises(InputError, match=r"cannot be read \(reset by peer\)"):
        next(documents)


def test_refuses_a_set_that_cannot_be_reached_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        InputError, match=r"^no-owner/no-name@train: the hub data set cannot be read \(.+\)\."
    ) as caught:
        list(read_documents("hub:no-owner/no-name"))
    assert "\n" not in str(caught.value)
