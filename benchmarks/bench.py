"""Side-by-side timings; `make bench` writes them to docs/BENCHMARKS.md.

Each line sets one of our functions against a stated reference that does the same work, in the
same process, alternating, as a ratio with its spread over repeats. No test depends on them.
"""

import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
from noiselab import config, language_model, noise, runs, streams, training
from noiselab.data.batches import ImageBatches, TokenBatches
from noiselab.data.prepared import Split
from noiselab.provenance import describe

REPEATS = 9
BATCH = 1024


def compare(ours: Callable, reference: Callable, loops: tuple[int, int]) -> tuple[float, ...]:
    """Median seconds of ours and of the reference, and smallest and largest ratio."""
    times = {ours: [], reference: []}
    for _ in range(REPEATS):
        for function, count in zip((ours, reference), loops, strict=True):
            start = time.perf_counter()
            for _ in range(count):
                function()
            times[function].append((time.perf_counter() - start) / count)
    ratios = [r / o for o, r in zip(times[ours], times[reference], strict=True)]
    medians = (statistics.median(times[ours]), statistics.median(times[reference]))
    return (*medians, min(ratios), max(ratios))


def label_noise(classes: int):
    """Corrupting 1,024 labels: the vectorised function, random numbers included, against
    Algorithm 3 element by element, on the label tensor and on a list of Python integers."""
    labels = np.arange(BATCH) % classes
    tensor, integers = torch.from_numpy(labels), labels.tolist()

    def ours():
        u = streams.uniform(0, "noise", 7 * BATCH, 8 * BATCH)
        return noise.corrupt(labels, u, "uniform_label", 0.5, classes)

    def on_tensor():
        observed = tensor.clone()
        for i in range(len(observed)):
            if torch.rand(()) < 0.5:
                others = [c for c in range(classes) if c != int(observed[i])]
                observed[i] = others[int(torch.randint(len(others), ()))]
        return observed

    def on_list():
        observed = []
        for label in integers:
            if random.random() < 0.5:
                others = list(range(classes))
                others.remove(label)
                label = random.choice(others)
            observed.append(label)
        return observed

    name = f"corrupt {BATCH} labels, {classes} classes"
    return [
        (name, "Algorithm 3, element by element, on the label tensor", ours, on_tensor, (500, 5)),
        (name, "Algorithm 3, element by element, on Python integers", ours, on_list, (500, 50)),
    ]


def augmentation():
    """Crop and mirror 1,024 CIFAR-sized images: one gather against torchvision, image by image."""
    from torchvision.transforms import v2

    images = np.random.default_rng(0).integers(0, 256, (BATCH, 3, 32, 32), dtype=np.uint8)
    run = {"seed": 0, "augment": {"crop": 4, "flip": True}, "corruption": "none"}
    batches = ImageBatches(run, Split(images, np.zeros(BATCH, dtype=np.int64)), torch.device("cpu"))
    transform = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])
    tensor = torch.from_numpy(images)
    return [
        (
            f"batch of {BATCH} images 3x32x32: gather, crop, mirror",
            "torchvision transforms, image by image",
            lambda: batches(0, BATCH),
            lambda: torch.stack([transform(image) for image in tensor]),
            (20, 2),
        )
    ]


STEPS = 20


def language_model_training():
    """Training steps of a small GPT-2, our loop with noise, checkpoints and history against the
    plainest loop of the same model, batch and precision, without any of them."""
    run = language_model_run()
    device = torch.device("cpu")
    tokens = np.random.default_rng(0).integers(0, run["vocabulary"], 200_000).astype(np.uint16)
    settings = training.Settings(**run["training"])
    batches = TokenBatches(run, tokens, device)

    def ours():
        with TemporaryDirectory() as folder:
            training.train(
                language_model.build(run),
                batches,
                language_model.loss,
                settings,
                seed=0,
                run_digest="",
                folder=Path(folder),
                device=device,
            )

    def plain():
        model = language_model.build(run)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95))
        context, size = run["model"]["context"], settings.batch_size
        text = torch.from_numpy(tokens.astype(np.int64))
        for _ in range(STEPS):
            places = torch.randint(len(text) - context - 1, (size,))
            x = torch.stack([text[p : p + context] for p in places])
            y = torch.stack([text[p + 1 : p + 1 + context] for p in places])
            logits = model(x).logits
            torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    name = f"{STEPS} training steps of GPT-2 at tier quick"
    step = language_model_step(run, batches)
    return [
        (name, "plain loop: no noise, schedule, history or checkpoints", ours, plain, (1, 1)),
        ("a batch of the same (text, noise)", "the training step it feeds", *step, (20, 2)),
    ]


def language_model_run() -> dict:
    """The noisiest language-model run of tier quick, cut to a few steps."""
    plan = runs.plan(config.load(tier="quick"), "results/quick")
    run = plan.runs[plan.experiments["table7"][-1]]
    run["training"] |= {"steps": STEPS, "schedule_steps": STEPS, "evaluate_every": None}
    return run


def language_model_step(run: dict, batches) -> tuple[Callable, Callable]:
    """Making a batch, and the training step on a batch that is there already."""
    size = run["training"]["batch_size"]
    model, batch = language_model.build(run), batches(0, size)
    optimizer = training.build_optimizer(model, run["training"]["optimizer"])

    def step():
        language_model.loss(model, batch).backward()
        optimizer.step()
        optimizer.zero_grad()

    return (lambda: batches(size, 2 * size)), step


def main() -> None:
    torch.set_num_threads(1)
    cases = [*label_noise(10), *label_noise(100), *augmentation(), *language_model_training()]
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`. Ratio: time of the reference over ours in the same round; "
        f"median, smallest and largest of {REPEATS} rounds, one thread.",
        "",
        "| what | reference | ours | reference takes | ratio (smallest to largest) |",
        "|---|---|---:|---:|---:|",
    ]
    for name, reference, ours, theirs, loops in cases:
        mine, other, low, high = compare(ours, theirs, loops)
        lines.append(
            f"| {name} | {reference} | {1e3 * mine:.3g} ms | {1e3 * other:.3g} ms | "
            f"{other / mine:.3g} ({low:.3g} to {high:.3g}) |"
        )
        print(lines[-1], flush=True)
    machine = describe(torch.device("cpu"))
    facts = ", ".join(f"{key} {value}" for key, value in machine.items())
    lines += ["", f"{facts}; {platform.system()} {platform.machine()}."]
    (ROOT / "docs" / "BENCHMARKS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
