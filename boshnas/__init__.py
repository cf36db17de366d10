"""Bayesian optimisation with heteroscedastic surrogates over any set of measured architectures."""
