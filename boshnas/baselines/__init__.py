"""Search policies to compare with, one a file; only the lightest is imported here."""

from boshnas.baselines.random_search import RandomSearcher

__all__ = ["RandomSearcher"]
