"""noiselab: how much do probabilistic models lose when part of their training targets is wrong?

The public interface, for people with predictions of their own (docs/LIBRARY.md):

    noiselab.noise_floor(probabilities, labels, noiselab.uniform(0.4))

Everything else is the library behind the scripts. Modules that the Snakefile imports need neither
torch nor scipy, so nothing is imported before it is used.
"""

from importlib import import_module

__all__ = (
    "Noise",
    "Scores",
    "asymmetric",
    "corrupt",
    "excess",
    "measured_transitions",
    "noise_floor",
    "observed",
    "pair_flip",
    "scores",
    "shift",
    "symmetric",
    "transition_matrix",
    "uniform",
)


def __getattr__(name: str):
    # By its name alone: scripts of the workflow are not made of the interface, and planning/code.py
    # must not count it to all of them.
    if name in __all__:
        return getattr(import_module("noiselab.measures.interface"), name)
    raise AttributeError(f"module 'noiselab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
