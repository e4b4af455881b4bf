"""How much of single layers, and of stacks of them, survives noise at their first weights, beside
the theory of wide layers."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from noiselab.errors import run_script
from noiselab.files import whole_file
from noiselab.measures.stability import forms
from noiselab.measures.stability.estimates import gaussian_stability
from noiselab.measures.statistics import t_interval
from noiselab.models.small_transformer import attended_once

GROUPS = 32  # of four pairs of inputs, per network and correlation
HIDDEN = 4  # units of a layer over its width
BATCH = 256  # inputs at a time: those of attention are long


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--correlations", type=float, nargs="+", required=True)
    parser.add_argument("--widths", type=int, nargs="+", required=True, help="of ReLU layers")
    parser.add_argument("--variances", type=float, nargs="+", required=True, help="of scores")
    parser.add_argument("--tokens", type=int, required=True, help="that attention chooses among")
    parser.add_argument("--layers", type=int, required=True, help="of a stack, at most")
    parser.add_argument("--networks", type=int, required=True, help="of other first weights each")
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = pd.DataFrame(_rows(arguments))
    with whole_file(arguments.out) as path:
        table.to_csv(path, index=False)


def _rows(arguments: argparse.Namespace) -> Iterator[dict]:
    """A row per layer or stack and correlation: the share that survives, the mean over networks
    with its interval, and what the theory says."""
    widest, several = max(arguments.widths), arguments.networks
    for rho in arguments.correlations:
        for width in arguments.widths:
            make = relu_layer(width)
            found = _measured(make, (width,), rho, several)
            yield {"part": "relu", "setting": width, "rho": rho, **found} | {
                "theory": float(forms.arc_cosine(rho))
            }
        for variance in arguments.variances:
            make = attention_layer(widest, variance)
            found = _measured(make, (arguments.tokens, widest), rho, several)
            yield {"part": "attention", "setting": variance, "rho": rho, **found} | {
                "theory": float(forms.attention(rho, variance, widest, arguments.tokens))
            }
        for name, residual, theory in (
            ("stack", False, forms.through_layers),
            ("residual_stack", True, forms.residual_layers),
        ):
            for layers in range(1, arguments.layers + 1):
                make = stack(widest, layers, residual)
                found = _measured(make, (widest,), rho, several)
                yield {"part": name, "setting": layers, "rho": rho, **found} | {
                    "theory": float(theory(rho, layers))
                }


def _measured(make: Callable, shape: tuple[int, ...], rho: float, networks: int) -> dict:
    """Of networks whose first weights differ, on inputs of this shape."""
    shares = []
    for seed in range(networks):
        generator = torch.Generator().manual_seed(seed)
        network = make(generator)
        found = gaussian_stability(network, shape, rho, GROUPS, generator, BATCH)
        shares.append(found.share.value)
    low, high, _ = t_interval(shares)
    found = {"measured": sum(shares) / networks, "ci_low": low, "ci_high": high}
    return found | {"networks": networks}


def relu_layer(width: int) -> Callable:
    """A linear map, ReLU and a linear map, all first weights normal of variance 1 / inputs."""

    def make(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        inner, outer = (
            _weights(width, HIDDEN * width, generator),
            _weights(HIDDEN * width, width, generator),
        )
        return lambda inputs: (inputs @ inner).relu() @ outer

    return make


def attention_layer(width: int, variance: float) -> Callable:
    """What the last of some tokens attends to, [n, T, d] to [n, 1, d], with one head. variance: of
    its scores."""

    def make(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        queries, keys, values = (_weights(width, width, generator) for _ in range(3))
        queries = queries * variance**0.5

        def layer(tokens: Tensor) -> Tensor:
            return attended_once(tokens[:, -1:] @ queries, tokens @ keys, tokens @ values, heads=1)

        return layer

    return make


def stack(width: int, layers: int, residual: bool) -> Callable:
    """ReLU layers, one after the other; residual: each is added to its input."""

    def make(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        parts = [relu_layer(width)(generator) for _ in range(layers)]

        def network(inputs: Tensor) -> Tensor:
            for part in parts:
                inputs = inputs + part(inputs) if residual else part(inputs)
            return inputs

        return network

    return make


def _weights(inputs: int, outputs: int, generator: torch.Generator) -> Tensor:
    normal = torch.randn(inputs, outputs, generator=generator, dtype=torch.float64)
    return normal / inputs**0.5


if __name__ == "__main__":
    run_script(main)
