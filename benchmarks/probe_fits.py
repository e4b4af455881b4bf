"""Fits of probes per second: a grid at once against a plain loop, fit by fit.

The plain loop is what one writes first: torch.nn layers, torch.optim.AdamW, and for the penalty
autograd with create_graph, so that a gradient of gradients is computed by differentiating twice.
"""

import itertools
import resource
import subprocess
import sys

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from comparing import THREADS, Bench, benchmark, seconds
from noiselab import streams
from noiselab.measures.probes.fits import Items, Setting, fit
from noiselab.measures.probes.heads import head_shapes

SEEDS = range(10)
STEPS = 60  # of each fit
LIMIT = 300  # seconds that the measurement of memory may take
# Settings of one size of batch: with 10 seeds, 500 fits.
SETTINGS = [
    Setting(rate, 8, penalty="gradient_matching", strength=strength, radius=radius)
    for rate, strength, radius in itertools.product(
        (3e-4, 6e-4), (0.05, 0.1, 0.15, 0.3, 0.6), (0.001, 0.005, 0.01, 0.05, 0.1)
    )
]


@benchmark("probes", "probe_fits", rounds=5)
def probe_fits(bench: Bench) -> None:
    for size in ((192, None, 25), (768, None, 25), (192, 192, 10), (768, 768, 4)):
        compare(bench, *size)


def compare(bench: Bench, features: int, hidden: int | None, plain: int) -> None:
    """500 fits at once against `plain` of the same, one by one; per fit."""
    train = problem(features, bench.device)
    grid = list(itertools.product(SEEDS, SETTINGS))
    chosen = grid[:: len(grid) // plain][:plain]

    def ours():
        fit(train, {}, SETTINGS, list(SEEDS), epochs=1, hidden=hidden)

    def theirs():
        for seed, setting in chosen:
            plain_fit(train, setting, seed, epochs=1, hidden=hidden)

    head = "linear head" if hidden is None else f"two layers, {hidden} hidden units"
    what = f"fits of a probe with gradient matching, {features} features, {head}, {STEPS} steps"
    first, second = [], []
    for function, times, fits in [(ours, first, len(grid)), (theirs, second, plain)] * bench.rounds:
        times.append(seconds(function, bench.device, 1) / fits)
    note = ""
    if bench.device.type == "cpu":
        command = [sys.executable, __file__, str(features), str(hidden or 0)]
        more = float(subprocess.check_output(command, text=True, timeout=LIMIT))
        note = f"all {len(grid)} fits at once take {more:.2g} GiB"
    bench.add(what, "autograd, one by one", first, second, note=note)


def memory(features: int, hidden: int | None) -> float:
    """GiB that this process takes at most for all fits at once, beyond what it has before them."""
    train = problem(features, torch.device("cpu"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fit(train, {}, SETTINGS, list(SEEDS), epochs=1, hidden=hidden)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20


def problem(features: int, device: torch.device, classes: int = 2) -> Items:
    """STEPS batches of 8 items in two clouds."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (8 * STEPS,), generator=generator)
    centres = torch.randn(classes, features, generator=generator)
    cloud = torch.randn(len(labels), features, generator=generator)
    return Items((centres[labels] * 0.2 + cloud).to(device), labels.to(device))


def plain_fit(
    train: Items,
    setting: Setting,
    seed: int,
    *,
    epochs: int,
    hidden: int | None,
    schedule: str = "constant",
) -> list[nn.Linear]:
    """The layers of one fit, trained one step after the other."""
    layers = head(train, seed, hidden)
    model = (
        nn.Sequential(layers[0])
        if hidden is None
        else nn.Sequential(layers[0], nn.ReLU(), layers[1])
    )
    model.to(train.features)
    parameters = list(model.parameters())
    rate, decay = setting.learning_rate, setting.weight_decay
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    steps = epochs * -(-len(train.labels) // setting.batch_size)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    step = 0
    for epoch in range(epochs):
        order = torch.from_numpy(streams.permutation(seed, "probe-order", epoch, len(train.labels)))
        for chosen in order.to(train.labels.device).split(setting.batch_size):
            features, labels = train.features[chosen], train.labels[chosen]
            kept = drawn(torch.rand, seed, "probe-dropout", step, features) >= setting.dropout
            features = features * kept / (1 - setting.dropout)
            noise = drawn(torch.randn, seed, "probe-noise", step, features)
            optimizer.zero_grad()
            plain_loss(model, features, noise, labels, setting).backward()
            optimizer.step()
            step += 1
            if schedule == "cosine":
                annealing.step()
    return layers


def drawn(kind, seed: int, stream: str, step: int, like: torch.Tensor) -> torch.Tensor:
    """The random numbers of a step."""
    generator = torch.Generator().manual_seed(streams.integer(seed, stream, step))
    return kind(like.shape, generator=generator).to(like)


def plain_loss(model, features, noise, labels, setting: Setting):
    """Cross-entropy and penalty, by automatic differentiation."""
    clean = cross_entropy(model(features), labels)
    noisy = cross_entropy(model(features + setting.radius * noise), labels)
    loss = noisy if setting.noisy_loss else clean
    if setting.penalty == "none":
        return loss
    parameters = list(model.parameters())
    g, h = (
        torch.cat(
            [part.flatten() for part in torch.autograd.grad(side, parameters, create_graph=True)]
        )
        for side in (clean, noisy)
    )
    penalty = {
        "gradient_matching": lambda: (g - h).norm(),
        "gradient_norm": lambda: g.norm(),
        "gradient_cosine": lambda: 1 - torch.cosine_similarity(g, h, dim=0),
    }[setting.penalty]()
    return loss + setting.strength * penalty


def head(train: Items, seed: int, hidden: int | None) -> list[nn.Linear]:
    """Layers with the first weights that a fit of that seed has."""
    classes = int(train.labels.max()) + 1
    layers, start = [], 0
    for out, width in head_shapes(train.features.shape[1], classes, hidden):
        u = torch.from_numpy(streams.uniform(seed, "probe-weights", start, start + out * width))
        values = ((2 * u - 1) / (width - 1) ** 0.5).reshape(out, width)
        layer = nn.Linear(width - 1, out, dtype=torch.float64)
        layer.weight.data, layer.bias.data = values[:, :-1].clone(), values[:, -1].clone()
        layers.append(layer)
        start += out * width
    return layers


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    print(memory(int(sys.argv[1]), int(sys.argv[2]) or None))
