"""Measurements of speed, run by hand: ratios within one run, compile time apart."""
