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

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
from noiselab import noise, streams
from noiselab.data.batches import ImageBatches
from noiselab.data.prepared import Split
from noiselab.provenance import describe

REPEATS = 9
BATCH = 1024


def compare(ours: Callable, reference: Callable, loops: int) -> tuple[float, float, float, float]:
    """Median seconds of ours and of the reference, and smallest and largest ratio."""
    times = {ours: [], reference: []}
    for _ in range(REPEATS):
        for function, count in ((ours, loops), (reference, max(1, loops // 50))):
            start = time.perf_counter()
            for _ in range(count):
                function()
            times[function].append((time.perf_counter() - start) / count)
    ratios = [r / o for o, r in zip(times[ours], times[reference], strict=True)]
    medians = (statistics.median(times[ours]), statistics.median(times[reference]))
    return *medians, min(ratios), max(ratios)


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
        (name, "Algorithm 3, element by element, on the label tensor", ours, on_tensor, 500),
        (name, "Algorithm 3, element by element, on Python integers", ours, on_list, 500),
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
            50,
        )
    ]


def main() -> None:
    torch.set_num_threads(1)
    cases = [*label_noise(10), *label_noise(100), *augmentation()]
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
            f"| {name} | {reference} | {1e6 * mine:.0f} µs | {1e6 * other:.0f} µs | "
            f"{other / mine:.0f} ({low:.0f} to {high:.0f}) |"
        )
        print(lines[-1], flush=True)
    machine = describe(torch.device("cpu"))
    facts = ", ".join(f"{key} {value}" for key, value in machine.items())
    lines += ["", f"{facts}; {platform.system()} {platform.machine()}."]
    (ROOT / "docs" / "BENCHMARKS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
