"""Scores, statistics and other measurements."""
