"""Making training batches: images in memory, text, and photos that are decoded on the way."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet
import torch
from PIL import Image

from cases import case
from comparing import CPU, Bench, benchmark
from noiselab.data import image_files, prepared, text
from noiselab.data.batches import ImageBatches
from noiselab.data.encoded import MEAN, STD
from noiselab.data.encoded_batches import EncodedBatches
from noiselab.data.prepared import Split
from noiselab.planning import config, runs
from noiselab.training.loop import build_optimizer

AREA = "data loading"


@benchmark(AREA, "image_batches")
def images_in_memory(bench: Bench) -> None:
    """Crop and mirror: one gather against torchvision, image by image."""
    from torchvision.transforms import v2

    count = 1024
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), np.uint8)
    run = case(bench, "classifier").run | {"augment": {"crop": 4, "flip": True}}
    batches = ImageBatches(run, Split(images, np.zeros(count, dtype=np.int64)), bench.device)
    transform = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])
    tensor = torch.from_numpy(images)
    bench.compare(
        f"batch of {count} images 3x32x32: gather, crop, mirror",
        "torchvision transforms, image by image",
        lambda: batches(0, count),
        lambda: torch.stack([transform(image) for image in tensor]).to(bench.device),
        loops=(20, 2),
    )


@benchmark(AREA, "text_batches")
def text_with_noise(bench: Bench) -> None:
    """The noisy batches of GPT-2 at tier quick, against nanoGPT's way and the step they feed."""
    run, task = case(bench, "language_model")
    size, context, rate = run["training"]["batch_size"], run["model"]["context"], run["error_rate"]
    tokens = text.read(run["data"])[1]

    def plain():
        places = torch.randint(len(tokens) - context, (size,)).tolist()
        rows = [tokens[p : p + context + 1].astype(np.int64) for p in places]
        x = torch.stack([torch.from_numpy(row[:-1]) for row in rows])
        y = torch.stack([torch.from_numpy(row[1:]) for row in rows])
        corrupted = torch.rand(y.shape) < rate
        y = torch.where(corrupted, torch.randint(run["vocabulary"], y.shape), y)
        return x.to(bench.device), y.to(bench.device), corrupted.to(bench.device)

    batch = task.batch(0, size)
    optimizer = build_optimizer(task.model, run["training"]["optimizer"])

    def step():
        task.loss(task.model, batch).backward()
        optimizer.step()
        optimizer.zero_grad()

    what = f"batch of {size} texts of {context} tokens with noise"
    reason = (
        "Ours is a function of seed and position, so that a restart or another number of "
        "processes sees the same batches; the reference draws from a running generator."
    )
    for reference, theirs, loops in (
        ("nanoGPT's get_batch, noise by torch.where", plain, 20),
        ("the training step that it feeds", step, 2),
    ):
        ours = lambda: task.batch(size, 2 * size)  # noqa: E731
        bench.compare(what, reference, ours, theirs, loops=(20, loops), reason=reason)


# --------------------------------------------------------------------------------- encoded photos

CLASSES = 8
COUNT = 1024
BATCH = 256
PATTERNS = {"train": "train*.parquet", "val": "val*.parquet"}
LARGE = (500, 375)  # ImageNet's usual size


@benchmark(AREA, "encoded", rounds=5, on_device=False)
def photos(bench: Bench) -> None:
    """Training views of photos of ImageNet's kind, as they are or enlarged: an epoch from its
    start against torchvision's ImageFolder and torch's DataLoader."""
    if bench.data is None:
        print("left out: no --data")
        return
    source = bench.data / "tiny_imagenet_50"
    source = source if source.is_dir() else bench.data
    small, large = bench.folder / "small", bench.folder / "large"
    unpack(source, small, None)
    unpack(source, large, LARGE)
    for what, tree, size, resize in (
        ("64x64", small, 64, None),
        ("500x375", large, 224, None),
        ("500x375, ours stored with a shorter side of 256", large, 224, 256),
    ):
        data = stored(tree, bench.folder / f"{tree.name}-{resize}", size, resize)
        for workers in (0, 2):
            bench.compare(
                f"{COUNT} photos of {what} as {size}x{size} in batches of {BATCH}, by "
                + (f"{workers} processes" if workers else "the trainer"),
                "ImageFolder and DataLoader: RandomResizedCrop, RandomHorizontalFlip, "
                "RandAugment(2, 9), ToTensor, Normalize",
                lambda d=data, s=size, w=workers: sum(map(len, ours(d, s, w))),
                lambda t=tree, s=size, w=workers: sum(map(len, torchvision_way(t, s, w))),
                amount=COUNT,
                unit="photos",
                note="Ours: bicubic crops, mirror images and timm's rand-m9-n2-mstd0.5, a "
                "function of seed and position; they stay uint8 for the device to normalise.",
            )


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


def rows(file: Path) -> Iterator[dict]:
    for batch in pyarrow.parquet.ParquetFile(file).iter_batches(1000):
        yield from batch.to_pylist()


def enlarged(content: bytes, size: tuple[int, int] | None) -> bytes:
    if size is None:
        return content
    image = Image.open(io.BytesIO(content)).convert("RGB")
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def stored(tree: Path, out: Path, size: int, resize: int | None) -> Path:
    train, val = (len(list((tree / split).rglob("*.JPEG"))) for split in PATTERNS)
    spec = {"name": tree.name, "kind": "image_files", "classes": CLASSES, "size": size}
    spec |= {"train_size": train, "test_size": val, "resize": resize}
    image_files.prepare(spec, tree, 2, out)
    return out


def ours(data: Path, size: int, workers: int) -> Iterator[torch.Tensor]:
    _, train, _ = prepared.read(data)
    plan = runs.plan(config.load(tier="smoke"), "results/smoke")
    run = plan.runs[plan.experiments["table2"][-1]] | {"size": size, "classes": CLASSES}
    run |= {"augment": {"flip": True, "randaugment": "rand-m9-n2-mstd0.5"}}
    steps = len(train.y) // BATCH
    run |= {
        "training": run["training"]
        | {"steps": steps, "batch_size": BATCH, "micro_batch_size": None}
    }
    batches = EncodedBatches(run, train, CPU, workers)
    for start in range(0, steps * BATCH, BATCH):
        yield batches(start, start + BATCH).inputs


def torchvision_way(tree: Path, size: int, workers: int) -> Iterator[torch.Tensor]:
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
    return (images for images, _ in torch.utils.data.DataLoader(data, **options))
