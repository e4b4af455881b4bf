"""Which training targets of a run are corrupted, and to what: its noise as a table for other tools.

A mask is a parquet file. Its columns:

- `example`: number of the training example as prepared (for text: place of the target in the text);
- `item`: its row or file in the source (images only);
- `position`: where it stands in the stream of training targets, with noise drawn at each visit;
- `clean`, `taught`: the true target (null: unknown) and what the run is taught: class, token,
  text;
- `corrupted`: whether it was drawn as corrupted; `wrong`: whether it differs from the true one;
- `error_probability`: how likely that was, where the noise depends on the example.

Of text there are rows of corrupted targets only; of pairs of texts `example` is the pair, and
`place` says which of its target's tokens. Noise text takes the place of no other: `example`
is the place in the noise text, `clean` not known. The file's metadata (key `noiselab`, JSON) says
of which run it is, how many targets there are, and how many of them the rows cover.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from noiselab import items
from noiselab.data import pairs, prepared, text
from noiselab.data.batches import Order, TokenBatches
from noiselab.data.pair_batches import PairBatches, noisy_targets
from noiselab.data.stretches import StretchBatches
from noiselab.files import whole_file
from noiselab.noise.draws import taught_labels, taught_rows, taught_tokens
from noiselab.noise.registry import CORRUPTIONS, corruption
from noiselab.run import Run

PIECE = 2**20  # targets in memory at once
SAID = ("run_id", "dataset", "corruption", "resample", "seed", "noise_ratio", "error_rate")


def write(run: Run, limit: int, path: str | Path) -> None:
    """Write the mask of a run. limit: most targets that it covers, where noise is drawn anew at
    each visit; noise that is drawn once is covered whole."""
    target = CORRUPTIONS[run.corruption].target
    targets, covered, pieces = MASKS[target](run, limit)
    about = {name: run[name] for name in SAID} | {"targets": targets, "covered": covered}
    if covered < targets:
        about["more"] = (
            "these are the first ones; the others follow from the seed (noiselab.noise.draws)"
        )
    first = next(pieces)
    schema = first.schema.with_metadata({"noiselab": json.dumps(about)})
    with whole_file(path) as temporary, pyarrow.parquet.ParquetWriter(temporary, schema) as file:
        file.write_table(first.cast(schema))
        for piece in pieces:
            file.write_table(piece.cast(schema))


Mask = tuple[int, int, Iterator[pyarrow.Table]]  # targets, those covered, their rows in pieces


def label_mask(run: Run, limit: int) -> Mask:
    """Of labels: each training image once, or each visit."""
    _, train, _ = prepared.read(run.data)
    labels, noise = np.asarray(train.y), corruption(run)
    names = np.array(items.read(run.data))
    clean = np.ma.array(labels, mask=np.full(len(labels), not noise.knows_clean))
    probabilities = noise.error_probabilities()
    fresh = run.resample == "fresh"
    targets = run.training["steps"] * run.training["batch_size"] if fresh else len(labels)
    covered = min(targets, limit) if fresh else targets
    order = Order(run.seed, len(labels))

    def piece(start: int, stop: int) -> pyarrow.Table:
        index = order(start, stop) if fresh else np.arange(start, stop)
        taught, corrupted = taught_labels(noise, run, labels, index, start, stop)
        columns = {"position": np.arange(start, stop)} if fresh else {}
        columns |= {"example": index, "item": pyarrow.array(names[index], pyarrow.string())}
        columns |= _columns(clean[index], taught, corrupted)
        if probabilities is not None:
            columns["error_probability"] = probabilities[index]
        return pyarrow.table(columns)

    return targets, covered, (piece(*ends) for ends in _pieces(covered))


def token_mask(run: Run, limit: int) -> Mask:
    """Of tokens: the training text once, or the sequences that are visited."""
    if "target_length" in run:
        return pair_token_mask(run, limit)
    _, tokens, _ = text.read(run.data)
    noise, length = corruption(run), run.model["context"]
    if run.resample == "fresh":
        targets = run.training["steps"] * run.training["batch_size"] * length
        covered = max(1, min(targets, limit) // length) * length
        batches = TokenBatches(run, tokens, "cpu")
        ends = _pieces(covered // length, max(1, PIECE // length))
        return targets, covered, (_visited(run, batches, noise, *e) for e in ends)
    targets = len(tokens) - 1
    return targets, targets, (_text_once(run, tokens, noise, *ends) for ends in _pieces(targets))


def _visited(run: Run, batches: TokenBatches, noise, start: int, stop: int) -> pyarrow.Table:
    """Corrupted targets of the sequences at these positions of the stream."""
    places, length = batches.places(start, stop), run.model["context"]
    place = places[:, None] + 1 + np.arange(length)  # of each target in the text
    clean = np.asarray(batches.tokens)[place].astype(np.int64)
    taught, corrupted = taught_tokens(noise, run, clean, places, start)
    position = np.arange(start * length, stop * length).reshape(clean.shape)
    columns = {"position": position[corrupted], "example": place[corrupted]}
    return pyarrow.table(columns | _columns(clean[corrupted], taught[corrupted]))


def _text_once(run: Run, tokens: np.ndarray, noise, start: int, stop: int) -> pyarrow.Table:
    """Corrupted ones of the tokens start + 1 … stop of the text."""
    clean = np.asarray(tokens[start + 1 : stop + 1], dtype=np.int64)[None]
    taught, corrupted = taught_tokens(noise, run, clean, np.array([start]), 0)
    columns = {"example": np.arange(start + 1, stop + 1)[corrupted[0]]}
    return pyarrow.table(columns | _columns(clean[corrupted], taught[corrupted]))


def pair_token_mask(run: Run, limit: int) -> Mask:
    """Of tokens of target sequences, symbols left out: those of all training pairs, or of the
    batches that are visited. `example` is the pair, `place` the target's in its sequence."""
    _, train, _ = pairs.read(run.data)
    batches = PairBatches(run, train, "cpu")
    size, rows = run.training["batch_size"], batches.target
    if run.resample == "fresh":
        lengths = [int(rows.body[batches.indices(i)].sum()) for i in range(run.training["steps"])]
        within = np.searchsorted(np.cumsum(lengths), limit, side="right")
        visited = max(1, int(within))
        pieces = (_visited_pairs(batches, i * size, (i + 1) * size) for i in range(visited))
        return sum(lengths), sum(lengths[:visited]), pieces
    count = int(rows.body.sum())
    ends = _pieces(len(rows.body), max(1, PIECE // (run.target_length + 1)))
    return count, count, (_pairs_once(batches, *e) for e in ends)


def _visited_pairs(batches: PairBatches, start: int, stop: int) -> pyarrow.Table:
    """Corrupted targets of the pairs at these positions of the stream, of one batch."""
    return _wrong_tokens(batches, batches.indices(start // batches.size), start, True)


def _pairs_once(batches: PairBatches, start: int, stop: int) -> pyarrow.Table:
    """Corrupted targets of the training pairs start … stop - 1."""
    return _wrong_tokens(batches, np.arange(start, stop), 0, False)


def _wrong_tokens(batches: PairBatches, index: np.ndarray, start: int, fresh: bool):
    clean = batches.target(index)[:, 1:]
    taught, corrupted = taught_rows(batches.noise, batches.run, clean, index, start)
    row, place = np.nonzero(corrupted)
    columns = {"position": start + row} if fresh else {}
    columns |= {"example": index[row], "place": place}
    return pyarrow.table(columns | _columns(clean[corrupted], taught[corrupted]))


def stretch_mask(run: Run, limit: int) -> Mask:
    """Of noise text: the text once, or that of the windows that are visited."""
    _, tokens, _ = text.read(run.data)
    batches, length = StretchBatches(run, tokens, "cpu"), run.model["context"]
    if run.resample == "fresh":
        targets = run.training["steps"] * run.training["batch_size"] * length
        covered = max(1, min(targets, limit) // length) * length
        ends = _pieces(covered // length, max(1, PIECE // length))
        return targets, covered, (_visited_noise(batches, *e) for e in ends)
    count = batches.stretches.count
    pieces = (_noise_once(batches.stretches, *ends) for ends in _pieces(count))
    return count, count, pieces


def _visited_noise(batches: StretchBatches, start: int, stop: int) -> pyarrow.Table:
    """Noise targets of the windows at these positions of the stream."""
    windows, noisy = batches.windows(start, stop)
    taught = windows[noisy, 1:]
    length = taught.shape[1]
    position = np.flatnonzero(noisy)[:, None] * length + start * length + np.arange(length)
    columns = {"position": position.ravel()}
    return pyarrow.table(columns | _columns(_unknown(taught.ravel()), taught.ravel()))


def _noise_once(stretches, start: int, stop: int) -> pyarrow.Table:
    """The tokens start … stop - 1 of a noise text."""
    taught = stretches.part(start, stop)
    columns = {"example": np.arange(start, stop)}
    return pyarrow.table(columns | _columns(_unknown(taught), taught))


def _unknown(tokens: np.ndarray) -> np.ma.MaskedArray:
    """Clean targets that there are none of."""
    return np.ma.masked_all_like(tokens)


def sequence_mask(run: Run, limit: int) -> Mask:
    """Of target sequences, as text: each training pair once."""
    _, train, _ = pairs.read(run.data)
    noisy, corrupted = noisy_targets(run, train.target)
    tokenizer = pairs.tokenizer(run.data)

    def piece(start: int, stop: int) -> pyarrow.Table:
        clean, taught = (
            tokenizer.decode_batch([s.get(i).tolist() for i in range(start, stop)])
            for s in (train.target, noisy)
        )
        columns = {"example": np.arange(start, stop)}
        return pyarrow.table(columns | _columns(clean, taught, corrupted[start:stop]))

    count = train.target.count
    return count, count, (piece(*ends) for ends in _pieces(count, 2**14))


def _columns(clean, taught, corrupted=None) -> dict:
    """What each mask says of a target. corrupted: None where all rows are."""
    values = np.ma.asarray(clean)
    unknown = np.ma.getmaskarray(values)
    wrong = np.ma.array(values.data != np.asarray(taught), mask=unknown)
    columns = {"clean": pyarrow.array(values.data, mask=unknown), "taught": pyarrow.array(taught)}
    if corrupted is not None:
        columns["corrupted"] = pyarrow.array(corrupted, mask=unknown)
    return columns | {"wrong": pyarrow.array(wrong.data, mask=unknown)}


def _pieces(count: int, size: int = PIECE) -> Iterator[tuple[int, int]]:
    """First and last + 1 of each piece; one that is empty where there is nothing."""
    return ((start, min(start + size, count)) for start in range(0, max(count, 1), size))


MASKS = {
    "label": label_mask,
    "token": token_mask,
    "stretch": stretch_mask,
    "sequence": sequence_mask,
}
