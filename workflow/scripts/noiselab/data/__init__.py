"""Data sets: prepared once as arrays in a folder, then read by training and evaluation."""
