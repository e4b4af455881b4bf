"""Side-by-side timings of the loader of encoded images; `--data`: a folder of parquet files of
ImageNet's kind. Both sides read the same photos in the same process, alternating."""

import argparse
import io
import os
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
from noiselab import config, runs
from noiselab.data import image_files, prepared
from noiselab.data.encoded import MEAN, STD
from noiselab.data.encoded_batches import EncodedBatches
from noiselab.provenance import describe

CPU = torch.device("cpu")
CLASSES = 8
COUNT = 1024
BATCH = 256
ROUNDS = 3
PATTERNS = {"train": "train*.parquet", "val": "val*.parquet"}
LARGE = (500, 375)  # ImageNet's usual size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    source = parser.parse_args().data
    torch.set_num_threads(1)
    print("\n## Encoded images\n")
    print(
        f"Training views in batches of {BATCH}; photos of {source.name}, as they are or enlarged; "
        f"an epoch of {COUNT} from its start, {ROUNDS} rounds. Reference: torchvision's "
        "ImageFolder and torch's DataLoader with RandomResizedCrop, RandomHorizontalFlip, "
        "RandAugment(2, 9), ToTensor, Normalize. Ours: bicubic crops, mirror images and timm's "
        "rand-m9-n2-mstd0.5, a function of seed and position; they stay uint8 for the device to "
        "normalise.\n"
    )
    print("| photos | views | processes | ours | reference | ratio (smallest to largest) |")
    print("|---|---|---:|---:|---:|---:|")
    with TemporaryDirectory() as folder:
        compare_all(source, Path(folder))
    facts = ", ".join(f"{key} {value}" for key, value in describe(CPU).items())
    print(f"\n{facts}; {os.cpu_count()} cores.")


def compare_all(source: Path, folder: Path) -> None:
    small, large = folder / "small", folder / "large"
    unpack(source, small, None)
    unpack(source, large, LARGE)
    for what, tree, size, resize in (
        ("64x64", small, 64, None),
        ("500x375", large, 224, None),
        ("500x375, ours stored with a shorter side of 256", large, 224, 256),
    ):
        data = prepare(tree, folder / f"{tree.name}-{resize}", size, resize)
        for workers in (0, 2):
            compare(what, data, tree, size, workers)


def unpack(source: Path, tree: Path, size: tuple[int, int] | None) -> None:
    """The first photos of the first classes as files, enlarged or as they are."""
    for split, pattern in PATTERNS.items():
        written = np.zeros(CLASSES, dtype=int)
        for row in rows(next(source.rglob(pattern))):
            label = row["label"]
            if label < CLASSES and written[label] < COUNT // CLASSES:
                place = tree / split / f"{label:02d}" / f"{written[label]:04d}.JPEG"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(enlarged(row["image"]["bytes"], size))
                written[label] += 1


def rows(file: Path):
    for batch in pyarrow.parquet.ParquetFile(file).iter_batches(1000):
        yield from batch.to_pylist()


def enlarged(content: bytes, size: tuple[int, int] | None) -> bytes:
    if size is None:
        return content
    image = Image.open(io.BytesIO(content)).convert("RGB")
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def prepare(tree: Path, out: Path, size: int, resize: int | None) -> Path:
    train, val = (len(list((tree / split).rglob("*.JPEG"))) for split in PATTERNS)
    spec = {"name": tree.name, "kind": "image_files", "classes": CLASSES, "size": size}
    spec |= {"train_size": train, "test_size": val, "resize": resize}
    image_files.prepare(spec, tree, 2, out)
    return out


def compare(what: str, data: Path, tree: Path, size: int, workers: int) -> None:
    """Photos per second of an epoch from its start, with ours and the reference."""
    sides = {"ours": ours(data, size, workers), "reference": reference(tree, size, workers)}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, epoch in sides.items():
            start = time.perf_counter()
            rates[name].append(sum(map(len, epoch())) / (time.perf_counter() - start))
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    mine, other = (statistics.median(r) for r in rates.values())
    print(
        f"| {what} | {size}x{size} | {workers or 'the trainer'} | {mine:.0f}/s | {other:.0f}/s | "
        f"{statistics.median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g}) |",
        flush=True,
    )


def ours(data: Path, size: int, workers: int):
    _, train, _ = prepared.read(data)
    plan = runs.plan(config.load(tier="smoke"), "results/smoke")
    run = plan.runs[plan.experiments["table2"][-1]] | {"size": size, "classes": CLASSES}
    run["augment"] = {"flip": True, "randaugment": "rand-m9-n2-mstd0.5"}
    steps = len(train.y) // BATCH
    run["training"] |= {"steps": steps, "batch_size": BATCH, "micro_batch_size": None}

    def epoch():
        batches = EncodedBatches(run, train, CPU, workers)
        for start in range(0, steps * BATCH, BATCH):
            yield batches(start, start + BATCH).inputs

    return epoch


def reference(tree: Path, size: int, workers: int):
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = [
        transforms.RandomResizedCrop(size),
        transforms.RandomHorizontalFlip(),
        transforms.RandAugment(2, 9),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    data = ImageFolder(tree / "train", transforms.Compose(steps))
    options = {"batch_size": BATCH, "shuffle": True, "drop_last": True, "num_workers": workers}
    return lambda: (images for images, _ in torch.utils.data.DataLoader(data, **options))


if __name__ == "__main__":
    main()
