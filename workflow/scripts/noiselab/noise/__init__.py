"""Corruption of training targets, and what any calibrated model must lose by it."""
