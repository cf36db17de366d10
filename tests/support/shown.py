"""What README.md and docs/ show: commands, Python, files. One way to read them, for all tests of the documentation."""

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: Its path in the repository.
        line: Number of its first line.
        language: As the fence names it.
        text: What stands between the fences.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def is_file(self) -> bool:
        """Whether it is one of `files`."""
        return self.text in files().values()


@dataclass(frozen=True)
class Shown:
    """One command of a page."""

    page: str
    line: int
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return shlex.join(self.words)


@cache
def blocks() -> tuple[Block, ...]:
    found = []
    for path in PAGES:
        text = path.read_text("utf-8")
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 2
            found.append(Block(str(path.relative_to(ROOT)), line, match[1], match[2]))
    return tuple(found)


@cache
def commands() -> tuple[Shown, ...]:
    """Every command of a block of shell."""
    return tuple(
        Shown(block.page, block.line, words)
        for block in blocks()
        if block.language == "sh"
        for words in words_of(block)
    )


def words_of(block: Block) -> tuple[tuple[str, ...], ...]:
    """The commands of a block of shell without comments, those that && joins apart."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            found.append(tuple(words[:end]))
            words = words[end + 1 :]
    return tuple(found)


@cache
def files() -> dict[str, str]:
    """Files that pages show whole, between `<!-- NAME -->` and `<!-- end -->`, by name."""
    found = {}
    for path in PAGES:
        for match in re.finditer(
            r"<!-- (\S+\.\S+) -->\n```\w+\n(.*?)```\n<!-- end -->", path.read_text("utf-8"), re.DOTALL
        ):
            found[match[1]] = match[2]
    return found
