"""Reads the YAML form of a design space, strictly."""

import difflib
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from design_space.errors import InputError
from design_space.space_schema import ArchitectureFile, FixedLayer, LevelFile, SpaceFile

MAX_BYTES = 1_000_000


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
    return check_space(content, where)


def check_space(content: object, where: str) -> SpaceFile:
    """Check the content of a space.

    Raises:
        InputError: Naming the key path and the rule.
    """
    try:
        return SpaceFile.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{where}: {' '.join(_first_problem(error).split())}") from None


def _first_problem(error: ValidationError) -> str:
    problems = error.errors()
    problem = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = [*SpaceFile.model_fields, *LevelFile.model_fields]
        known += [field.alias or name for name, field in ArchitectureFile.model_fields.items()]
        if problem["loc"][0] == "fixed_layers" and len(problem["loc"]) == 3:
            return f"{key}: unknown key. Give only {', '.join(FixedLayer.model_fields)}, as in a model_dict."
        near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        return f"{key}: unknown key.{f' Did you mean {near[0]!r}?' if near else ''}"
    if problem["type"] == "missing":
        return f"{key}: is missing. Add it."
    rule = problem["msg"].removeprefix("Value error, ").rstrip(".")
    if not key or problem["type"] == "value_error":
        return f"{key + ': ' if key else ''}{rule}."
    return f"{key}: {rule}, got {problem['input']!r:.60}."
