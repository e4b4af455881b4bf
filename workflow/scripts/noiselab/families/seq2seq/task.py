"""The sequence-to-sequence family: an encoder-decoder Transformer on pairs of texts."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import MarianMTModel

from noiselab import streams
from noiselab.data import pairs
from noiselab.data.pair_batches import PairBatches, Rows, by_length, source_rows, target_rows
from noiselab.data.pairs import BEGIN, END, PAD, Pairs
from noiselab.families.work import Data
from noiselab.models.marian import Symbols, marian
from noiselab.models.settings import network_settings
from noiselab.noise.corruptions.tokens import SYMBOLS, PermutedToken, UniformToken
from noiselab.run import Run
from noiselab.training.loop import Batch, Task

EVALUATION_SIZE = 2**23  # logits per forward pass of an evaluation, 34 MB in float32
SOURCE_TOKENS = 2**17  # positions of a padded batch of sources
TOKEN_KINDS = (UniformToken, PermutedToken)  # noise whose floors are known from a clean run
TOGETHER = 256  # sequences decoded or scored at once, at most


def task(run: Run, device: torch.device) -> Task:
    """Everything that the training loop needs for one run."""
    _, train, validation = pairs.read(run.data)
    count = validation.target.count
    scored = np.arange(min(count, run.evaluation["pairs"] or count))
    glance = scored[: run.evaluation["curve_pairs"]]

    def validation_nll(model: nn.Module) -> dict[str, float]:
        # For the learning curve; all scored pairs follow after training.
        nll, tokens = sequence_nll(model, run, validation, glance, device)
        return {"validation_nll": float(nll.sum() / tokens.sum())}

    return Task(
        model=build(run),
        batch=PairBatches(run, train, device),
        loss=loss,
        evaluate=validation_nll,
        predict=lambda model: predictions(model, run, validation, scored, device),
    )


def build(run: Run) -> MarianMTModel:
    """The run's model with its initial weights, a function of the seed alone."""
    torch.manual_seed(streams.integer(run.seed, "weights", 0))
    positions = max(run.source_length, run.target_length) + 1
    return marian(
        run.vocabulary,
        positions,
        Symbols(PAD, BEGIN, END),
        **network_settings(marian, run.model),
    )


def example(run: Run, data: Data) -> tuple[nn.Module, tuple, dict]:
    """The network and the arguments of its forward pass for one pair of mean lengths, without
    content. Masks are given whole, for transformers would look into them."""
    source = max(1, round(run.source_share * data.source))
    target = max(1, round(data.target))
    named = {
        "input_ids": torch.empty(1, source, dtype=torch.long),
        "attention_mask": torch.empty(1, 1, 1, source, dtype=torch.bool),
        "decoder_input_ids": torch.empty(1, target, dtype=torch.long),
        "decoder_attention_mask": torch.empty(1, 1, target, target, dtype=torch.bool),
    }
    return build(run), (), named


def loss(model: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy in nats against the targets as given, corrupted or not, as this part's share
    of the mean over the tokens of the whole batch."""
    source, decoder_input, weight = batch.inputs
    logits = token_logits(model, source, decoder_input, batch.targets != PAD)
    kept = batch.targets[batch.targets != PAD]
    return cross_entropy(logits, kept, reduction="sum") * weight


def token_nll(model: nn.Module, source: Tensor, decoder_input: Tensor, labels: Tensor) -> Tensor:
    """NLL of each label in nats, float [n, T]; 0 where the label is padding.

    source: int64 [n, S]; decoder_input, labels: int64 [n, T].
    """
    kept = labels != PAD
    nll = torch.zeros(labels.shape, device=labels.device)
    logits = token_logits(model, source, decoder_input, kept)
    return nll.masked_scatter(kept, cross_entropy(logits, labels[kept], reduction="none"))


def token_logits(model: nn.Module, source: Tensor, decoder_input: Tensor, kept: Tensor) -> Tensor:
    """Logits float32 [positions that are kept, V], row by row. kept: bool [n, T]."""
    return model(
        input_ids=source,
        attention_mask=(source != PAD).long(),
        decoder_input_ids=decoder_input,  # causal, and padded at the end: needs no mask
        kept=kept,
    ).float()


# --------------------------------------------------------------------------- evaluation


@torch.no_grad()
def sequence_nll(
    model: nn.Module,
    run: Run,
    split: Pairs,
    index: np.ndarray,
    device: torch.device,
    sources: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """NLL of whole clean targets in nats, float64 [n], and their tokens, int64 [n].

    index: int [n], which pairs; batches are of similar length, the results in the order asked for.
    sources: int [n], the pairs whose sources are read instead of each one's own.
    """
    source, target = source_rows(run, split.source), target_rows(run, split.target)
    sources = index if sources is None else sources
    reads, writes = source.lengths[sources], target.lengths[index]
    costs = np.maximum(reads / SOURCE_TOKENS, writes * run.vocabulary / EVALUATION_SIZE)
    nll = np.zeros(len(index))
    for part in by_length(reads + writes, costs, TOGETHER):
        rows = torch.from_numpy(target(index[part])).to(device)
        read = torch.from_numpy(source(sources[part])).to(device)
        values = token_nll(model, read, rows[:, :-1], rows[:, 1:])
        nll[part] = values.double().sum(1).cpu().numpy()
    return nll, np.maximum(target.lengths[index] - 1, 0)


@torch.no_grad()
def token_probabilities(
    model: nn.Module, run: Run, split: Pairs, index: np.ndarray, device: torch.device
) -> dict[str, np.ndarray]:
    """Probabilities of the tokens of clean targets, pair after pair, float32 [tokens]: `token_p`,
    and with the name of each noise of tokens what is left of it at an error rate of 1. From these
    follow the floors of runs with such noise."""
    source, target = source_rows(run, split.source), target_rows(run, split.target)
    kinds = [kind(1.0, run.vocabulary, SYMBOLS) for kind in TOKEN_KINDS]
    names = ["token_p", *(f"{kind.name}_p" for kind in kinds)]
    found: list = [None] * len(index)
    reads, writes = source.lengths[index], target.lengths[index]
    # Twice the memory of an evaluation, in double precision and with copies by noise.
    costs = np.maximum(reads / SOURCE_TOKENS, 4 * writes * run.vocabulary / EVALUATION_SIZE)
    for part in by_length(reads + writes, costs, TOGETHER):
        rows = torch.from_numpy(target(index[part])).to(device)
        read = torch.from_numpy(source(index[part])).to(device)
        labels = rows[:, 1:]
        kept = labels != PAD
        log_p = token_logits(model, read, rows[:, :-1], kept).double().log_softmax(-1)
        log_p, true = log_p[:, : run.vocabulary], labels[kept][:, None]
        of_part = [log_p.gather(-1, true).exp(), *(k.observed_tokens(log_p, true) for k in kinds)]
        values = torch.cat(of_part, 1).float().cpu().numpy()
        ends = np.cumsum(kept.sum(1).cpu().numpy())[:-1]
        for i, own in zip(part, np.split(values, ends), strict=True):
            found[i] = own
    values = np.concatenate([*found, np.empty((0, len(names)), np.float32)])
    return dict(zip(names, values.T, strict=True))


def generation_subset(run: Run, count: int) -> np.ndarray:
    """A few validation pairs, the same in every run, to generate targets for; int64, ascending.
    All of them for a noisy teacher (`generated` is None)."""
    chosen = streams.permutation(0, "generation", 0, count)[: run.evaluation["generated"]]
    return np.sort(chosen)


def other_sources(index: np.ndarray) -> np.ndarray:
    """For each pair another one, whose source it is to be read with, int64 [n]: a random cycle
    through all, the same in every run. index: int [n], two or more, none twice."""
    order = streams.permutation(0, "other-sources", 0, len(index))
    others = np.empty(len(index), dtype=np.int64)
    others[order] = index[np.roll(order, 1)]
    return others


def predictions(
    model: nn.Module, run: Run, validation: Pairs, scored: np.ndarray, device: torch.device
) -> dict[str, np.ndarray]:
    """What is kept of a finished run: NLL in nats and tokens of each scored pair, float64 and
    int64 [n], and greedy outputs for a fixed subset of pairs as flat tokens with offsets. Of a
    clean run also `shuffled_nll`, float64 [n]: each target with the source of another pair; and
    what `token_probabilities` gives."""
    model.eval()
    nll, tokens = sequence_nll(model, run, validation, scored, device)
    subset = generation_subset(run, validation.source.count)
    sources = source_rows(run, validation.source)
    generated, _ = decode(model, sources, subset, run.target_length, device)
    kept = {}
    if run.corruption == "none" and len(scored) > 1:
        others = other_sources(scored)
        kept["shuffled_nll"], _ = sequence_nll(model, run, validation, scored, device, others)
    if run.corruption == "none":
        kept |= token_probabilities(model, run, validation, scored, device)
    return kept | {
        "nll": nll,
        "tokens": tokens,
        "generated_index": subset,
        "generated": np.concatenate([*generated, np.empty(0, np.uint16)]),
        "generated_offsets": np.cumsum([0, *map(len, generated)]),
    }


def decode(
    model: MarianMTModel,
    sources: Rows,
    index: np.ndarray,
    limit: int,
    device: torch.device,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Greedy targets without symbols, uint16 arrays in the order of `index`, and which ended by
    the end symbol within `limit` tokens, bool [n]."""
    targets: list = [None] * len(index)
    ended = np.zeros(len(index), dtype=bool)
    lengths = sources.lengths[index]
    for part in by_length(lengths, lengths / SOURCE_TOKENS, TOGETHER):
        rows = torch.from_numpy(sources(index[part])).to(device)
        for i, tokens in zip(part, greedy(model, rows, limit), strict=True):
            stop = np.flatnonzero(tokens == END)
            ended[i] = len(stop) > 0
            targets[i] = tokens[: stop[0]] if len(stop) else tokens
    return targets, ended


@torch.no_grad()
def greedy(model: MarianMTModel, source: Tensor, limit: int) -> np.ndarray:
    """The most probable token at each step, with cached keys and values; uint16 [n, at most limit],
    PAD after the end symbol. source: int64 [n, S]."""
    tokens = model.generate(
        input_ids=source,
        attention_mask=(source != PAD).long(),
        max_new_tokens=limit,
        num_beams=1,
        do_sample=False,
        use_cache=True,
        suppress_tokens=[PAD, BEGIN],
    )
    return tokens[:, 1:].cpu().numpy().astype(np.uint16)
