"""Noise stability of functions and networks: closed forms, and estimates with intervals.

Stab_rho(f) = E[<f(X), f(Y)>] for inputs X and Y of correlation rho (O'Donnell 2014, "Analysis of
Boolean Functions", Definition 2.42 and Section 11.1): what of f survives noise in its input. It is
the sum over degrees k of rho^k times the weight of f at that degree.
"""
