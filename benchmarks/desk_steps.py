"""Training steps of the language models of tier desk on a CPU: what the workflow's settings of
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
PYTORCHS = "PyTorch's fused attention, as transformers calls it"
NARROW = "next_token"  # the experiment of the third study whose heads are 5 wide


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
        PYTORCHS,
        (IMPLEMENTATION, True),
        (FUSED, True),
    )


@benchmark("training step", "narrow_heads", rounds=7, on_device=False)
def narrow_heads(bench: Bench) -> None:
    what = "heads of width 5 computed as if they had 16"
    compare(bench, what, PYTORCHS, (IMPLEMENTATION, True), (FUSED, True), NARROW)


def compare(
    bench: Bench, what: str, reference: str, ours: tuple, theirs: tuple, experiment: str = ""
) -> None:
    """Add the line of two settings: attention, and whether memory is kept. experiment: whose
    recipe and data these are, or the family's own."""
    found = ([], [])
    for _ in range(bench.rounds):
        for setting, results in zip((ours, theirs), found, strict=True):
            results.append(measured(*setting, experiment))
    training, _ = recipe(experiment)
    note = ", ".join(
        f"{name} {max(result['peak'] for result in results):.2f} GiB at most"
        for name, results in zip(("ours", "reference"), found, strict=True)
    )
    bench.add(
        f"language model of tier desk in {computed(experiment)}, {what}: {STEPS} steps of "
        f"{training['batch_size']} sequences",
        reference,
        *([result["seconds"] for result in results] for results in found),
        note=note,
    )


def recipe(experiment: str) -> tuple[dict, int]:
    """The training of an experiment, or of the family, and the size of its vocabulary."""
    loaded = config.load({"studies": ["low_quality_data", "noise_stability"]}, tier="desk")
    training, data = loaded["language_model"], "english"
    if experiment:
        asked = loaded["experiments"][experiment]
        training, data = training | asked["training"], asked["datasets"][0]
    return training, loaded["datasets"][data]["vocabulary"]


def computed(experiment: str) -> str:
    """The precision: heads that are narrow are widened in single precision alone."""
    return precision.resolved("fp32" if experiment == NARROW else "auto", CPU)


def measured(implementation: str, kept: bool, experiment: str) -> dict:
    """Seconds of the steps and GiB at most of a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k not in MEMORY}
    environment |= MEMORY if kept else {}
    command = [sys.executable, __file__, implementation, experiment, *(["kept"] if kept else [])]
    return json.loads(subprocess.check_output(command, text=True, timeout=LIMIT, env=environment))


def steps(implementation: str, experiment: str) -> dict:
    """Train on random tokens as the loop does: the same precision, optimiser and clipping."""
    torch.set_num_threads(comparing.THREADS)
    torch.manual_seed(0)
    training, vocabulary = recipe(experiment)
    settings = {k: v for k, v in training["model"].items() if k != "name"}
    model = gpt2(vocabulary, **settings)
    model.config._attn_implementation = implementation
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    shape = training["batch_size"], settings["context"]
    for step in range(FIRST + STEPS):
        if step == FIRST:
            start = time.perf_counter()
        tokens = torch.randint(vocabulary, shape)
        with precision.autocast(computed(experiment), CPU):
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
    print(json.dumps(steps(sys.argv[1], sys.argv[2])))
