"""Torn, edited and made-up files, 20,000 of them: each is used, or refused in one line, and nothing is lost.

Runs `tests/fuzz` with many cases, not the same ones every time.

usage: python benchmarks/fuzz.py [--cases 20000] [--out FILE.md]
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import outcome

TESTS = Path(__file__).parents[1] / "tests" / "fuzz"


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    arguments = parser.parse_args()
    kinds = re.findall(r"^def test_(\w+)", "".join(path.read_text() for path in TESTS.glob("test_*.py")), re.MULTILINE)
    each = -(-arguments.cases // len(kinds))
    begin = time.monotonic()
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-show-statistics", str(TESTS)]
    ran = subprocess.run(
        [sys.executable, *words],
        env=os.environ | {"BOSHNAS_FUZZ_CASES": str(each)},
        capture_output=True,
        text=True,
        check=False,
    )
    passing = sum(map(int, re.findall(r"- (\d+) passing, ", ran.stdout)))
    seconds = time.monotonic() - begin
    body = f"""
| what | asked | measured |
|---|---|---|
| cases that were used or refused as they should be | 20,000 | {passing:,} |
| kinds of files | | {", ".join(kind.replace("_", " ") for kind in kinds)} |
| failed | 0 | {0 if ran.returncode == 0 else ran.stdout[-2000:]} |
| seconds | | {seconds:.0f} |
"""
    outcome.publish(
        "Files that are not what they should be", ["hypothesis", "pydantic", "optuna"], "", body, arguments.out
    )
    sys.exit(ran.returncode or (0 if passing >= arguments.cases else 1))


if __name__ == "__main__":
    main()
