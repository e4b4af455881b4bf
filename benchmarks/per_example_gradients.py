"""Gram matrix of per-example embedding gradients: time and peak memory.

Each measurement runs in a process of its own, whose peak also counts Python, the libraries and the
model. References: torch.func.vmap of the gradient, which Appendix M names and which holds the
gradients and several copies of the logits of all units, for 16 units of GPT-2 124M 2.3 GiB
(16 V d floats) and 3.1 GiB each (16 T V floats), so that it is compared on a small model only; and
torch.autograd.grad unit by unit, which holds the gradients.
"""

import json
import resource
import subprocess
import sys
import time

import numpy as np
import torch
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

import comparing  # puts the library on the path
from comparing import Bench, benchmark
from noiselab.measures import gradients

KIB_PER_UNIT = 1 / 1024 if sys.platform == "darwin" else 1  # of ru_maxrss
LIMIT = 3600  # seconds that a measurement may take
# Layers, heads, d and V of the model, T, units.
SIZES = {"small": (4, 4, 256, 8192, 256, 8), "GPT-2 124M": (12, 12, 768, 50304, 1024, 16)}
REASON = "Ours holds no gradients, only some rows of all of them, and computes the logits twice."


@benchmark("per-example gradients", "gradients", rounds=5)
def small(bench: Bench) -> None:
    in_processes(bench, "small", "vmap", "torch.func.vmap of the gradient")
    in_processes(bench, "small", "one_by_one", "torch.autograd.grad, unit by unit")
    if comparing.peer("opacus"):
        in_processes(bench, "small", "opacus", "Opacus, which keeps the gradient of each unit")


@benchmark("per-example gradients", "gradients_gpt2", rounds=1)
def gpt2(bench: Bench) -> None:
    in_processes(bench, "GPT-2 124M", "one_by_one", "torch.autograd.grad, unit by unit")


def in_processes(bench: Bench, size: str, method: str, reference: str) -> None:
    """Add the lines of time and of peak memory."""
    command = [sys.executable, __file__, size, bench.device.type]
    found = {"ours": [], method: []}
    for _ in range(bench.rounds):
        for name, results in found.items():
            said = subprocess.check_output([*command, name], text=True, timeout=LIMIT)
            results.append(json.loads(said))
        grams = [np.array(results[-1]["gram"]) for results in found.values()]
        np.testing.assert_allclose(*grams, rtol=1e-3, atol=1e-3 * grams[0].max())
    *_, width, rows, length, units = SIZES[size]
    what = f"Gram matrix of {units} units, {size} (V {rows}, d {width}, T {length})"
    before = found["ours"][-1]["before"]
    for name, unit, more in (
        ("seconds", "s", {"reason": REASON}),
        ("peak", "GiB", {"note": f"{before:.2f} GiB are there before: libraries and model"}),
    ):
        sides = ([result[name] for result in results] for results in found.values())
        bench.add(f"{what}: {name}", reference, *sides, unit=unit, **more)


def run(size: str, device: torch.device, method: str) -> dict:
    """Seconds of a computation, GiB before it and at most, and its result."""
    layers, heads, width, rows, length, units = SIZES[size]
    torch.set_num_threads(comparing.THREADS)
    torch.manual_seed(0)
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"n_layer": layers, "n_head": heads, "n_embd": width, "n_positions": length}
    ends = {"bos_token_id": None, "eos_token_id": None}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=rows, **sizes, **ends)).eval().to(device)
    tokens = torch.randint(rows, (units // 2, length + 1))
    corrupted = torch.rand(units // 2, length) < 0.5
    batch = gradients.units_of_batch(tokens[:, :-1], tokens[:, 1:], corrupted, "tokens")[:3]
    batch = [tensor.to(device) for tensor in batch]
    before, start = peak(device), time.perf_counter()
    gram = METHODS[method](model, *batch).cpu()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "before": before, "peak": peak(device), "gram": gram.tolist()}


def peak(device: torch.device) -> float:
    """Most memory so far, GiB: of this process, or on the GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    if sys.platform == "linux":  # where ru_maxrss begins with that of the process's parent
        with open("/proc/self/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) for line in file if "VmHWM" in line) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_PER_UNIT / 2**20


def by_vmap(model, inputs, targets, weights):
    model.requires_grad_(False)
    model.set_attn_implementation("eager")  # the fused one has no rule for vmap

    def loss(embedding, x, y, w):
        replaced = {"transformer.wte.weight": embedding}
        logits = functional_call(model, replaced, (x[None],), {"use_cache": False}).logits[0]
        return (w * cross_entropy(logits, y, reduction="none")).sum()

    per_unit = vmap(grad(loss), in_dims=(None, 0, 0, 0))
    found = per_unit(model.transformer.wte.weight, inputs, targets, weights).flatten(1).double()
    return found @ found.T


def one_by_one(model, inputs, targets, weights):
    embedding = model.transformer.wte.weight
    found = embedding.new_empty(len(inputs), embedding.numel())
    for row, x, y, w in zip(found, inputs, targets, weights, strict=True):
        logits = model(x[None], use_cache=False).logits[0]
        loss = (w * cross_entropy(logits, y, reduction="none")).sum()
        row.copy_(torch.autograd.grad(loss, embedding)[0].flatten())
    return found @ found.T


def by_opacus(model, inputs, targets, weights):
    """Hooks that keep each unit's gradient, as for private training."""
    from opacus.grad_sample import GradSampleModule

    embedding = model.transformer.wte.weight
    model.requires_grad_(False)
    embedding.requires_grad_(True)
    for module in model.train().modules():  # its hooks keep nothing of a model in eval mode
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    kept = GradSampleModule(model, batch_first=True, loss_reduction="sum", strict=False)
    logits = kept(inputs, use_cache=False).logits
    losses = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    (weights.flatten() * losses).sum().backward()
    found = embedding.grad_sample.flatten(1).double()
    return found @ found.T


METHODS = {
    "ours": gradients.embedding_gram,
    "vmap": by_vmap,
    "one_by_one": one_by_one,
    "opacus": by_opacus,
}

if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], torch.device(sys.argv[2]), sys.argv[3])))
