"""The noisy teacher's greedy targets: by length, with cached keys and values, shards written."""

from tempfile import TemporaryDirectory

import numpy as np
import torch

from cases import NETWORKS, case, shake
from comparing import Bench, benchmark
from noiselab.data import pairs
from noiselab.data.pairs import BEGIN, END, PAD, Pairs, Sequences
from noiselab.families.seq2seq.teacher import decode_all
from training_steps import padded

LIMIT = 256  # tokens


@benchmark("teacher decoding", "teacher", rounds=5)
def decoding(bench: Bench) -> None:
    run, task = case(bench, "seq2seq")
    # So large that outputs depend on sources, and end at all lengths.
    model = shake(task.model, 0.1).eval()
    _, train, _ = pairs.read(run["data"])
    weights = bench.folder / "weights"
    weights.write_bytes(b"")  # for the name of the folder of shards

    def ours(part: Pairs) -> list[np.ndarray]:
        with TemporaryDirectory(dir=bench.folder) as folder:
            return decode_all(model, run, weights, part, bench.folder / folder, bench.device)[0]

    for count, reference, theirs in (
        (16, "uncached loop, sources padded to 256", uncached),
        (64, "transformers' generate, a sentence at a time", generated),
    ):
        part = Pairs(*(first(side, count) for side in train))
        sources = [[*part.source.get(i).tolist(), END] for i in range(count)]
        bench.compare(
            f"greedy decoding of {count} sentences to at most {LIMIT} tokens",
            reference,
            lambda p=part: ours(p),
            lambda f=theirs, s=sources: f(model, s, bench.device),
            check=alike,
            amount=lambda outputs: sum(map(len, outputs)),
            unit="tokens",
            note=NETWORKS["seq2seq"],
        )


def first(sequences: Sequences, count: int) -> Sequences:
    offsets = sequences.offsets[: count + 1]
    return Sequences(sequences.tokens[: offsets[-1]], offsets)


def alike(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    """The same tokens. Rounding may decide a tie, after which a sentence goes on differently."""
    same = np.mean([np.array_equal(*both) for both in zip(ours, theirs, strict=True)])
    assert same >= 0.95, f"{100 * same:.0f} % of the outputs are the same"


@torch.no_grad()
def uncached(model, sources: list[list[int]], device: torch.device) -> list[np.ndarray]:
    """A loop that computes every prefix anew; the encoder runs once."""
    rows = padded(sources, LIMIT).to(device)
    mask = (rows != PAD).long()
    encoded = model.model.encoder(rows, attention_mask=mask)
    tokens = torch.full((len(rows), 1), BEGIN, device=device)
    ended = torch.zeros(len(rows), dtype=torch.bool, device=device)
    while tokens.shape[1] <= LIMIT and not ended.all():
        inputs = {"encoder_outputs": encoded, "attention_mask": mask, "decoder_input_ids": tokens}
        logits = model(**inputs).logits[:, -1]
        logits[:, [PAD, BEGIN]] = -torch.inf
        new = torch.where(ended, PAD, logits.argmax(-1))
        ended |= new == END
        tokens = torch.cat([tokens, new[:, None]], 1)
    return [without_end(row[1:]) for row in tokens.cpu().numpy()]


def generated(model, sources: list[list[int]], device: torch.device) -> list[np.ndarray]:
    """What a user of the library would write first."""
    options = {"num_beams": 1, "do_sample": False, "use_cache": True}
    options |= {"max_new_tokens": LIMIT, "suppress_tokens": [PAD, BEGIN]}
    rows = (torch.tensor([source], device=device) for source in sources)
    return [without_end(model.generate(row, **options)[0, 1:].cpu().numpy()) for row in rows]


def without_end(tokens: np.ndarray) -> np.ndarray:
    """Up to the end symbol."""
    return tokens[: np.flatnonzero(np.isin(tokens, [END, PAD])).min(initial=len(tokens))]
