"""Gram matrix of per-example embedding gradients: time and peak memory, as a Markdown table.

`python benchmarks/gradients.py`. Each line runs in a process of its own, whose largest resident
set (ru_maxrss) also counts Python, the libraries and the model: the column before it says how
much that was. The reference is what Appendix M names, torch.func.vmap of the gradient. It holds
the gradients and several copies of the logits of all units, for 16 units of GPT-2 124M 2.3 GiB
(16 V d floats) and 3.1 GiB each (16 T V floats), and is compared on a small model only.
"""

import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

THREADS = 1  # more wait for each other whenever the machine is shared
KIB_PER_UNIT = 1 / 1024 if sys.platform == "darwin" else 1  # of ru_maxrss
# Layers, heads, d and V of the model, T, units, repeats.
SIZES = {
    "small": (4, 4, 256, 8192, 256, 8, 5),
    "GPT-2 124M": (12, 12, 768, 50304, 1024, 16, 1),
}
CASES = [("small", "reference"), ("small", "ours"), ("GPT-2 124M", "ours")]


def prepare(size: str, method: str) -> Callable:
    """A function without arguments that computes the Gram matrix of random tokens."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from noiselab import gradients

    layers, heads, width, rows, length, units, _ = SIZES[size]
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    sizes = {"n_layer": layers, "n_head": heads, "n_embd": width, "n_positions": length}
    ends = {"bos_token_id": None, "eos_token_id": None}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=rows, **sizes, **ends)).eval()
    tokens = torch.randint(rows, (units // 2, length + 1))
    corrupted = torch.rand(units // 2, length) < 0.5
    batch = gradients.units_of_batch(tokens[:, :-1], tokens[:, 1:], corrupted, "tokens")[:3]
    function = {"ours": gradients.embedding_gram, "reference": reference}[method]
    return lambda: function(model, *batch)


def reference(model, inputs, targets, weights):
    """vmap(grad) with respect to the tied embedding, then the inner products."""
    from torch.func import functional_call, grad, vmap
    from torch.nn.functional import cross_entropy

    model.requires_grad_(False)
    model.set_attn_implementation("eager")  # the fused one has no rule for vmap

    def loss(embedding, x, y, w):
        replaced = {"transformer.wte.weight": embedding}
        logits = functional_call(model, replaced, (x[None],), {"use_cache": False}).logits[0]
        return (w * cross_entropy(logits, y, reduction="none")).sum()

    per_unit = vmap(grad(loss), in_dims=(None, 0, 0, 0))
    found = per_unit(model.transformer.wte.weight, inputs, targets, weights).flatten(1).double()
    return found @ found.T


def run(size: str, method: str) -> dict:
    """Median seconds, and GiB before the first call and at most; for a fresh process."""
    compute = prepare(size, method)
    before, seconds = peak(), []
    for _ in range(SIZES[size][-1]):
        start = time.perf_counter()
        gram = compute()
        seconds.append(time.perf_counter() - start)
    first = gram.double()[0, :2].tolist()  # methods must agree on it
    return {"seconds": seconds, "before": before, "peak": peak(), "gram": first}


def peak() -> float:
    """Largest resident set of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_PER_UNIT / 2**20


def main() -> None:
    columns = ["model", "V x d", "T", "units", "method", "seconds (smallest to largest)"]
    columns += ["GiB before", "GiB peak", "K[0, 0], K[0, 1]"]
    print("\n## Inner products of per-example gradients (Table 4)\n")
    print("| " + " | ".join(columns) + " |")
    print("|---|---|---:|---:|---|---:|---:|---:|---|", flush=True)
    for size, method in CASES:
        command = [sys.executable, __file__, size, method]
        result = json.loads(subprocess.check_output(command, text=True))
        _, _, width, rows, length, units, _ = SIZES[size]
        seconds = result["seconds"]
        spread = f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
        gram = ", ".join(f"{value:.6g}" for value in result["gram"])
        cells = [size, f"{rows} x {width}", length, units, method, spread]
        cells += [f"{result['before']:.2f}", f"{result['peak']:.2f}", gram]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    print(f"\n{facts()}; {THREADS} thread, {platform.system()} {platform.machine()}.")


def facts() -> str:
    """Revision, versions and processor."""
    import torch

    from noiselab.provenance import describe

    return ", ".join(f"{k} {v}" for k, v in describe(torch.device("cpu")).items())


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(run(*sys.argv[1:])))
    else:
        main()
