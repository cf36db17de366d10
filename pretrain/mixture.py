"""Several sources as one stream of documents."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Self

from datasets import IterableDataset, interleave_datasets

from design_space.errors import InputError
from pretrain.config import Source
from pretrain.distinct import distinct
from pretrain.documents import read_documents, source_digest, source_files

_DRAWN = 16  # documents of a source at a time: a draw of `datasets` takes 0.2 ms


class Mixture:
    """Documents of several sources, interleaved by weight; each document once.

    Can be iterated again and again, with the same documents in the same order. One source is read in its own order. Of
    several, the next 16 documents come from a source drawn with a probability in proportion to its weight; a source
    that is exhausted is drawn no more, and the others go on until all are. So no document is lost and none is repeated:
    weights say how the sources alternate, not how much of each is taken. Exact duplicates, within a source and between
    sources, are dropped; that takes eight bytes of memory a document.

    Args:
        sources: What to mix, at least one.
        seed: Of the draws.

    Raises:
        InputError: If there is no source, or one does not exist. What is in it shows when it is read.
    """

    def __init__(self, sources: Sequence[Source], seed: int = 0) -> None:
        if not sources:
            raise InputError("corpus: must have at least one source, has none. Name a file, a folder or 'demo'.")
        for source in sources:
            source_files(source.source)
        self.sources = tuple(sources)
        self.seed = seed

    @classmethod
    def of(cls, sources: Sequence[str], column: str = "text") -> Self:
        """A mixture of equal weights."""
        return cls([Source(source=source, column=column) for source in sources])

    @cached_property
    def digests(self) -> list[str | None]:
        """What is in each source (see `source_digest`), as it was when first asked."""
        return [source_digest(source.source) for source in self.sources]

    def __iter__(self) -> Iterator[str]:
        return distinct(self._interleaved())

    def _interleaved(self) -> Iterator[str]:
        if len(self.sources) == 1:
            yield from read_documents(self.sources[0].source, self.sources[0].column)
            return
        total = sum(source.weight for source in self.sources)
        streams = [
            IterableDataset.from_generator(_handfuls, gen_kwargs={"source": source.source, "column": source.column})
            for source in self.sources
        ]
        mixed = interleave_datasets(
            streams,
            probabilities=[source.weight / total for source in self.sources],
            seed=self.seed,
            stopping_strategy="all_exhausted_without_replacement",
        )
        for row in mixed:
            yield from row["documents"]


def _handfuls(source: str, column: str) -> Iterator[dict[str, list[str]]]:
    documents = read_documents(source, column)
    while handful := list(islice(documents, _DRAWN)):
        yield {"documents": handful}
