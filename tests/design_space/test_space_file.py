from pathlib import Path

import pytest

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


def changed(old: str, new: str) -> str:
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new)


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
    path = tmp_path / "mine.yaml"
    path.write_text(SMALL, "utf-8")
    name, content = read_space(path)
    assert name == "mine"
    assert content.datasets == ["CoLA"]
    assert content.architecture.encoder_layers == [2, 4]
    assert content.architecture.operation_parameters == {"sa": ["sdp"], "c": [5, 9]}
    assert content.architecture.feed_forward_hidden == [24, 40]
    assert [(level.layers_per_stack, level.free_feed_forward) for level in content.levels] == [(2, False)]
    assert read_space(str(path)) == (name, content)


def test_published_form_without_levels_gets_the_three_published_ones() -> None:
    content = parse_space(SMALL.split("levels:")[0], "published")
    assert content.datasets == ["CoLA"]
    assert [(level.layers_per_stack, level.free_feed_forward) for level in content.levels] == [
        (2, False),
        (1, False),
        (1, True),
    ]


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


def test_largest_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "full.yaml"
    path.write_text(SMALL + "#" * (MAX_BYTES - len(SMALL)), "utf-8")
    assert read_space(path)[1] == parse_space(SMALL, "small")


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(SMALL.encode() + "# é\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin.yaml: must be UTF-8 text"):
        read_space(path)


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
        (changed("encoder_layers: [2, 4]", "encoder_layers: []"), r"architecture.encoder_layers: .*at least 1 item"),
        (changed("hidden_size: [16, 32]", "hidden_size: []"), r"architecture.hidden_size: .*at least 1 item"),
        (changed("num_heads: [2]", "num_heads: []"), r"architecture.num_heads: .*at least 1 item"),
        (changed("[sa, c]", "[]"), r"architecture.operation_types: .*at least 1 item"),
        (changed("[sdp]", "[]"), r"architecture.operation_parameters.sa: .*at least 1 item"),
        (changed("[24, 40]", "[]"), r"architecture.feed-forward_hidden: .*at least 1 item"),
        (changed("stacks: [1]", "stacks: []"), r"number_of_feed-forward_stacks: .*at least 1 item"),
        (changed("[2, 4]", "[0, 4]"), r"architecture.encoder_layers.0: .*greater than 0, got 0"),
        (changed("[16, 32]", "[16, -32]"), r"architecture.hidden_size.1: .*greater than 0, got -32"),
        (changed("[24, 40]", "[24, 4.5]"), r"feed-forward_hidden.1: .*valid integer.*got 4.5"),
        (changed("layers_per_stack: 2", "layers_per_stack: 0"), r"levels.0.layers_per_stack: .*greater than 0"),
        (changed("[2, 4]", "[2, 2]"), r"encoder_layers must hold distinct values, got \[2, 2\]"),
        (changed("[24, 40]", "[24, 24]"), r"feed-forward_hidden must hold distinct values, got \[24, 24\]"),
        (changed("[sa, c]", "[sa, c, sa]"), r"operation_types must hold distinct values"),
        (changed("num_heads: [2]", "num_heads: [2, 3]"), r"hidden_size must be divisible by num_heads, got 16 and 3"),
        (changed("[sa, c]", "[sa, c, l]"), r"operation_parameters must give parameters for 'l', got none"),
        (changed("[sa, c]", "[c]"), r"operation_parameters names 'sa', which operation_types does not"),
        (changed("[sa, c]", "[sa, c, rnn]"), r"operation_types must be among sa, l, c, got 'rnn'"),
        (changed("[sdp]", "[dft]"), r"the parameter of 'sa' must be one of sdp, wma, got 'dft'"),
        (changed("[5, 9]", "[5, 8]"), r"the parameter of 'c' must be an odd kernel size, got '8'"),
        (
            changed("layers_per_stack: 2", "layers_per_stack: 4"),
            r"levels.1.layers_per_stack must divide .* got 4 and 2",
        ),
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


@pytest.mark.parametrize(("old", "new"), [("[sdp]", "[sdp, sdp]"), ("[5, 9]", "[5, '5']")])
def test_repeated_parameters_of_an_operation_are_refused(old: str, new: str) -> None:
    with pytest.raises(InputError, match="distinct"):
        parse_space(changed(old, new), "f")


@pytest.mark.parametrize(
    ("old", "new"), [("num_heads: [2]", "num_heads: [true]"), ("[16, 32]", "['16', 32]"), ("[5, 9]", "[5, true]")]
)
def test_sizes_that_are_no_integers_are_refused(old: str, new: str) -> None:
    with pytest.raises(InputError):
        parse_space(changed(old, new), "f")


def test_sizes_that_a_convolution_cannot_have_are_refused_at_the_door() -> None:
    with pytest.raises(InputError, match="convolution"):
        parse_space(changed("[16, 32]", "[9]").replace("num_heads: [2]", "num_heads: [3]"), "f")


@pytest.mark.parametrize("text", ["{[a, b]: 1}", "datasets: [2001-99-99]", "datasets: !!int abc"])
def test_strange_yaml_is_refused_as_input(text: str) -> None:
    with pytest.raises(InputError):
        parse_space(text, "f")
