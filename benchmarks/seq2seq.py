"""Side-by-side timings of the sequence-to-sequence family; `make bench` adds them to
docs/BENCHMARKS.md. Both sides run the same network in the same process, alternating."""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
from noiselab import config, runs, seq2seq
from noiselab.data.pair_batches import PairBatches, PairInputs, source_rows
from noiselab.data.pairs import BEGIN, END, PAD, Pairs, Sequences
from noiselab.provenance import describe
from noiselab.training import Batch, build_optimizer

CPU = torch.device("cpu")
SENTENCES = 16
LIMIT = 256
STEPS = 12
ROUNDS = 3


def main() -> None:
    torch.set_num_threads(1)
    run = benchmark_run()
    model = seq2seq.build(run)
    print("\n## Sequence to sequence\n")
    print(
        f"{run['model']['layers']} + {run['model']['layers']} layers, width "
        f"{run['model']['width']}, vocabulary {run['vocabulary']}; {ROUNDS} rounds, one thread; "
        "lengths of sources and targets like WMT's (log-normal, median 25 tokens, at most 256).\n"
    )
    print("| what | reference | ours | reference | ratio (smallest to largest) |")
    print("|---|---|---:|---:|---:|")
    decoding(run, model.eval())
    training(run, model.train())
    facts = ", ".join(f"{key} {value}" for key, value in describe(CPU).items())
    print(f"\n{facts}.")


def benchmark_run() -> dict:
    """A run of the paper's tier with a smaller network."""
    changes = {"model": {"layers": 2, "heads": 4, "width": 192, "feedforward": 768}}
    experiment = {"datasets": ["wmt14"], "noise_ratios": [0], "training": changes}
    settings = config.load({"experiments": {"table9": experiment}}, tier="paper")
    plan = runs.plan(settings, "r")
    return plan.runs[plan.experiments["table9"][0]] | {"vocabulary": 8192}


def wmt_like(rng, count: int) -> Sequences:
    lengths = np.clip(rng.lognormal(np.log(25), 0.6, count), 1, LIMIT - 1).astype(int)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Sequences(rng.integers(3, 8192, offsets[-1]).astype(np.uint16), offsets)


def compare(ours, reference) -> tuple[float, float, str]:
    """Median rates and the ratio; both functions return (work done, seconds)."""
    rates = {ours: [], reference: []}
    for _ in range(ROUNDS):
        for function in rates:
            start = time.perf_counter()
            work = function()
            rates[function].append(work / (time.perf_counter() - start))
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    spread = f"{statistics.median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})"
    return *(statistics.median(r) for r in rates.values()), spread


def decoding(run: dict, model) -> None:
    """Greedy decoding to 256 tokens: cached and by length, against a loop over sources padded to
    256 that computes every prefix anew. Large random weights make outputs depend on sources."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2 and weight.requires_grad:
                weight.normal_(0, 0.1)
    sources = source_rows(run, wmt_like(np.random.default_rng(0), SENTENCES))
    outputs = {}

    def ours() -> int:
        outputs["ours"], _ = seq2seq.decode(model, sources, np.arange(SENTENCES), LIMIT, CPU)
        return sum(map(len, outputs["ours"]))

    def reference() -> int:
        outputs["reference"] = uncached(model, sources, 0, SENTENCES)
        return sum(map(len, outputs["reference"]))

    fast, slow, ratio = compare(ours, reference)
    same = all(map(np.array_equal, outputs["ours"], outputs["reference"]))
    what = f"greedy decoding of {SENTENCES} sentences to at most {LIMIT} tokens"
    what += ", same outputs token for token" if same else ", OUTPUTS DIFFER"
    print(
        f"| {what} | uncached loop, sources padded to 256 | {fast:.0f} tokens/s "
        f"| {slow:.0f} tokens/s | {ratio} |"
    )


@torch.no_grad()
def uncached(model, sources, start: int, stop: int) -> list[np.ndarray]:
    """Greedy outputs without end symbols of padded sources; the encoder runs once."""
    rows = padded(sources(np.arange(start, stop)), LIMIT)
    mask = (rows != PAD).long()
    encoded = model.model.encoder(rows, attention_mask=mask)
    tokens = torch.full((len(rows), 1), BEGIN)
    ended = torch.zeros(len(rows), dtype=bool)
    while tokens.shape[1] <= LIMIT and not ended.all():
        logits = model(
            encoder_outputs=encoded, attention_mask=mask, decoder_input_ids=tokens
        ).logits[:, -1]
        logits[:, [PAD, BEGIN]] = -torch.inf
        new = torch.where(ended, PAD, logits.argmax(-1))
        ended |= new == END
        tokens = torch.cat([tokens, new[:, None]], 1)
    kept = [row[1:].numpy().astype(np.uint16) for row in tokens]
    return [row[: np.flatnonzero(np.isin(row, [END, PAD])).min(initial=LIMIT)] for row in kept]


def padded(rows: np.ndarray, width: int) -> torch.Tensor:
    """Rows with PAD up to a width, int64 [n, width]."""
    return torch.from_numpy(np.pad(rows, [(0, 0), (0, width - rows.shape[1])]))


def training(run: dict, model) -> None:
    """Training steps on batches of similar length, against the same pairs in batches as they
    come, always padded to 256."""
    rng = np.random.default_rng(1)
    pairs = Pairs(wmt_like(rng, 20_000), wmt_like(rng, 20_000))
    size = run["training"]["batch_size"] = 16
    batches = PairBatches(run, pairs, CPU)
    optimizer = build_optimizer(model, run["training"]["optimizer"])

    def steps(batch_of) -> int:
        for i in range(STEPS):
            seq2seq.loss(model, batch_of(i)).backward()
            optimizer.step()
            optimizer.zero_grad()
        return STEPS * size

    def always_padded(i: int) -> Batch:
        index = np.arange(i * size, (i + 1) * size)
        rows = padded(batches.target(index), LIMIT + 1)
        source = padded(batches.source(index), LIMIT)
        inputs = PairInputs(source, rows[:, :-1], 1 / (rows[:, 1:] != PAD).sum().item())
        return Batch(inputs, rows[:, 1:], torch.zeros(size, dtype=bool))

    def bucketed() -> int:
        return steps(lambda i: batches(i * size, (i + 1) * size))

    fast, slow, ratio = compare(bucketed, lambda: steps(always_padded))
    print(
        f"| {STEPS} training steps of {size} pairs | always padded to 256 | {fast:.1f} pairs/s "
        f"| {slow:.1f} pairs/s | {ratio} |"
    )


if __name__ == "__main__":
    main()
