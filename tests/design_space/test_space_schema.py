"""What a space file may say: the new keys, and each broken rule refused in one line."""

from pathlib import Path

import pytest

from design_space import DesignSpace, InputError
from design_space.constraint import Constraint
from design_space.space_file import parse_space

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
PER_HEAD = "operation_per_head: true"
LEVEL_1, LEVEL_2 = (f"  - {{layers_per_stack: {number}, free_feed_forward: false}}\n" for number in (1, 2))


def changed(old: str, new: str) -> str:
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new)


def extended(choices: str = "", **keys: str) -> str:
    """Further lines under `architecture`, and further keys."""
    text = changed("levels:\n", "".join(f"  {line}\n" for line in choices.splitlines()) + "levels:\n")
    return text + "".join(f"{key}: {value}\n" for key, value in keys.items())


def test_new_keys_are_read_as_written() -> None:
    rules = "per_model: [hidden_size, num_heads]\nmonotone:\n  - operation\n  - feed_forward"
    fixed = "{0: {o: c, p: 9, n: 2}, 3: {h: 16, f: [24]}}"
    content = parse_space(extended(rules, constraints="[params <= 12e6, layers>2]", fixed_layers=fixed), "f")
    assert content.architecture.per_model == ["hidden_size", "num_heads"]
    assert content.architecture.monotone == ["operation", "feed_forward"]
    assert content.constraints == ["params <= 12e6", "layers>2"]
    assert not content.architecture.operation_per_head
    assert parse_space(extended(PER_HEAD), "f").architecture.operation_per_head
    first, last = content.fixed_layers[0], content.fixed_layers[3]
    assert (first.operation, first.hidden_size, first.num_heads, first.feed_forward) == (("c", "9"), None, 2, None)
    assert (last.operation, last.hidden_size, last.num_heads, last.feed_forward) == (None, 16, None, (24,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed("[2, 4]", "[0, 4]"), r"architecture.encoder_layers.0: .*greater than 0, got 0"),
        (changed("[16, 32]", "[16, -32]"), r"architecture.hidden_size.1: .*greater than 0, got -32"),
        (changed("[16, 32]", "[16, 536870912]"), r"architecture.hidden_size.1: .*equal to 100000, got 536870912"),
        (changed("[2, 4]", "[2, 1002]"), r"architecture: encoder_layers must be at most 1000, got 1002"),
        (changed("stacks: [1]", "stacks: [40]"), r"_feed-forward_stacks must give at most 100000 stacks of sizes"),
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
        (changed("stack: 2", "stack: 4"), r"levels.0.layers_per_stack must divide every encoder_layers, got 4 and 2"),
        (SMALL + LEVEL_1 + LEVEL_2, r"levels.2.layers_per_stack must divide that of the level before, got 2 after 1"),
        (changed("false}", "true}") + LEVEL_1, r"levels.1.free_feed_forward must stay true, got false after true"),
    ],
)
def test_wrong_choices_and_levels_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^f: .*{message}") as caught:
        parse_space(text, "f")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("values", ["[2, 4]", "[16, 32]", "[2]", "[sa, c]", "[sdp]", "[5, 9]", "[24, 40]", "[1]"])
def test_field_without_values_is_refused(values: str) -> None:
    with pytest.raises(InputError, match=r"^f: architecture\.[a-z._-]+: .*at least 1 item.*, got \[\]\.$"):
        parse_space(changed(f": {values}", ": []"), "f")


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (extended("per_modell: [hidden_size]"), r"architecture.per_modell: unknown key. Did you mean 'per_model'\?"),
        (extended("per_model: [hidden]"), r"architecture.per_model.0: .*'hidden_size', .* got 'hidden'"),
        (extended("monotone: [heads]"), r"architecture.monotone.0: .*'num_heads' or 'feed_forward', got 'heads'"),
        (extended("per_model: hidden_size"), r"architecture.per_model: .*valid list, got 'hidden_size'"),
        (extended("monotone: [operation, operation]"), r"architecture: monotone must hold distinct values"),
        (extended("per_model: [num_heads]\nmonotone: [num_heads]"), r"architecture: .*, both name 'num_heads'"),
        (
            extended(PER_HEAD)
            .replace("num_heads: [2]", "num_heads: [2, 16]")
            .replace("[5, 9]", "[5, 9, 11, 13, 15, 17, 19, 21, 23]"),
            r"architecture: num_heads must give at most 100000 multisets of operations, gives \d+",
        ),
        (extended("operation_per_head: 1"), r"architecture.operation_per_head: .*valid boolean, got 1"),
        (extended(f"{PER_HEAD}\nper_model: [operation]"), r"architecture: per_model .*cannot name 'operation' where"),
        (extended(f"{PER_HEAD}\nmonotone: [num_heads]"), r"architecture: .*monotone cannot name 'num_heads' where"),
        (changed("[2]", f"[17]\n  {PER_HEAD}"), r"architecture: hidden_size must be at least num_heads, got 16 and 17"),
        (extended(constraints="params <= 1e6"), r"constraints: .*valid list, got 'params <= 1e6'"),
        (extended(constraints="[12]"), r"constraints.0: .*valid string, got 12"),
        (extended(constraints="[params<12M]"), r"constraint: must have the form 'params<=12e6', got 'params<12M'"),
        (extended(constraints="[prms<2]"), r"constraint: quantity must be one of params, flops, layers, got 'prms'"),
        (extended(constraints="[layers < 1e999]"), r"constraint: the limit must be finite, got '1e999'"),
        (extended(fixed_layers="{4: {h: 16}}"), r"fixed_layers.4: must be less than 4, the greatest encoder_layers"),
        (extended(fixed_layers="{-1: {h: 16}}"), r"fixed_layers.-1.*greater than or equal to 0, got -1"),
        (extended(fixed_layers="{first: {h: 16}}"), r"fixed_layers.first.*valid integer, got 'first'"),
        (extended(fixed_layers="{0: {w: 16}}"), r"fixed_layers.0.w: unknown key"),
        (extended(fixed_layers="{0: [sa]}"), r"fixed_layers.0: .*valid dictionary.*got \['sa'\]"),
        (extended(fixed_layers="{0: {h: 24}}"), r"fixed_layers.0.h: must be among \[16, 32\], got 24"),
        (extended(fixed_layers="{1: {n: 4}}"), r"fixed_layers.1.n: must be among \[2\], got 4"),
        (extended(fixed_layers="{1: {f: [24, 24]}}"), r"fixed_layers.1.f: must be among \[1\], got 2"),
        (extended(fixed_layers="{1: {f: [32]}}"), r"fixed_layers.1.f: must be among \[24, 40\], got 32"),
        (extended(fixed_layers="{1: {f: []}}"), r"fixed_layers.1.f: .*at least 1 item"),
        (extended(fixed_layers="{0: {o: sa}}"), r"fixed_layers.0: o and p must stand together, got o = sa and p = N"),
        (
            extended(fixed_layers="{0: {p: wma}}"),
            r"fixed_layers.0: o and p must stand together, got o = None and p = w",
        ),
        (extended(fixed_layers="{0: {o: sa, p: wma}}"), r"fixed_layers.0: sa with wma is not among the operations"),
        (extended(fixed_layers="{0: {o: c, p: 7}}"), r"fixed_layers.0: c with 7 is not among the operations"),
        (extended(fixed_layers="{0: {o: l, p: dft}}"), r"fixed_layers.0: l with dft is not among the operations"),
        *(
            (extended(PER_HEAD, fixed_layers=f"{{1: {layer}}}"), r"fixed_layers.1: only h and f can be fixed where op")
            for layer in ("{h: 16, n: 2}", "{o: sa}", "{p: sdp}", "{o: sa, p: sdp}")
        ),
    ],
)
def test_wrong_use_of_a_rule_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^f: {message}") as caught:
        parse_space(text, "f")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("quantity", ["params", "flops"])
def test_limits_that_are_not_known_head_by_head_are_refused(quantity: str, tmp_path: Path) -> None:
    message = f"constraints: {quantity} is not known yet where operation_per_head is true, got '{quantity} <= 3"
    with pytest.raises(InputError, match=f"^f: {message}"):
        parse_space(extended(PER_HEAD, constraints=f"[layers > 1, {quantity} <= 3e6]"), "f")
    path = tmp_path / "mine.yaml"
    path.write_text(extended(PER_HEAD), "utf-8")
    with pytest.raises(InputError, match=f"^mine: {message}"):
        DesignSpace.load(path).within([Constraint.parse(f"{quantity} <= 3e6")])
