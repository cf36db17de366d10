"""What the site has beside the pages of this folder: formulas, results of the benchmarks, examples of docstrings."""

import re
from pathlib import Path
from typing import Any

from griffe import Extension, Object
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every result."""
    for path in sorted(RESULTS.glob("*.md")):
        files.append(File.generated(config, f"results/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Draw formulas, and let links to results, right in the repository, be right in the site."""
    markdown = markdown.replace("](../benchmarks/results/", "](results/")
    markdown = re.sub(r"^```math\n(.*?)\n```$", lambda shown: _formula(shown[1], "block"), markdown, flags=re.M | re.S)
    return re.sub(r"\$`(.+?)`\$", lambda shown: _formula(shown[1], "inline"), markdown)


def _formula(latex: str, display: str) -> str:
    """MathML that Markdown leaves as it is."""
    drawn = convert(latex, display=display).replace("_", "&#95;").replace("*", "&#42;")
    return f'<div class="formula">{drawn}</div>' if display == "block" else drawn


class Examples(Extension):
    """Lets griffe see an `Example:` of a docstring, which it looks for in the plural alone."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Put the section's name into the plural."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.M)
