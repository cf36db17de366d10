"""BOSHNAS as an Optuna sampler."""

from boshnas.sampler.sampler import BoshnasSampler

__all__ = ["BoshnasSampler"]
