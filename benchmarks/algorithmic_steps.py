"""Training steps of addition modulo 113 on all training cases, with the paper's small Transformer,
against a plain loop: the layer as one writes it first, every token's state and output computed."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, embedding, linear, scaled_dot_product_attention

from cases import case, close
from comparing import Bench, benchmark
from noiselab.data import algorithmic, prepared
from noiselab.models.small_transformer import SmallTransformer
from noiselab.planning import config
from noiselab.planning.datasets import resolve_dataset
from training_steps import AREA, our_loop, plain_loop, steps

DATASET = "modular-113"
STEPS = 20


@benchmark(AREA, "train_algorithmic")
def addition(bench: Bench) -> None:
    studies = config.load({"studies": ["noise_stability"]}, tier="desk")
    spec = resolve_dataset(studies["datasets"], DATASET, "algorithmic")
    folder = bench.folder / "data" / DATASET
    prepared.write(folder, spec, *algorithmic.splits(spec))
    of = case(bench, "algorithmic", "desk", steps(STEPS))
    settings = of.run["training"]
    _, train, _ = prepared.read(of.run["data"])
    x, y = (torch.from_numpy(part.copy()).to(bench.device) for part in train[:2])
    model = Plain(of.task.model, of.run["model"]["heads"])
    with torch.no_grad():
        close(of.task.model(x[:64]).cpu(), model(x[:64]).cpu(), bench.device)
    bench.compare(
        f"algorithmic, {DATASET}: {STEPS} steps of all {len(x):,} training cases",
        "plain loop: every token through the whole layer, loss of the last one in double "
        "precision; no history or checkpoints",
        partial(our_loop, bench, of),
        partial(plain_loop, model, settings, lambda: (x, y), loss, bench.device),
        amount=STEPS * len(x),
        unit="cases",
    )


class Plain(nn.Module):
    """The same function with the same weights, as one writes it first."""

    def __init__(self, model: SmallTransformer, heads: int):
        super().__init__()
        (layer,) = model.layers
        self.heads = heads
        names = {
            "tokens": model.tokens.weight,
            "places": model.places,
            "projections": torch.cat([layer.queries.weight, layer.keys_values.weight]),
            "mixed": layer.mixed.weight,
            "inner": layer.inner.weight,
            "inner_bias": layer.inner.bias,
            "outer": layer.outer.weight,
            "outer_bias": layer.outer.bias,
            "head": model.head.weight,
        }
        for name, weight in names.items():
            self.register_parameter(name, nn.Parameter(weight.detach().clone()))

    def forward(self, tokens: Tensor) -> Tensor:
        states = embedding(tokens.flatten(1).long(), self.tokens) + self.places
        parts = linear(states, self.projections).chunk(3, -1)
        split = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        found = scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
        states = states + linear(found, self.mixed)
        hidden = linear(states, self.inner, self.inner_bias).relu()
        states = states + linear(hidden, self.outer, self.outer_bias)
        return linear(states, self.head)[:, -1]


def loss(model: nn.Module, tokens: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(model(tokens).double(), labels)
