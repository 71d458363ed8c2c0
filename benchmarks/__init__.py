"""Measurements of speed, run by hand: ``python -m benchmarks``. Ratios within one run, compile time apart."""
