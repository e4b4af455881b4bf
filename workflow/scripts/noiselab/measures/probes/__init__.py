"""Probes: small heads on frozen features, a whole grid of them fitted at once."""
