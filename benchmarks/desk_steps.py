"""Training steps of the language model of tier desk on a CPU: what the workflow's settings of
memory and of attention bring.

Each measurement runs in a process of its own, for which memory is set at its start.
"""

import json
import os
import resource
import subprocess
import sys
import time

import torch
from torch.nn.functional import cross_entropy

import comparing  # puts the library on the path
from comparing import CPU, Bench, benchmark
from noiselab.models.attention import IMPLEMENTATION
from noiselab.models.gpt2 import gpt2
from noiselab.planning import config
from noiselab.processes import MEMORY, keep_memory
from noiselab.training import precision

LIMIT = 600  # seconds that a measurement may take
FIRST, STEPS = 3, 20  # steps before the measured ones, and these
FUSED = "sdpa"  # transformers' name of PyTorch's attention


@benchmark("training step", "memory", rounds=7, on_device=False, in_bf16=True)
def memory(bench: Bench) -> None:
    compare(
        bench,
        "memory kept by the process",
        "the same, as glibc treats memory by default",
        (IMPLEMENTATION, True),
        (IMPLEMENTATION, False),
    )


@benchmark("training step", "attention", rounds=7, on_device=False, in_bf16=True)
def attention(bench: Bench) -> None:
    compare(
        bench,
        "attention in parts where it computes in bf16",
        "PyTorch's fused attention, as transformers calls it",
        (IMPLEMENTATION, True),
        (FUSED, True),
    )


def compare(bench: Bench, what: str, reference: str, ours: tuple, theirs: tuple) -> None:
    """Add the line of two settings: attention, and whether memory is kept."""
    found = ([], [])
    for _ in range(bench.rounds):
        for setting, results in zip((ours, theirs), found, strict=True):
            results.append(measured(*setting))
    training = config.load(tier="desk")["language_model"]
    computed = precision.resolved("auto", CPU)
    note = ", ".join(
        f"{name} {max(result['peak'] for result in results):.2f} GiB at most"
        for name, results in zip(("ours", "reference"), found, strict=True)
    )
    bench.add(
        f"language model of tier desk in {computed}, {what}: {STEPS} steps of "
        f"{training['batch_size']} sequences",
        reference,
        *([result["seconds"] for result in results] for results in found),
        note=note,
    )


def measured(implementation: str, kept: bool) -> dict:
    """Seconds of the steps and GiB at most of a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k not in MEMORY}
    environment |= MEMORY if kept else {}
    command = [sys.executable, __file__, implementation, *(["kept"] if kept else [])]
    return json.loads(subprocess.check_output(command, text=True, timeout=LIMIT, env=environment))


def steps(implementation: str) -> dict:
    """Train on random tokens as the loop does: the same precision, optimiser and clipping."""
    torch.set_num_threads(comparing.THREADS)
    torch.manual_seed(0)
    loaded = config.load(tier="desk")
    recipe, vocabulary = loaded["language_model"], loaded["datasets"]["english"]
    settings = {k: v for k, v in recipe["model"].items() if k != "name"}
    model = gpt2(vocabulary["vocabulary"], **settings)
    model.config._attn_implementation = implementation
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    shape = recipe["batch_size"], settings["context"]
    for step in range(FIRST + STEPS):
        if step == FIRST:
            start = time.perf_counter()
        tokens = torch.randint(vocabulary["vocabulary"], shape)
        with precision.autocast(precision.resolved("auto", CPU), CPU):
            logits = model(tokens).logits
            loss = cross_entropy(logits.flatten(0, 1).float(), tokens.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": time.perf_counter() - start, "peak": peak}


if __name__ == "__main__":
    if "kept" in sys.argv:
        keep_memory()
    print(json.dumps(steps(sys.argv[1])))
