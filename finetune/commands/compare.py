"""`python -m finetune compare A.json B.json`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from finetune.commands.parser import Parser
from finetune.outcomes.compare import compare
from finetune.outcomes.file import read_outcomes


def compare_files(arguments: Sequence[str]) -> None:
    """Say whether two settings differ, from the result.json of each."""
    parser = Parser(
        "python -m finetune compare",
        description="Whether two settings differ: paired by seed where they share seeds.",
        epilog="example: python -m finetune compare adam/result.json mfac/result.json",
    )
    parser.add_argument("a", metavar="A.json", type=Path, help="result.json of one setting, or its folder")
    parser.add_argument("b", metavar="B.json", type=Path, help="result.json of the other")
    parser.add_argument("--json", action="store_true", help="print the comparison as one JSON line")
    given = parser.parse_args(arguments)
    found = compare(read_outcomes(given.a), read_outcomes(given.b))
    if given.json:
        files = {"file_a": str(given.a), "file_b": str(given.b)}
        sys.stdout.write(json.dumps(files | found.to_json()) + "\n")
    else:
        sys.stdout.write(found.text(given.a, given.b))
