"""Settings of a network, from the `model` of a run."""

from collections.abc import Callable
from inspect import signature

from noiselab.errors import NoiselabError


def network_settings(network: Callable, model: dict) -> dict:
    """`model` without the network's name, as arguments of the function that makes the network.

    NoiselabError names a setting that this network does not have: it would change nothing.
    """
    settings = {key: value for key, value in model.items() if key != "name"}
    known = signature(network).parameters
    for key in settings:
        if key not in known:
            raise NoiselabError(f"model {model['name']}: it has no setting {key}")
    return settings
