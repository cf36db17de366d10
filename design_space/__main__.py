"""`python -m design_space`: what a space holds, how far its architectures are apart, what one looks like."""

import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.spatial.distance import pdist

from design_space.architecture import Architecture
from design_space.command_line import run_app
from design_space.constraint import Constraint
from design_space.counts import num_flops, num_parameters
from design_space.distance import KINDS, EditCosts, Graphs, cached_distances, distances, edit_distances
from design_space.distance.matrix import MAX_GRAPHS, Kind, save_array, triangle_violations
from design_space.draw import draw
from design_space.embedding import DIMENSIONS, NUM_LANDMARKS, Embedding
from design_space.errors import InputError
from design_space.files import written_whole
from design_space.progress import progress
from design_space.space import DesignSpace
from design_space.space_file import preset_names

NAME = "python -m design_space"
_NUM_CHECKED = 450  # 101,025 pairs
_NUM_TRIPLES = 1_000_000
_MAX_LOOKED_UP = 20_000

app = typer.Typer(
    add_completion=False,
    help="Design spaces of encoders.",
    epilog=f"Example: {NAME} info flexibert_mini",
    rich_markup_mode=None,
)

SpaceName = Annotated[str, typer.Argument(help="A shipped space's name (see `list`), or a YAML file.", metavar="SPACE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Seed = Annotated[int, typer.Option(help="Of all that is drawn at random.")]
Level = Annotated[int | None, typer.Option(help="Of the hierarchy, from 1; the finest by default.")]
FirstLevel = Annotated[int, typer.Option(help="Of the hierarchy, from 1.")]
Limits = Annotated[list[str] | None, typer.Option("--constraint", help="Such as 'params<=12e6'; may be repeated.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file where it exists.")]


@app.command("list", epilog=f"Example: {NAME} list --json")
def list_spaces(as_json: AsJson = False) -> None:
    """List the shipped spaces with their exact sizes."""
    spaces = [DesignSpace.load(name) for name in preset_names()]
    if as_json:
        _print_json([{"name": space.name, "size": space.size(space.levels[-1])} for space in spaces])
        return
    table = Table("space", "layers", "architectures", "levels", box=None)
    for space in spaces:
        size = space.size(space.levels[-1])
        table.add_row(space.name, _joined(space.depths), f"{_short(size)}", str(len(space.levels)))
    _console().print(table)


@app.command(epilog=f"Example: {NAME} info flexibert_mini --constraint 'params<=12e6'")
def info(space: SpaceName, constraint: Limits = None, as_json: AsJson = False) -> None:
    """Count a space exactly, level by level, and show its choices."""
    loaded = _load(space, constraint)
    levels = [{"level": level, "size": loaded.size_if_countable(level)} for level in loaded.levels]
    choices = loaded.content.architecture.model_dump(mode="json", by_alias=True)
    if as_json:
        fixed = {number: layer.model_dump(exclude_none=True) for number, layer in loaded.content.fixed_layers.items()}
        rules = {"constraints": list(map(str, loaded.constraints)), "fixed_layers": fixed}
        _print_json({"name": loaded.name, "size": levels[-1]["size"], "levels": levels, "choices": choices, **rules})
        return
    console = _console()
    console.print(f"{loaded.name}, architectures: {_counted(levels[-1]['size'])}")
    for level, content in zip(levels, loaded.content.levels, strict=True):
        stacks = "sizes within a stack are free" if content.free_feed_forward else "one size a stack"
        together = f"{content.layers_per_stack} layers alike" if content.layers_per_stack > 1 else "every layer its own"
        console.print(f"  level {level['level']}: {_counted(level['size'])}  ({together}, {stacks})")
    for key, values in choices.items():
        if isinstance(values, dict):
            values = [f"{name} ({_joined(parameters)})" for name, parameters in values.items()]
        if values not in ([], False):
            console.print(f"  {key}: {_joined(values) if isinstance(values, list) else 'yes'}")
    for limit in loaded.constraints:
        console.print(f"  limit: {limit}")


@app.command("enumerate", epilog=f"Example: {NAME} enumerate flexibert_mini --level 1 --json")
def list_architectures(
    space: SpaceName, level: FirstLevel = 1, constraint: Limits = None, as_json: AsJson = False
) -> None:
    """Print every architecture of a level, in the fixed order that `distance` follows."""
    loaded = _load(space, constraint)
    _print_architectures(loaded, level, loaded.enumerate(level), as_json)


@app.command(epilog=f"Example: {NAME} sample flexibert_2 -n 5 --seed 1 --json")
def sample(
    space: SpaceName,
    number: Annotated[int, typer.Option("-n", "--number", help="How many.")] = 1,
    level: Level = None,
    constraint: Limits = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Draw distinct architectures uniformly, without listing the space."""
    _at_least(1, number=number)
    loaded = _load(space, constraint)
    chosen = loaded.levels[-1] if level is None else level
    drawn = loaded.sample(chosen, number, _rng(seed))
    if not drawn:
        raise InputError(f"{loaded.name}: no architecture of level {chosen} is within the limits. Relax them.")
    _print_architectures(loaded, chosen, iter(drawn), as_json)


@app.command(epilog=f"Example: {NAME} distance flexibert_mini --level 1 --kind ged --out ged.npy")
def distance(
    space: SpaceName,
    out: Annotated[Path, typer.Option(help="A .npy file: float32, in the order of `enumerate`.")],
    level: FirstLevel = 1,
    kind: Annotated[str, typer.Option(help="ged: graph edit distance; wl: Weisfeiler-Lehman; naive: choices.")] = "ged",
    constraint: Limits = None,
    cache: Annotated[Path | None, typer.Option(help="Keeps computed matrices; ~/.cache by default.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Compute anew and keep nothing else.")] = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Compute the distances between all architectures of a level."""
    if kind not in KINDS:
        raise InputError(f"--kind: must be one of {', '.join(KINDS)}, got {kind!r}.")
    _at_least(0, seed=seed)
    target = _new_file(out, ".npy", overwrite)
    loaded = _load(space, constraint)
    architectures = _listed(loaded, level, "Give a smaller level or --constraint.")
    start = time.monotonic()
    with progress(f"distances of {len(architectures)} graphs") as report:
        if no_cache:
            matrix = distances(loaded, _kind(kind), architectures, report=report)
        else:
            matrix = cached_distances(loaded, _kind(kind), architectures, cache or _cache_folder(), report)
    save_array(target, matrix)
    violations, excess = triangle_violations(matrix, _NUM_TRIPLES, _rng(seed))
    _print_result(
        {
            "out": str(target),
            "kind": kind,
            "shape": list(matrix.shape),
            "dtype": str(matrix.dtype),
            "mean": float(matrix.mean(dtype=np.float64)),
            "triangle_violations": violations,
            "num_triples": _NUM_TRIPLES,
            "greatest_violation": excess,
            "elapsed_s": round(time.monotonic() - start, 2),
        },
        as_json,
    )


@app.command(epilog=f"Example: {NAME} embed flexibert_mini --level 1 --out embedding.npz")
def embed(
    space: SpaceName,
    out: Annotated[Path, typer.Option(help="A .npz file: ids, points, and the landmarks that place others.")],
    level: FirstLevel = 1,
    number: Annotated[int | None, typer.Option("-n", "--number", help="A sample of so many; all by default.")] = None,
    dimensions: Annotated[int, typer.Option(help="Of the points.")] = DIMENSIONS,
    landmarks: Annotated[int, typer.Option(help="Architectures that the others are placed by.")] = NUM_LANDMARKS,
    constraint: Limits = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Give the architectures of a level points whose distances fit their graph edit distances."""
    _at_least(0, seed=seed)
    _at_least(1, dimensions=dimensions, landmarks=landmarks, **({} if number is None else {"number": number}))
    target = _new_file(out, ".npz", overwrite)
    loaded = _load(space, constraint)
    if number is None:
        architectures = _listed(loaded, level, "Give -n to embed a sample.")
    else:
        architectures = loaded.sample(level, number, _rng(seed, 1))
    start = time.monotonic()
    embedding = Embedding.fit(loaded, architectures, dimensions=dimensions, num_landmarks=landmarks, seed=seed)
    with progress(f"points of {len(architectures)} graphs") as report:
        points = embedding.place(architectures, report)
    embedding.save(target, [architecture.id for architecture in architectures], points)
    elapsed = time.monotonic() - start
    _print_result(
        {
            "out": str(target),
            "shape": list(points.shape),
            "num_landmarks": len(embedding.landmarks),
            "stress": embedding.stress,
            "spearman": _rank_correlation(loaded, architectures, points, seed),
            "elapsed_s": round(elapsed, 2),
        },
        as_json,
    )


@app.command(epilog=f"Example: {NAME} show 03a466b59d370a75 --out winner.svg")
def show(
    architecture: Annotated[str, typer.Argument(help="An id, a model_dict as JSON, or a file that holds one.")],
    space: Annotated[str, typer.Option(help="Where an id is looked up: level 1 of this space.")] = "flexibert_mini",
    out: Annotated[Path | None, typer.Option(help="SVG file; ID.svg by default.")] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Draw an architecture as SVG, and print its parameters and operations."""
    found = _find(architecture, space)
    target = _new_file(out or Path(f"{found.id}.svg"), ".svg", overwrite)
    with written_whole(target) as file:
        file.write(draw(found).encode())
    counted = not found.per_head
    _print_result(
        {
            "id": found.id,
            "model_dict": found.to_model_dict(),
            "params": num_parameters(found) if counted else None,
            "flops_at_128_tokens": num_flops(found) if counted else None,
            "out": str(target),
        },
        as_json,
    )


def _rank_correlation(
    space: DesignSpace, architectures: Sequence[Architecture], points: NDArray[np.float64], seed: int
) -> float | None:
    """Spearman correlation of embedded and graph edit distances, over a sample's pairs; None where it has none."""
    from scipy.stats import spearmanr  # half a second, and no other command needs it

    number = min(_NUM_CHECKED, len(architectures))
    chosen = _rng(seed, 2).choice(len(architectures), number, replace=False)
    costs = EditCosts.of(space)
    matrix = edit_distances(Graphs([architectures[index] for index in chosen], costs))
    correlation = float(spearmanr(matrix[np.triu_indices(number, 1)], pdist(points[chosen])).statistic)
    return correlation if math.isfinite(correlation) else None


def _load(space: str, constraint: Sequence[str] | None) -> DesignSpace:
    return DesignSpace.load(space).within([Constraint.parse(text) for text in constraint or ()])


def _listed(space: DesignSpace, level: int, way_out: str) -> list[Architecture]:
    """Every architecture of a level that is small enough for a matrix."""
    size = space.size(level)
    if size > MAX_GRAPHS:
        raise InputError(f"{space.name}: at most {MAX_GRAPHS} graphs fit here, level {level} has {size}. {way_out}")
    found = list(space.enumerate(level))
    if not found:
        raise InputError(f"{space.name}: no architecture of level {level} is within the limits. Relax them.")
    return found


def _find(text: str, space: str) -> Architecture:
    if text.lstrip().startswith("{"):
        return Architecture.from_json(text)
    path = Path(text)
    if path.is_file():
        return Architecture.from_json(path.read_text("utf-8", errors="replace"), where=text)
    if os.path.sep in text or path.suffix:
        raise InputError(f"show: must be an id, JSON or a file, got {text!r}, which is no file.")
    loaded = DesignSpace.load(space)
    if loaded.size(1) > _MAX_LOOKED_UP:
        raise InputError(f"show: {loaded.name} is too large to look an id up. Give the model_dict as JSON.")
    for architecture in loaded.enumerate(1):
        if architecture.id == text:
            return architecture
    raise InputError(f"show: {text!r} is no id of level 1 of {loaded.name}. Give the model_dict as JSON.")


def _at_least(least: int, **options: int) -> None:
    for name, value in options.items():
        if value < least:
            raise InputError(f"--{name}: must be at least {least}, got {value}.")


def _rng(*seeds: int) -> np.random.Generator:
    _at_least(0, seed=seeds[0])
    return np.random.default_rng(seeds)


def _new_file(path: Path, suffix: str, overwrite: bool) -> Path:
    """A path that can be written, checked before any work."""
    if path.suffix != suffix:
        raise InputError(f"--out: must end in {suffix}, got {str(path)!r}.")
    if not path.parent.is_dir():
        raise InputError(f"--out: the folder {str(path.parent)!r} does not exist. Make it first.")
    if path.exists() and not overwrite:
        raise InputError(f"--out: {str(path)!r} exists. Give another name, or --overwrite.")
    if path.is_dir():
        raise InputError(f"--out: {str(path)!r} is a folder. Give a file.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        reason = error.strerror
        raise InputError(f"--out: {str(path.parent)!r} cannot be written to ({reason}). Give another folder.") from None
    return path


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flexibert-boshnas" / "distances"


def _kind(kind: str) -> Kind:
    return next(each for each in KINDS if each == kind)


def _print_architectures(space: DesignSpace, level: int, architectures: Iterator[Architecture], as_json: bool) -> None:
    if not as_json:
        for architecture in architectures:
            sys.stdout.write(f"{architecture.id}  {json.dumps(architecture.to_model_dict())}\n")
        return
    # Written piece by piece: a level may hold millions.
    sys.stdout.write(f'{{"name": {json.dumps(space.name)}, "level": {level}, "architectures": [')
    for number, architecture in enumerate(architectures):
        item = {"id": architecture.id, "model_dict": architecture.to_model_dict()}
        sys.stdout.write((", " if number else "") + json.dumps(item))
    sys.stdout.write("]}\n")


def _print_result(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(result)
        return
    width = max(map(len, result))
    for key, value in result.items():
        shown = (
            json.dumps(value)
            if isinstance(value, dict | list)
            else f"{value:.6g}"
            if isinstance(value, float)
            else value
        )
        sys.stdout.write(f"{key.replace('_', ' '):{width}}  {shown}\n")


def _print_json(content: object) -> None:
    sys.stdout.write(json.dumps(content) + "\n")


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False)


def _counted(size: int | None) -> str:
    return "not counted (its limits leave too many sums; `sample` still works)" if size is None else str(size)


def _joined(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _short(size: int) -> str:
    return f"{size:,}" if size < 10**12 else f"{size:.3e}"


if __name__ == "__main__":
    sys.exit(run_app(app, NAME, sys.argv[1:] or ["--help"], OSError))
