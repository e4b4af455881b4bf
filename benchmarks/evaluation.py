"""The scores of each family against plain code for the same ones, an example at a time."""

from functools import partial

import numpy as np
import torch

from cases import NETWORKS, case, close, shake
from comparing import Bench, benchmark
from noiselab import streams
from noiselab.data import pairs, prepared, text
from noiselab.data.pairs import BEGIN, END
from noiselab.families.diffusion import task as diffusion
from noiselab.families.language_model import task as language_model
from noiselab.families.seq2seq import task as seq2seq
from noiselab.measures import frechet
from noiselab.noise.corruptions.tokens import UniformToken

AREA = "evaluation"


@benchmark(AREA, "evaluate_classifier")
def classifier(bench: Bench) -> None:
    predictions(bench, "classifier")


@benchmark(AREA, "evaluate_vision_transformer")
def vision_transformer(bench: Bench) -> None:
    predictions(bench, "vision_transformer")


def predictions(bench: Bench, family: str) -> None:
    """What `train.py` keeps of a finished run: probabilities of test images and, of a vision
    transformer, decisions on training images."""
    run, task = case(bench, family)
    model = shake(task.model)
    _, train, test = prepared.read(run["data"])
    parts = {"test": test.x} | ({"train": train.x} if family == "vision_transformer" else {})

    @torch.no_grad()
    def one_by_one() -> dict[str, np.ndarray]:
        model.eval()
        return {
            name: np.concatenate(
                [
                    model(torch.from_numpy(np.array(x[None])).to(bench.device)).softmax(-1).cpu()
                    for x in images
                ]
            )
            for name, images in parts.items()
        }

    def same(ours: dict, theirs: dict) -> None:
        close(ours["test"], theirs["test"], bench.device)
        if "train" in theirs:
            probability = np.take_along_axis(theirs["train"], ours["train_decided"][:, None], 1)
            close(probability[:, 0], theirs["train"].max(1), bench.device)  # but for ties

    count = sum(map(len, parts.values()))
    bench.compare(
        f"{family.replace('_', ' ')}: predictions for {count} images",
        "an image at a time",
        lambda: task.predict(model),
        one_by_one,
        check=same,
        amount=count,
        unit="images",
    )


@benchmark(AREA, "evaluate_diffusion", rounds=5)
def denoising_errors(bench: Bench) -> None:
    """A diffusion model as a classifier."""
    run, task = case(bench, "diffusion")
    run |= {"evaluation": run["evaluation"] | {"classified": 50}}
    count, draws, classes = 50, run["evaluation"]["draws"], run["classes"]
    model = shake(task.model)
    _, _, test = prepared.read(run["data"])

    @torch.no_grad()
    def one_by_one() -> np.ndarray:
        model.eval()
        images = diffusion.scaled(torch.from_numpy(np.array(test.x[:count])).to(bench.device))
        levels = (torch.arange(draws, device=bench.device) + 0.5) / draws
        sigmas = (1.2 * torch.special.ndtri(levels) - 1.2).exp()
        seed = streams.integer(0, "classification", 0)
        _, noise = diffusion.draw(run, (draws, *images.shape[1:]), seed, bench.device)
        condition = torch.eye(classes, device=bench.device)
        errors = np.zeros((count, classes))
        for i, x in enumerate(images):
            for s, e in zip(sigmas, noise, strict=True):
                noisy = (x + s * e).expand(classes, *x.shape)
                error = (model(noisy, s.expand(classes), condition) - x).square().mean((1, 2, 3))
                weight = (s**2 + 0.25) / (0.5 * s) ** 2
                errors[i] += (weight * error).double().cpu().numpy() / draws
        return errors

    bench.compare(
        f"diffusion: denoising errors of {count} images given each class, {draws} draws",
        "an image at a time, its classes together",
        lambda: diffusion.class_errors(model, run, test, bench.device),
        one_by_one,
        check=partial(close, device=bench.device),
        amount=count,
        unit="images",
    )


@benchmark(AREA, "evaluate_frechet", rounds=5, on_device=False)
def frechet_distance(bench: Bench) -> None:
    """From features to the distance."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    count, width = 4000, 512
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(2, width, width)) / width**0.5
    features = [rng.normal(size=(count, width)) @ m + 1 for m in mix]

    def ours() -> float:
        return frechet.frechet_distance(*(frechet.moments(np.split(f, 16)) for f in features))

    def theirs() -> float:
        (a, b), (c, d) = ((f.mean(0), np.cov(f, rowvar=False)) for f in features)
        return calculate_frechet_distance(a, b, c, d)

    what = f"diffusion: Fréchet distance of 2 x {count} features of {width} numbers"
    bench.compare(what, "pytorch-fid", ours, theirs, check=close)


@benchmark(AREA, "evaluate_language_model")
def token_scores(bench: Bench) -> None:
    """All five scores of each token."""
    run, task = case(bench, "language_model")
    model = shake(task.model, 0.1).eval()
    vocabulary, rate, context = run["vocabulary"], run["error_rate"], run["model"]["context"]
    noise = UniformToken(rate, vocabulary)
    validation = text.read(run["data"])[2]
    windows = list(language_model.validation_windows(validation, context))[:100]

    def ours() -> np.ndarray:
        scores = language_model.token_scores(model, windows, noise, vocabulary, bench.device)
        return np.stack(list(scores.values()))

    @torch.no_grad()
    def one_by_one() -> np.ndarray:
        parts = []
        for window in windows:
            tokens = torch.from_numpy(window).to(bench.device)
            p = model(tokens[None, :-1]).logits[0].double().softmax(-1)[:, :vocabulary]
            q = (1 - rate) * p + rate / vocabulary
            denoised = ((p - rate / vocabulary) / (1 - rate)).clip(min=1e-8)
            denoised /= denoised.sum(-1, keepdim=True)
            places = torch.arange(len(p), device=bench.device), tokens[1:]
            scores = [p[places], p, q[places], q, denoised[places]]
            parts.append(torch.stack([-s.log().view(len(p), -1).mean(-1) for s in scores]))
        return torch.cat(parts, 1).cpu().numpy()

    count = sum(len(window) - 1 for window in windows)
    bench.compare(
        f"language model: five scores of {count} tokens",
        "a window at a time",
        ours,
        one_by_one,
        check=partial(close, device=bench.device),
        amount=count,
        unit="tokens",
    )


@benchmark(AREA, "evaluate_seq2seq", rounds=5)
def sequence_nll(bench: Bench) -> None:
    """NLL of whole targets."""
    run, task = case(bench, "seq2seq")
    model = shake(task.model).eval()
    _, _, validation = pairs.read(run["data"])
    index = np.arange(512)

    def ours() -> np.ndarray:
        return seq2seq.sequence_nll(model, run, validation, index, bench.device)[0]

    @torch.no_grad()
    def one_by_one() -> np.ndarray:
        nll = []
        for i in index:
            source = torch.tensor([[*validation.source.get(i).tolist(), END]], device=bench.device)
            target = torch.tensor(
                [[BEGIN, *validation.target.get(i).tolist(), END]], device=bench.device
            )
            p = model(input_ids=source, decoder_input_ids=target[:, :-1]).logits.log_softmax(-1)
            nll.append(-p.gather(-1, target[:, 1:, None]).double().sum().item())
        return np.array(nll)

    bench.compare(
        f"sequence to sequence: NLL of {len(index)} targets",
        "a pair at a time",
        ours,
        one_by_one,
        check=partial(close, device=bench.device),
        amount=len(index),
        unit="pairs",
        note=NETWORKS["seq2seq"],
        reason="Ours sorts the pairs by length and pads batches of up to 256 to their longest: "
        "fast on a GPU, but one thread of a CPU computes all the padding.",
    )
