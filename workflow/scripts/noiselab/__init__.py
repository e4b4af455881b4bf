"""noiselab: how much do probabilistic models lose when part of their training targets is wrong?

The library behind the scripts. Modules that the Snakefile imports (`config`, `runs`, `errors`)
need neither torch nor numpy; everything else is imported where it is used.
"""
