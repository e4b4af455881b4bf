"""Scores of a vision transformer: those of any classifier, and of its training images."""

from noiselab.families.classifier.score import scores

__all__ = ["scores"]
