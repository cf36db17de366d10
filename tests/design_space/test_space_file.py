"""Space files: presets, the published form, and whatever is no such file, each refused in one line."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from design_space import DesignSpace, InputError
from design_space.space_file import MAX_BYTES, parse_space, preset_names, read_space

SMALL = """\
datasets: [CoLA]
architecture:
  encoder_layers: [2, 4]
  hidden_size: [16, 32]
  num_heads: [2]
  operation_types: [sa, c]
  operation_parameters:
    sa: [sdp]
    c: [5, 9]
  feed-forward_hidden: [24, 40]
  number_of_feed-forward_stacks: [1]
levels:
  - {layers_per_stack: 2, free_feed_forward: false}
"""
PUBLISHED = """\
# From a tiny to a mini encoder

datasets:
  - CoLA

architecture:
  hidden_size:
    - 16
    - 32 # an extra
  num_heads:
    - 2
  encoder_layers:
    - 2
    - 4
  operation_types:
    - sa
    - c
  number_of_feed-forward_stacks:
    - 1
  feed-forward_hidden:
    - 24
    - 40
  operation_parameters:
    sa:
      - sdp
    c:
      - 5
      - 9
"""


def changed(old: str, new: str) -> str:
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new)


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("name", preset_names())
def test_every_shipped_space_loads(name: str) -> None:
    space = DesignSpace.load(name)
    assert space.name == name
    for level in space.levels:
        assert space.size(level) > 0
        assert space.refusal(space.architecture_at(level, space.size(level) - 1), level) is None


def test_flexibert_mini_is_shipped() -> None:
    assert "flexibert_mini" in preset_names()


def test_file_is_read_as_written(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    name, content = read_space(path)
    assert name == "mine"
    assert content.datasets == ["CoLA"]
    assert content.architecture.encoder_layers == [2, 4]
    assert content.architecture.operation_parameters == {"sa": ["sdp"], "c": [5, 9]}
    assert content.architecture.feed_forward_hidden == [24, 40]
    assert [(level.layers_per_stack, level.free_feed_forward) for level in content.levels] == [(2, False)]
    assert read_space(str(path)) == (name, content)


def test_published_form_loads_unchanged_with_the_three_published_levels(tmp_path: Path) -> None:
    name, content = read_space(write(tmp_path, PUBLISHED))
    small = parse_space(SMALL, name)
    assert content == small.model_copy(update={"levels": read_space("flexibert_mini")[1].levels})
    assert [(level.layers_per_stack, level.free_feed_forward) for level in content.levels] == [
        (2, False),
        (1, False),
        (1, True),
    ]
    assert (content.constraints, content.fixed_layers) == ([], {})


def test_unknown_space_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"got 'flexibert_mni'. Did you mean 'flexibert_mini'\?"):
        read_space("flexibert_mni")


def test_unknown_space_that_is_like_none_is_refused_without_a_guess(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"space: must be one of .*flexibert_mini.* or a YAML file, got '.*'\.$"):
        read_space(str(tmp_path))


def test_too_large_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text(SMALL + "#" * MAX_BYTES, "utf-8")
    with pytest.raises(InputError, match=rf"large.yaml: a space file must be at most {MAX_BYTES} bytes, got \d+"):
        read_space(path)


def test_huge_sparse_file_is_refused_by_its_size_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse.yaml"
    with path.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(InputError, match=rf"must be at most {MAX_BYTES} bytes, got {2**30}"):
        read_space(path)


def test_largest_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "full.yaml"
    path.write_text(SMALL + "#" * (MAX_BYTES - len(SMALL)), "utf-8")
    assert read_space(path)[1] == parse_space(SMALL, "small")


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(SMALL.encode() + "# é\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin.yaml: must be UTF-8 text"):
        read_space(path)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n", b"\x7fELF\x02\x01", b"PK\x03\x04\x00", bytes(range(256))])
def test_binary_file_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^.*binary.yaml: must be (UTF-8 text|YAML)") as caught:
        read_space(path)
    assert str(caught.value).isprintable()


def test_alias_bomb_is_refused_at_its_first_alias() -> None:
    names = [f"a{number}" for number in range(40)]
    bomb = "a0: &a0 [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in itertools.pairwise(names))
    with pytest.raises(InputError, match=r"f: line 2: aliases are not allowed. Write the value out"):
        parse_space(bomb, "f")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed("levels", "level"), r"f: level: unknown key. Did you mean 'levels'\?"),
        (changed("free_feed_forward: false", "free_feed_forward: false, free: 1"), r"levels.0.free: unknown key"),
        (changed("  hidden_size: [16, 32]\n", ""), r"f: architecture.hidden_size: is missing. Add it"),
        (SMALL + "levels: []\n", r"f: line 14: key 'levels' stands twice. Remove one"),
        (changed("    sa: [sdp]\n", "    sa: [sdp]\n    sa: [wma]\n"), r"line 9: key 'sa' stands twice"),
        (changed("[24, 40]", "&a [24, 40]") + "x: *a\n", r"line 14: aliases are not allowed"),
        (changed("[24, 40]", "[24, 40"), r"f: must be YAML, is not at line \d+"),
        ("!!python/object/apply:os.getcwd []", r"f: must be YAML, is not at line 1"),
        ("[" * 5000, r"f: must be YAML, is not"),
        ("a: \x00", r"f: must be YAML, is not"),
        ("", r"f: .*valid dictionary"),
        ("- 1", r"f: .*valid dictionary"),
        ('"two\\nlines": 1\n' + SMALL, r"f: two lines: unknown key"),
    ],
)
def test_wrong_content_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_space(text, "f")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["hidden_size", "feed-forward_hidden", "number_of_feed-forward_stacks"])
def test_misspelt_required_key_is_refused_with_the_nearest(key: str) -> None:
    with pytest.raises(InputError, match=f"unknown key. Did you mean '{key}'"):
        parse_space(changed(key, key[:3] + key[4:]), "f")


@pytest.mark.parametrize("text", ["{[a, b]: 1}", "datasets: [2001-99-99]", "datasets: !!int abc"])
def test_strange_yaml_is_refused_as_input(text: str) -> None:
    with pytest.raises(InputError):
        parse_space(text, "f")


def refusal(text: str) -> str:
    """Why a text is refused; nothing where it is not."""
    try:
        parse_space(text, "f")
    except InputError as error:
        return str(error)
    return ""


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_a_line_of_anything_is_read_or_refused_in_one_line(data: st.DataObject) -> None:
    lines = SMALL.splitlines()
    place = data.draw(st.integers(0, len(lines) - 1))
    text = st.text(st.characters(codec="utf-8"), max_size=12)
    lines[place] = data.draw(text | text.map(lambda word: lines[place].split(":")[0] + ": " + word))
    reason = refusal("\n".join(lines))
    assert not reason or (reason.startswith("f: ") and len(reason.splitlines()) == 1)
