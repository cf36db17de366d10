"""Documents of a data set of the Hugging Face hub, streamed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from datasets import load_dataset
from huggingface_hub import dataset_info

from design_space.errors import InputError, first_line
from pretrain.columns import checked_text, column_position, pieces

_PATTERN = re.compile(
    r"(?:hub:(?P<any>[\w][\w.-]*(?:/[\w.-]+)?)|(?P<owned>[\w][\w.-]*/[\w][\w.-]*))"
    r"(?::(?P<config>[\w.-]+))?(?:@(?P<split>\w+))?"
)
_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class HubSet:
    """A split of a data set of the hub.

    Attributes:
        name: `owner/name`, or `name` alone for the few that have no owner.
        config: Which configuration; None for the only or default one.
        split: Which split.
    """

    name: str
    config: str | None = None
    split: str = "train"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `owner/name`, `hub:name`, each with `:config` and `@split` where wanted; None for anything else.

        Example:
            >>> HubSet.parse("wikimedia/wikipedia:20231101.en")
            HubSet(name='wikimedia/wikipedia', config='20231101.en', split='train')
            >>> HubSet.parse("hub:imdb@unsupervised")
            HubSet(name='imdb', config=None, split='unsupervised')
        """
        found = _PATTERN.fullmatch(text)
        if found is None:
            return None
        return cls(found["any"] or found["owned"], found["config"], found["split"] or "train")

    def __str__(self) -> str:
        config = f":{self.config}" if self.config else ""
        return f"{self.name}{config}@{self.split}"

    def revision(self) -> str:
        """The commit that the hub serves now.

        Raises:
            InputError: If the hub cannot be reached or does not have the set.
        """
        try:
            return str(dataset_info(self.name, timeout=_TIMEOUT_S).sha)
        except Exception as error:  # of whichever HTTP library the hub's client uses
            raise self.unreadable(error) from None

    def documents(self, column: str = "text") -> Iterator[str]:
        """Documents in the order of the set, without surrounding white space; empty ones are left out.

        Raises:
            InputError: If the set, its split or its column is not there, or the hub cannot be reached.
        """
        revision = self.revision()
        try:
            rows = load_dataset(self.name, self.config, split=self.split, streaming=True, revision=revision)
            for number, row in enumerate(rows, start=1):
                column_position(column, list(row), str(self))
                yield from pieces(checked_text(row[column], f"{self}: row {number}", column))
        except InputError:
            raise
        except Exception as error:  # likewise, and anything that a file of the set can raise
            raise self.unreadable(error) from None

    def unreadable(self, error: Exception) -> InputError:
        """The refusal that tells of an error, and what to give instead."""
        reason = first_line(error).rstrip(".")
        return InputError(
            f"{self}: the hub data set cannot be read ({reason}). "
            "Check name and network, or give a file or folder that exists."
        )
