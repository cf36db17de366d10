"""What pydantic found wrong, in words for a person."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

Count = Annotated[int, Field(strict=True, gt=0, le=100_000)]
"""Of processors, jobs or evaluations; neither text nor true."""

Amount = Annotated[float, Field(strict=True, gt=0, le=1e9, allow_inf_nan=False)]
"""Of seconds, cores or GiB, neither text nor true: 1e9 seconds are 31 years."""

_RULES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of names to values",
    "enum": "must be one of {expected}",
    "extra_forbidden": "must not be there, it is not known",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_type": "must be a whole number",
    "json_invalid": "must be JSON ({error})",
    "less_than_equal": "must be at most {le:g}",
    "list_type": "must be a list",
    "missing": "must be there",
    "model_type": "must be a mapping of names to values",
    "string_too_short": "must not be empty",
    "string_type": "must be text in quotes",
    "tuple_type": "must be a list",
}
"""By pydantic's name of a fault; another is told in its own words."""


def first_fault(error: ValidationError) -> tuple[str, str, str]:
    """The first thing that is wrong.

    Returns:
        Its type by pydantic's name, its place (`content` for the whole), and which rule it breaks with what was given.

    Example:
        >>> from pydantic import TypeAdapter
        >>> try:
        ...     TypeAdapter(dict[str, int]).validate_python({"a": "x"})
        ... except ValidationError as error:
        ...     print(first_fault(error))
        ('int_parsing', 'a', "must be a whole number, got 'x'")
    """
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"])) or "content"
    rule = _rule(first["type"], first["msg"], first.get("ctx", {}))
    has_no_value = first["type"] in ("missing", "json_invalid")
    got = "" if has_no_value else f", got {first['input']!r:.80}"
    return first["type"], place, f"{rule}{got}"


def _rule(kind: str, message: str, context: Mapping[str, Any]) -> str:
    if kind in _RULES:
        return _RULES[kind].format(**context)
    said = message.removeprefix("Value error, ").removeprefix("Input should be ")
    return f"must be {said}" if message.startswith("Input should be ") else said
