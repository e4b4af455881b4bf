"""Coherence of per-example gradients of the token embedding (Section 4.3, Appendix M, Table 4,
Figure 4).

A *unit* is a sequence with a weight per position: loss_u = sum over t of w[u, t] times the
cross-entropy of position t. Its gradient with respect to GPT-2's V x d token embedding, which is
also the output head, is

    G_u = sum_t onehot(x_t) delta_t^T  +  sum_t w_t (softmax_t - onehot(y_t)) h_t^T,

with h_t the final hidden state and delta_t the gradient at the embedded token. Table 4 needs inner
products of such gradients only, and these are sums over rows of the vocabulary: a few rows of all
units at a time are enough, and no V x d gradient is ever held.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from noiselab import streams
from noiselab.data.batches import TokenBatches
from noiselab.noise import theory
from noiselab.noise.corruptions.tokens import UniformToken
from noiselab.run import Run

PAIRS = ("clean_clean", "corrupt_corrupt", "clean_corrupt")
POSITIONS = 2048  # that go through the transformer at a time: two sequences of GPT-2's 1,024


def noisy_batches(
    run: Run,
    tokens: np.ndarray,
    protocol: str,
    *,
    error_rate: float,
    size: int,
    count: int,
    device: torch.device,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The first `count` batches of `size` training sequences under `uniform_token` noise.

    run: a clean run; tokens: its training text, int [n]; protocol: as in `units_of_batch`. Yields
    inputs and targets, int64 [size, T], and corrupted, bool [size, T], or [size] for `sequences`.
    """
    noisy = run | {"corruption": UniformToken.name, "resample": "fresh"}
    spans = [(i * size, (i + 1) * size) for i in range(count)]
    if protocol == "tokens":
        stream = TokenBatches(noisy | {"error_rate": error_rate}, tokens, device)
        for span in spans:
            yield tuple(stream(*span))
        return
    # Every token of a chosen sequence is drawn anew.
    clean = TokenBatches(run, tokens, device)
    random = TokenBatches(noisy | {"error_rate": 1.0}, tokens, device)
    for span in spans:
        u = streams.uniform(run.seed, "noisy-sequences", *span)
        corrupted = torch.from_numpy(u < error_rate).to(device)
        inputs, targets, _ = clean(*span)
        targets = torch.where(corrupted[:, None], random(*span).targets, targets)
        yield inputs, targets, corrupted


@torch.no_grad()
def embedding_gram(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    weights: Tensor,
    *,
    rows: int = 1024,
    units: int = 2,
) -> Tensor:
    """Inner products of the units' gradients with respect to `transformer.wte.weight`.

    model: a GPT2LMHeadModel with tied embeddings; evaluated without dropout, left as it was.
    inputs, targets: int64 [U, T]; weights: float [U, T], not negative. rows: of the vocabulary
    held at a time, for [U, T, rows] probabilities and [U, rows, d] gradients; units: that go
    through the transformer at a time. Neither changes the result but by rounding.
    Returns K[u, v] = <G_u, G_v>, float64 [U, U].
    """
    embedding = model.transformer.wte.weight
    inputs, targets = inputs.to(embedding.device), targets.to(embedding.device)
    weights = weights.to(embedding)
    groups = zip(*(tensor.split(units) for tensor in (inputs, targets, weights)), strict=True)
    with _frozen(model):
        parts = [_backpropagate(model, *group, rows) for group in groups]
    hidden, lse, delta = (torch.cat(part) for part in zip(*parts, strict=True))

    gram = embedding.new_zeros(len(inputs), len(inputs), dtype=torch.float64)
    for first in range(0, len(embedding), rows):
        head = embedding[first : first + rows]
        residual = (hidden @ head.T).sub_(lse[..., None]).exp_().mul_(weights[..., None])
        u, t, row = _occurrences(targets, first, len(head))
        residual[u, t, row] -= weights[u, t]
        gradient = residual.mT @ hidden  # [U, rows, d]
        u, t, row = _occurrences(inputs, first, len(head))
        gradient.index_put_((u, row), delta[u, t], accumulate=True)
        gradient = gradient.flatten(1).double()  # rows * d squares summed in single lose 2e-5
        gram += gradient @ gradient.T
    return gram


def _backpropagate(
    model: nn.Module, inputs: Tensor, targets: Tensor, weights: Tensor, rows: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states h [n, T, d], log-sum-exp of the logits [n, T] and delta [n, T, d].

    Units do not see each other, so one backward pass of all is the backward pass of each.
    """
    embedding = model.transformer.wte.weight
    embedded = embedding[inputs].requires_grad_()
    with torch.enable_grad():
        output = model.transformer(inputs_embeds=embedded, use_cache=False).last_hidden_state
    hidden = output.detach()
    lse, mean = _softmax_mean(hidden, embedding, rows)
    upstream = weights[..., None] * (mean - embedding[targets])  # d loss / d h
    (delta,) = torch.autograd.grad(output, embedded, upstream)
    return hidden, lse, delta


def _softmax_mean(hidden: Tensor, embedding: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Log-sum-exp of the logits [n, T], and the mean embedding under their softmax [n, T, d].

    Both grow with the rows seen so far: the mean is rescaled to each new normaliser.
    """
    lse, mean = hidden.new_full(hidden.shape[:-1], -torch.inf), torch.zeros_like(hidden)
    for head in embedding.split(rows):
        logits = hidden @ head.T
        total = torch.logaddexp(lse, logits.logsumexp(-1))
        mean *= (lse - total).exp()[..., None]
        mean += logits.sub_(total[..., None]).exp_() @ head
        lse = total
    return lse, mean


def _occurrences(tokens: Tensor, first: int, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Unit, position and row - first of the tokens [U, T] in rows first … first + rows - 1."""
    u, t = ((tokens >= first) & (tokens < first + rows)).nonzero(as_tuple=True)
    return u, t, tokens[u, t] - first


@contextmanager
def _frozen(model: nn.Module):
    """Evaluation mode, and no gradients of weights, whose inputs need then not be kept."""
    modes = [(module, module.training) for module in model.modules()]
    wanted = [(weight, weight.requires_grad) for weight in model.parameters()]
    model.eval().requires_grad_(False)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for weight, requires_grad in wanted:
            weight.requires_grad_(requires_grad)


def units_of_batch(
    inputs: Tensor, targets: Tensor, corrupted: Tensor, protocol: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The units of a batch: inputs, targets, weights, each [U, T], and clean, bool [U].

    inputs, targets: int64 [B, T], targets as observed. protocol `tokens` (the text): corrupted
    bool [B, T]; an example is two units, the loss of its clean and that of its corrupted
    positions, first all clean ones, then all corrupted ones, without the empty ones. `sequences`
    (as released): corrupted bool [B], or [B, T] of whole rows; an example is one unit. Weights
    are 1/T, so the units of an example sum to its mean loss. Raises ValueError.
    """
    length = inputs.shape[1]
    if protocol == "tokens":
        positions = torch.cat([~corrupted, corrupted])
        kept = positions.any(1)
        clean = torch.arange(len(positions), device=kept.device) < len(inputs)
        twice = (tensor.repeat(2, 1)[kept] for tensor in (inputs, targets))
        return *twice, positions[kept] / length, clean[kept]
    if protocol == "sequences":
        marks = corrupted.reshape(len(inputs), -1)
        if (marks.any(1) != marks.all(1)).any():
            raise ValueError("protocol 'sequences' needs sequences corrupted as a whole")
        weights = torch.full(inputs.shape, 1 / length, device=inputs.device)
        return inputs, targets, weights, ~marks.all(1)
    raise ValueError(f"protocol {protocol!r} is neither 'tokens' nor 'sequences'")


def grams(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor, Tensor]], protocol: str
) -> Iterator[tuple[Tensor, Tensor]]:
    """Gram matrix, float64 [U, U], and clean, bool [U], of the units of each batch. batches:
    (inputs, targets, corrupted) as `units_of_batch` takes them."""
    for batch in batches:
        *units, clean = units_of_batch(*batch, protocol)
        at_a_time = max(1, POSITIONS // units[0].shape[1])
        yield embedding_gram(model, *units, units=at_a_time), clean


def coherence(gram: Tensor, clean: Tensor) -> dict:
    """Cosines and norms of summed gradients from a Gram matrix [U, U]; clean: bool [U].

    Returns cosine_clean_clean, cosine_corrupt_corrupt (pairs i < j) and cosine_clean_corrupt,
    float64 arrays, empty where there is no such pair; norm_clean and norm_corrupt, the norms of
    the summed gradients (Appendix M), None where there is nothing to sum.
    """
    k, clean = gram.cpu().numpy(), clean.cpu().numpy()
    length = np.sqrt(k.diagonal())
    cosine = k / np.outer(length, length)
    first, second = np.triu_indices(len(k), 1)
    number_clean = clean[first].astype(int) + clean[second]  # of each pair
    of_pairs = zip(PAIRS, (2, 0, 1), strict=True)
    return {
        **{f"cosine_{pair}": cosine[first, second][number_clean == n] for pair, n in of_pairs},
        "norm_clean": _norm_of_sum(k, clean),
        "norm_corrupt": _norm_of_sum(k, ~clean),
    }


def _norm_of_sum(k: np.ndarray, chosen: np.ndarray) -> float | None:
    return float(np.sqrt(k[np.ix_(chosen, chosen)].sum())) if chosen.any() else None


def measure(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor, Tensor]], protocol: str
) -> dict[str, float | int | None]:
    """One column of Table 4. batches: (inputs, targets, corrupted) as `units_of_batch` takes them.

    Returns for each kind of pair cosine_KIND_mean, _min, _max over all pairs of units within a
    batch (also the two of one example), of all batches, the mean's standard error _se over batches,
    and pairs_KIND; norm_clean and norm_corrupt, means over the batches that have such units, with
    standard errors norm_*_se and the number of batches left out, batches_without_*; snr, the ratio
    of the two means (Appendix M); batches. None where there are too few such units.
    """
    results = [coherence(*of_batch) for of_batch in grams(model, batches, protocol)]
    row = {"batches": len(results)}
    for pair in PAIRS:
        row |= _cosine_summary(pair, [result[f"cosine_{pair}"] for result in results])
    for kind in ("clean", "corrupt"):
        row |= _norm_summary(kind, [result[f"norm_{kind}"] for result in results])
    both = row["norm_clean"] is not None and row["norm_corrupt"] is not None
    return row | {"snr": row["norm_clean"] / row["norm_corrupt"] if both else None}


def _cosine_summary(pair: str, per_batch: list[np.ndarray]) -> dict:
    cosines = np.concatenate([np.empty(0), *per_batch])
    scores = {"mean": np.mean, "min": np.min, "max": np.max}
    # Pairs of one batch share its examples, so batches are what varies independently.
    means = [part.mean() for part in per_batch if len(part)]
    return {
        f"pairs_{pair}": len(cosines),
        f"cosine_{pair}_se": _standard_error(means),
        **{
            f"cosine_{pair}_{name}": float(score(cosines)) if len(cosines) else None
            for name, score in scores.items()
        },
    }


def _norm_summary(kind: str, per_batch: list[float | None]) -> dict:
    norms = [norm for norm in per_batch if norm is not None]
    return {
        f"norm_{kind}": float(np.mean(norms)) if norms else None,
        f"norm_{kind}_se": _standard_error(norms),
        f"batches_without_{kind}": len(per_batch) - len(norms),
    }


def _standard_error(values: list[float]) -> float | None:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


# --------------------------------------------------------------------------- Figure 4


def projection(gram: Tensor, clean: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Gradients in a plane through the direction of the summed clean gradient (Figure 4a).

    gram: [U, U]; clean: bool [U]. First axis: the direction of the sum s of the clean gradients,
    x_u = <G_u, s> / |s|. Second: that of the largest squared length left, which the top eigenpair
    of the residual Gram matrix K - x x^T gives as y = sqrt(lambda) v; its sign is free, so that
    the largest |y| is made positive. Returns coordinates, float64 [U, 2], and the share of the
    squared length of all units that each axis shows, [2]. ValueError: no clean unit.
    """
    k, clean = gram.cpu().numpy(), clean.cpu().numpy()
    if not clean.any():
        raise ValueError("no clean gradient whose sum could be an axis")
    onto = k @ clean
    x = onto / np.sqrt(clean @ onto)
    values, vectors = np.linalg.eigh(k - np.outer(x, x))
    y = np.sqrt(values[-1].clip(min=0)) * vectors[:, -1]
    y *= np.sign(y[np.abs(y).argmax()])
    coordinates = np.stack([x, y], axis=1)
    return coordinates, (coordinates**2).sum(0) / k.trace()


def growth(batches: Iterable[tuple[Tensor, Tensor]]) -> list[dict[str, float | int]]:
    """How sums of m clean and of m corrupt gradients grow with m = 1, 2, 4, ... (Figure 4b).

    batches: as `grams` yields them. A row per m, `count`, as long as there are two sums of each
    kind: for both kinds what `_growth_of_kind` says, and snr, the ratio of the two mean norms.
    """
    batches = list(batches)
    kinds = {
        "clean": [gram[clean][:, clean] for gram, clean in batches],
        "corrupt": [gram[~clean][:, ~clean] for gram, clean in batches],
    }
    rows, count = [], 1
    while all(sum(len(k) // count for k in of_kind) > 1 for of_kind in kinds.values()):
        row = {"count": count}
        for kind, of_kind in kinds.items():
            row |= _growth_of_kind(kind, of_kind, count)
        rows.append(row | {"snr": row["norm_clean"] / row["norm_corrupt"]})
        count *= 2
    return rows


def _growth_of_kind(kind: str, of_kind: list[Tensor], count: int) -> dict[str, float]:
    """norm_KIND, mean norm of the sums of disjoint groups of `count` units, as many as each batch
    has; its standard error, norm_KIND_se; cosine_KIND, the mean over all pairs of a batch, which
    is the same for any `count`; predicted_KIND, what `theory.sum_norm` makes of it and the mean
    length of the units. of_kind: Gram matrices [U, U] of one kind."""
    norms = np.concatenate([_norms_of_groups(k, count) for k in of_kind])
    length = np.concatenate([_norms_of_groups(k, 1) for k in of_kind]).mean()
    alike = [coherence(k, torch.ones(len(k), dtype=torch.bool)) for k in of_kind]
    cosine = np.concatenate([result["cosine_clean_clean"] for result in alike]).mean()
    return {
        f"norm_{kind}": float(norms.mean()),
        f"norm_{kind}_se": _standard_error(norms),
        f"cosine_{kind}": float(cosine),
        f"predicted_{kind}": float(theory.sum_norm(length, count, cosine)),
    }


def _norms_of_groups(gram: Tensor, count: int) -> np.ndarray:
    """Norm of the sum of each group of `count` units that follow each other, float64 [groups]."""
    k, groups = gram.cpu().numpy(), len(gram) // count
    k = k[: groups * count, : groups * count].reshape(groups, count, groups, count)
    return np.sqrt(np.einsum("gigj->g", k))
