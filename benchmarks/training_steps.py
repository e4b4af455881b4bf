"""Training steps and checkpoints of the one training loop against plain loops of the same model,
batch size and precision."""

import contextlib
import copy
import statistics
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy, one_hot

from cases import NETWORKS, Case, case
from comparing import Bench, benchmark, seconds
from noiselab.data import embedded, pairs, prepared, text
from noiselab.data.pairs import BEGIN, END, PAD
from noiselab.families.classifier import task as classifier_task
from noiselab.planning import config
from noiselab.planning.datasets import resolve_dataset
from noiselab.training.loop import Settings, train

AREA = "training step"
REASON = (
    "Ours also draws order, noise and augmentation as a function of the position, sets the "
    "learning rate and keeps a history; the smaller the network, the more of a step this is."
)


@benchmark(AREA, "train_classifier")
def classifier(bench: Bench) -> None:
    of_family(bench, case(bench, "classifier", training=steps(20)), "images", labelled)


@benchmark(AREA, "train_vision_transformer")
def vision_transformer(bench: Bench) -> None:
    of_family(bench, case(bench, "vision_transformer", training=steps(20)), "images", labelled)


@benchmark(AREA, "train_diffusion")
def diffusion(bench: Bench) -> None:
    of_family(bench, case(bench, "diffusion", training=steps(20)), "images", denoising)
    large = case(bench, "diffusion", "paper", steps(2) | {"batch_size": 16})
    of_family(bench, large, "images", denoising, "the paper's network")


@benchmark(AREA, "train_language_model")
def language_model(bench: Bench) -> None:
    of_family(bench, case(bench, "language_model", training=steps(20)), "sequences", next_token)


@benchmark(AREA, "train_seq2seq", rounds=5)
def seq2seq(bench: Bench) -> None:
    of_family(bench, case(bench, "seq2seq", training=steps(12)), "pairs", translation)


def steps(number: int) -> dict:
    """Changes that make a training of so many steps, warm-up included."""
    return {"steps": number, "schedule_steps": number, "warmup_steps": number // 4}


def of_family(bench: Bench, of: Case, unit: str, family: Callable, network: str = "") -> None:
    """Add the line of a run. family: makes a plain batch and its loss, see below."""
    settings, run = of.run["training"], of.run
    size = f"{run['size']}x{run['size']} " if "size" in run else ""
    number, batch = settings["steps"], settings["batch_size"]
    padded = " and padding to 256" if run["family"] == "seq2seq" else ""
    bench.compare(
        f"{run['family'].replace('_', ' ')}, {network or size + run['dataset'].split('-')[0]}: "
        f"{number} steps of {batch} {unit}",
        "plain loop: no noise, augmentation, schedule, history or checkpoints; default "
        f"optimiser and memory order{padded}",
        partial(our_loop, bench, of),
        partial(plain_loop, plain_model(of), settings, *family(of, bench.device), bench.device),
        amount=number * batch,
        unit=unit,
        note=NETWORKS.get(run["family"], ""),
        reason=REASON,
    )


def our_loop(bench: Bench, of: Case, evaluate: Callable | None = None, **changes) -> None:
    task, run = of.task, of.run
    settings = Settings(**run["training"] | changes)
    with TemporaryDirectory(dir=bench.folder) as folder:
        _, summary = train(
            task.model,
            task.batch,
            task.loss,
            settings,
            seed=run["seed"],
            run_digest="",
            folder=Path(folder),
            device=bench.device,
            evaluate=evaluate,
        )
    if summary["diverged_at"] is not None:  # and so ended early
        raise RuntimeError("the training diverged")


def plain_model(of: Case) -> torch.nn.Module:
    return copy.deepcopy(of.task.model).to(memory_format=torch.contiguous_format).train()


def plain_loop(model, settings: dict, batch, loss, device, after_step=None) -> None:
    """The plainest training of as many steps."""
    optimizer = plain_optimizer(model, settings["optimizer"])
    bf16 = settings["precision"] == "bf16" and device.type == "cuda"
    precision = torch.autocast("cuda", torch.bfloat16) if bf16 else contextlib.nullcontext()
    decay = settings["ema_decay"]
    average = copy.deepcopy(model) if decay else None
    for step in range(settings["steps"]):
        with precision:
            value = loss(model, *batch())
        value.backward()
        if settings["clip_norm"]:
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
        optimizer.step()
        optimizer.zero_grad()
        if decay:
            with torch.no_grad():
                for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
                    mean.copy_(decay * mean + (1 - decay) * weight)
        if after_step:
            after_step(step, model, optimizer)


def plain_optimizer(model: torch.nn.Module, spec: dict) -> torch.optim.Optimizer:
    options = {"lr": spec["learning_rate"], "weight_decay": spec["weight_decay"]}
    if spec["name"] == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=spec["momentum"], **options)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[spec["name"]]
    return kind(model.parameters(), betas=tuple(spec["betas"]), **options)


# -------------------------------------------------- plain batches, and their losses, by family


def labelled(of: Case, device: torch.device) -> tuple[Callable, Callable]:
    _, split, _ = prepared.read(of.run["data"])
    x, y = (torch.from_numpy(np.array(part)).to(device) for part in split[:2])
    size, smoothing = of.run["training"]["batch_size"], of.run.get("label_smoothing", 0.0)

    def batch():
        index = torch.randint(len(x), (size,), device=device)
        return x[index], y[index]

    def loss(model, images, labels):
        return cross_entropy(model(images).float(), labels, label_smoothing=smoothing)

    return batch, loss


def denoising(of: Case, device: torch.device) -> tuple[Callable, Callable]:
    labelled_batch, _ = labelled(of, device)

    def batch():
        images, labels = labelled_batch()
        images = images.float() / 127.5 - 1
        sigma = (1.2 * torch.randn(len(images), device=device) - 1.2).exp()
        return images, one_hot(labels, of.run["classes"]).float(), sigma, torch.randn_like(images)

    def loss(model, images, condition, sigma, noise):
        s = sigma[:, None, None, None]
        weight = (s**2 + 0.25) / (0.5 * s) ** 2
        return (weight * (model(images + s * noise, sigma, condition) - images) ** 2).mean()

    return batch, loss


def next_token(of: Case, device: torch.device) -> tuple[Callable, Callable]:
    tokens = torch.from_numpy(text.read(of.run["data"])[1].astype(np.int64))
    context, size = of.run["model"]["context"], of.run["training"]["batch_size"]

    def batch():
        places = torch.randint(len(tokens) - context - 1, (size,)).tolist()
        x = torch.stack([tokens[p : p + context] for p in places])
        y = torch.stack([tokens[p + 1 : p + 1 + context] for p in places])
        return x.to(device), y.to(device)

    def loss(model, x, y):
        return cross_entropy(model(x).logits.flatten(0, 1), y.flatten())

    return batch, loss


def translation(of: Case, device: torch.device) -> tuple[Callable, Callable]:
    _, data, _ = pairs.read(of.run["data"])
    size, numbers = of.run["training"]["batch_size"], count()

    def batch():
        start = next(numbers) % (data.source.count // size) * size
        index = range(start, start + size)
        source = padded([[*data.source.get(i).tolist(), END] for i in index], 256)
        target = padded([[BEGIN, *data.target.get(i).tolist(), END] for i in index], 257)
        return source.to(device), target.to(device)

    def loss(model, source, target):
        mask = (source != PAD).long()
        inputs = {"input_ids": source, "attention_mask": mask, "decoder_input_ids": target[:, :-1]}
        logits = model(**inputs).logits.float()
        return cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD)

    return batch, loss


def padded(rows: list[list[int]], width: int) -> torch.Tensor:
    """Rows with PAD up to a width, int64 [n, width]."""
    return torch.tensor([[*row, *[PAD] * (width - len(row))] for row in rows])


# ------------------------------------------------------------------------------------------- bf16

BF16 = "bf16 where the machine has it in hardware; weights, sums and scores stay in fp32"


class Sized(NamedTuple):
    """A network of the paper's kind that two cores train."""

    what: str
    batch: Callable  # makes a plain batch and its loss, see below
    training: dict
    unit: str = "images"
    tier: str = "lab"
    experiment: dict | None = None  # changes of the family's table


SIZED = {
    "classifier": Sized("ResNet-18, 32x32", labelled, {"batch_size": 128}, tier="paper"),
    "vision_transformer": Sized(
        "6 layers, width 192, 64 patches",
        labelled,
        {"batch_size": 64},
        experiment={"datasets": ["glyphs-10"]},
    ),
    "diffusion": Sized("U-Net of width 64, 32x32", denoising, {"batch_size": 32}),
    "language_model": Sized(
        "4 layers, width 256, context 128",
        next_token,
        {"batch_size": 16},
        "sequences",
        "quick",
        {"training": {"model": {"layers": 4, "heads": 4, "width": 256, "context": 128}}},
    ),
    "seq2seq": Sized("2 + 2 layers, width 192", translation, {"batch_size": 32}, "pairs", "quick"),
}


@benchmark(AREA, "train_bf16", rounds=5, in_bf16=True)
def in_bf16(bench: Bench) -> None:
    """`precision: auto` against a plain trainer in single precision, as the authors' is, and
    against our own loop in single precision."""
    for family, (what, batch, training, unit, tier, experiment) in SIZED.items():
        training = steps(4) | training | {"precision": "auto", "ema_decay": None}
        of = case(bench, family, tier, training, experiment)
        settings = of.run["training"]
        plain = partial(plain_loop, plain_model(of), settings, *batch(of, bench.device))
        for reference, theirs in (
            ("plain loop in fp32, default memory order", partial(plain, bench.device)),
            ("ours in fp32", partial(our_loop, bench, of, precision="fp32")),
        ):
            bench.compare(
                f"{family.replace('_', ' ')}, {what}: {settings['steps']} steps of "
                f"{settings['batch_size']} {unit}, precision auto",
                reference,
                partial(our_loop, bench, of),
                theirs,
                amount=settings["steps"] * settings["batch_size"],
                unit=unit,
                note=BF16,
                reason=REASON,
            )


class ReachedError(Exception):
    """A model has the test accuracy that was waited for."""


TARGET = 97.0  # per cent of the test images
LOOKS = 5  # steps between two looks


@benchmark(AREA, "train_to_accuracy", rounds=5, in_bf16=True)
def to_accuracy(bench: Bench) -> None:
    """The paper's network, batch and optimiser on real digits, until it is right so often."""
    longest = {"steps": 400, "schedule_steps": 400, "precision": "auto", "evaluate_every": LOOKS}
    experiment = {"datasets": ["digits"], "noise_ratios": [0]}
    spec = resolve_dataset(config.load(tier="paper")["datasets"], "digits", "digits")
    prepared.write(bench.folder / "data" / "digits", spec, *embedded.digits(spec))
    run = case(bench, "classifier", "paper", longest, experiment).run
    constant = {"final_learning_rate": run.training["optimizer"]["learning_rate"]}
    run |= {"augment": {"crop": 0, "flip": False}, "training": run.training | constant}
    of = Case(run, classifier_task.task(run, bench.device))
    start = copy.deepcopy(of.task.model.state_dict())

    def look(model) -> dict:
        found = of.task.evaluate(model)
        if found["test_accuracy"] >= TARGET:
            raise ReachedError
        return found

    def until(loop: Callable) -> None:
        with contextlib.suppress(ReachedError):
            loop()
            raise RuntimeError(f"not at {TARGET} % after {longest['steps']} steps")

    def ours() -> None:
        of.task.model.load_state_dict(start)
        until(partial(our_loop, bench, of, look))

    def theirs() -> None:
        plain = plain_model(of)
        plain.load_state_dict(start)
        batch, loss = labelled(of, bench.device)

        def after(step: int, model: torch.nn.Module, _) -> None:
            if (step + 1) % LOOKS == 0:
                look(model)
                model.train()

        until(partial(plain_loop, plain, of.run["training"], batch, loss, bench.device, after))

    bench.compare(
        f"classifier, ResNet-18, digits 8x8: until {TARGET:g} % of the test images are right",
        "plain loop in fp32, default memory order",
        ours,
        theirs,
        note=f"no augmentation and a constant learning rate in both, which look at the test images "
        f"every {LOOKS} steps; {BF16}",
        reason="An image of 8x8 leaves little to compute for each of the 11 million weights, "
        "which bf16 converts in every step: here fp32 would be faster. From 32x32 on bf16 pays "
        "(the lines of precision auto).",
    )


# ------------------------------------------------------------------------------------ checkpoints


@benchmark("checkpoint", "checkpoint")
def checkpoints(bench: Bench) -> None:
    """Steps with a checkpoint after each but the last."""
    number = 6
    model = {"training": {"model": {"layers": 4, "heads": 4, "width": 384}}}
    changes = steps(number) | {"batch_size": 2, "checkpoint_minutes": 0}
    of = case(bench, "language_model", training=changes, experiment=model)
    place = bench.folder / "state.pt"

    def save(step, model, optimizer):
        if step < number - 1:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, place)

    ours = partial(our_loop, bench, of)
    batch, loss = next_token(of, bench.device)
    settings = of.run["training"]
    plain = partial(plain_loop, plain_model(of), settings, batch, loss, bench.device)
    without = [partial(our_loop, bench, of, checkpoint_minutes=1e6), plain]
    alone = [statistics.median(seconds(f, bench.device) for _ in range(3)) for f in without]

    def note(*medians: float) -> str:
        cost = [(m - a) / (number - 1) for m, a in zip(medians, alone, strict=True)]
        size = place.stat().st_size / 2**20
        return (
            f"without checkpoints the steps take {alone[0]:.3g} s and {alone[1]:.3g} s, so each "
            f"checkpoint of {size:.0f} MiB costs {cost[0]:.3g} s against {cost[1]:.3g} s"
        )

    bench.compare(
        f"{number} steps of a language model with {number - 1} checkpoints",
        "plain loop, torch.save of the same state in the foreground",
        ours,
        partial(plain, after_step=save),
        note=note,
        reason="A thread writes ours while the training goes on, waits until the file is on the "
        "disk (fsync) and names it by its digest: a checkpoint that is there is whole. Where every "
        "step has one, as here, the next step has to wait for it.",
    )
