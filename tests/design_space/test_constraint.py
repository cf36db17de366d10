import pytest

from design_space import Architecture, InputError, Layer
from design_space.constraint import Constraint
from design_space.counts import num_parameters

THREE = Architecture((Layer("sa", "sdp", 128, 2, (512,)),) * 3)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("params<=12e6", ("params", "<=", 12e6)),
        ("  params >= 1.5E+7 ", ("params", ">=", 1.5e7)),
        ("layers<4", ("layers", "<", 4.0)),
        ("layers == 2", ("layers", "==", 2.0)),
        ("layers>-1", ("layers", ">", -1.0)),
    ],
)
def test_parse(text: str, parsed: tuple[str, str, float]) -> None:
    assert Constraint.parse(text) == Constraint(*parsed)


@pytest.mark.parametrize(
    "text", ["", "params", "params<=", "<=3", "params=3", "params<=3 M", "params<=nan", "params!=3", "params<=1_0"]
)
def test_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="constraint: must have the form 'params<=12e6', got"):
        Constraint.parse(text)


def test_unknown_quantity_is_refused_with_the_choices() -> None:
    with pytest.raises(InputError, match="quantity must be one of params, flops, layers, got 'flop'"):
        Constraint.parse("flop<=1e9")


@pytest.mark.parametrize("limit", ["-", "1e", "1.2.3", "e6"])
def test_limit_that_is_no_number_is_refused(limit: str) -> None:
    with pytest.raises(InputError, match=f"the limit must be a number, got '{limit}'"):
        Constraint.parse(f"params<={limit}")


def test_limit_beyond_every_number_is_refused() -> None:
    with pytest.raises(InputError, match="the limit must be finite, got '1e999'"):
        Constraint.parse("params<=1e999")


@pytest.mark.parametrize(
    ("comparison", "at_2", "at_3", "at_4"),
    [
        ("<=", False, True, True),
        (">=", True, True, False),
        ("<", False, False, True),
        (">", True, False, False),
        ("==", False, True, False),
    ],
)
def test_comparisons_around_three_layers(comparison: str, at_2: bool, at_3: bool, at_4: bool) -> None:
    assert [Constraint("layers", comparison, limit).holds(THREE) for limit in (2, 3, 4)] == [at_2, at_3, at_4]


def test_params_are_the_closed_form() -> None:
    count = num_parameters(THREE)
    assert Constraint.parse(f"params<={count}").holds(THREE)
    assert not Constraint.parse(f"params<={count - 1}").holds(THREE)
