"""The YAML form of a design space, checked key by key."""

import difflib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError, model_validator

from design_space.architecture import OPERATIONS, check_operation, check_width
from design_space.errors import InputError

MAX_BYTES = 1_000_000
Size = Annotated[int, Field(strict=True, gt=0)]
Sizes = Annotated[list[Size], Field(min_length=1)]


class LevelFile(BaseModel):
    """One level of the hierarchy.

    Attributes:
        layers_per_stack: Adjacent layers that are equal.
        free_feed_forward: True where the sizes of one layer's feed-forward stack may differ.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers_per_stack: Size
    free_feed_forward: bool


class ArchitectureFile(BaseModel):
    """The choices of every layer, under the published names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder_layers: Sizes
    hidden_size: Sizes
    num_heads: Sizes
    operation_types: Annotated[list[str], Field(min_length=1)]
    operation_parameters: dict[str, Annotated[list[StrictStr | StrictInt], Field(min_length=1)]]
    feed_forward_hidden: Annotated[Sizes, Field(alias="feed-forward_hidden")]
    num_feed_forwards: Annotated[Sizes, Field(alias="number_of_feed-forward_stacks")]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, field in type(self).model_fields.items():
            values = getattr(self, name)
            if isinstance(values, list) and len(set(values)) != len(values):
                raise InputError(f"{field.alias or name} must hold distinct values, got {values}")
        for operation in self.operation_types:
            if operation not in OPERATIONS:
                raise InputError(f"operation_types must be among {', '.join(OPERATIONS)}, got {operation!r}")
            if operation not in self.operation_parameters:
                raise InputError(f"operation_parameters must give parameters for {operation!r}, got none")
            parameters = [str(parameter) for parameter in self.operation_parameters[operation]]
            for parameter in parameters:
                check_operation(operation, parameter, where="operation_parameters")
            if len(set(parameters)) != len(parameters):
                raise InputError(f"operation_parameters.{operation} must hold distinct values, got {parameters}")
        if extra := sorted(set(self.operation_parameters) - set(self.operation_types)):
            raise InputError(f"operation_parameters names {extra[0]!r}, which operation_types does not")
        for hidden_size in self.hidden_size:
            for num_heads in self.num_heads:
                if hidden_size % num_heads:
                    raise InputError(f"hidden_size must be divisible by num_heads, got {hidden_size} and {num_heads}")
                for operation in self.operation_types:
                    check_width(operation, hidden_size, num_heads, where="hidden_size")
        return self


class SpaceFile(BaseModel):
    """A whole file; `datasets` is kept for the reader, the search takes its tasks from its own flags."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    datasets: list[str] = []
    architecture: ArchitectureFile
    levels: Annotated[list[LevelFile], Field(min_length=1)] = [
        LevelFile(layers_per_stack=2, free_feed_forward=False),
        LevelFile(layers_per_stack=1, free_feed_forward=False),
        LevelFile(layers_per_stack=1, free_feed_forward=True),
    ]

    @model_validator(mode="after")
    def _stacks_divide(self) -> Self:
        for number, level in enumerate(self.levels, start=1):
            for depth in self.architecture.encoder_layers:
                if depth % level.layers_per_stack:
                    raise InputError(
                        f"levels.{number}.layers_per_stack must divide every encoder_layers, "
                        f"got {level.layers_per_stack} and {depth}"
                    )
        return self


class _StrictLoader(yaml.SafeLoader):
    """Refuses repeated keys and aliases (which can expand without bound)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise InputError(f"line {event.start_mark.line + 1}: aliases are not allowed. Write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise InputError(f"line {key.start_mark.line + 1}: a key must be a word. Write it as one")
            if key.value in seen:
                raise InputError(f"line {key.start_mark.line + 1}: key {key.value!r} stands twice. Remove one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def preset_names() -> list[str]:
    """Names of the shipped spaces."""
    folder = resources.files("design_space") / "spaces"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def read_space(name_or_file: str | Path) -> tuple[str, SpaceFile]:
    """Read a shipped space by its name, or a YAML file.

    Args:
        name_or_file: `flexibert_mini`, or the path of a file.

    Returns:
        The name (the file's stem for a path) and the checked content.

    Raises:
        InputError: If there is no such space or file, or the content breaks a rule.
    """
    if str(name_or_file) in preset_names():
        text = (resources.files("design_space") / "spaces" / f"{name_or_file}.yaml").read_text("utf-8")
        return str(name_or_file), parse_space(text, str(name_or_file))
    path = Path(name_or_file)
    if not path.is_file():
        near = difflib.get_close_matches(str(name_or_file), preset_names(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"space: must be one of {', '.join(preset_names())} or a YAML file, got {str(name_or_file)!r}.{hint}"
        )
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: a space file must be at most {MAX_BYTES} bytes, got {path.stat().st_size}.")
    try:
        return path.stem, parse_space(path.read_text("utf-8"), str(path))
    except UnicodeDecodeError:
        raise InputError(f"{path}: must be UTF-8 text. Save it as UTF-8 YAML.") from None


def parse_space(text: str, where: str) -> SpaceFile:
    """Check the YAML text of a space.

    Raises:
        InputError: Naming the key path and the rule.
    """
    try:
        content = yaml.load(text, _StrictLoader)  # noqa: S506 (a SafeLoader)
    except InputError as error:
        raise InputError(f"{where}: {str(error).rstrip('.')}.") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        place = f" at line {line + 1}" if line is not None else ""
        raise InputError(f"{where}: must be YAML, is not{place}.") from None
    try:
        return SpaceFile.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{where}: {_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    problems = error.errors()
    problem = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = ["architecture", "datasets", "levels", *LevelFile.model_fields]
        known += [field.alias or name for name, field in ArchitectureFile.model_fields.items()]
        near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        return f"{key}: unknown key.{f' Did you mean {near[0]!r}?' if near else ''}"
    if problem["type"] == "missing":
        return f"{key}: is missing. Add it."
    rule = problem["msg"].removeprefix("Value error, ").rstrip(".")
    if not key or problem["type"] == "value_error":
        return f"{key + ': ' if key else ''}{rule}."
    return f"{key}: {rule}, got {problem['input']!r:.60}."
