"""Scores of a sequence-to-sequence model from what its training kept, with the sequence floor."""

from pathlib import Path

import numpy as np

from noiselab import reading
from noiselab.data import pairs
from noiselab.data.pair_batches import of_tokens
from noiselab.errors import NoiselabError
from noiselab.measures.metrics import seq2seq_metrics
from noiselab.measures.scores import DIVERGED, NONE, UNITS, excess, ratio_score, unscored
from noiselab.measures.text_scores import score
from noiselab.noise.registry import corruption
from noiselab.run import Run


def scores(run: Run, files: dict[str, Path]) -> dict[str, dict]:
    """All scores of a run. files: `predictions` of the run, of the `clean` run and, unless it is
    clean itself, of its `teacher`; all npz."""
    _, train, validation = pairs.read(run.data)
    own, clean = (predictions(files[name]) for name in ("predictions", "clean"))
    reading.expect(clean["nll"], files["clean"], "nll", "f", own["nll"].shape)
    if of_tokens(run):
        clean |= token_probabilities(files["clean"], clean, corruption(run).name)
    right = np.zeros(len(own["nll"]), dtype=bool)
    whose = _diverged(own, files)
    if "teacher" in files and not whose:
        right = identical(predictions(files["teacher"]), validation, run)[: len(right)]
    scores = seq2seq_metrics(own, clean, right, corruption(run))
    scores |= generation_score(run, own, validation) | source_score(own)
    if whose:
        scores = {name: unscored(name, s["items"], whose) for name, s in scores.items()}
    return scores | corruption_shares(run, train)


def predictions(path: Path) -> dict[str, np.ndarray]:
    """What a model said of validation pairs. NoiselabError: the file is broken."""
    found = reading.arrays(
        path, "nll", "tokens", "generated", "generated_offsets", "generated_index"
    )
    reading.expect(found["nll"], path, "nll", "f", (None,))
    reading.expect(found["tokens"], path, "tokens", "iu", found["nll"].shape)
    lengths = (len(found["generated_index"]) + 1,)
    reading.expect(found["generated_offsets"], path, "generated_offsets", "iu", lengths)
    return found


def token_probabilities(path: Path, kept: dict, noise: str) -> dict[str, np.ndarray]:
    """A clean run's probabilities of validation tokens, without noise and with nothing else.
    NoiselabError: it was trained before these were kept."""
    names, found = ("token_p", f"{noise}_p"), reading.arrays(path)
    if missing := [name for name in names if name not in found]:
        raise NoiselabError(
            f"{path}: no {missing[0]}, which a floor under {noise} takes; train this run again: "
            f"snakemake --forcerun train_seq2seq -- {path}"
        )
    for name in names:
        reading.expect(found[name], path, name, "f", (int(kept["tokens"].sum()),))
    return {name: found[name] for name in names}


def _diverged(own: dict, files: dict[str, Path]) -> str | None:
    """Why a run says nothing: its training diverged, or its teacher's, which wrote its targets."""
    if not np.isfinite(own["nll"]).all():
        return DIVERGED
    teacher = predictions(files["teacher"])["nll"] if "teacher" in files else np.zeros(1)
    return None if np.isfinite(teacher).all() else "the teacher diverged"


def source_score(own: dict) -> dict:
    """What another sentence's source costs, of a run that was asked (`predictions` of task.py)."""
    if "shuffled_nll" not in own:
        return {}
    name, unknown = "shuffled_source_cost", np.full(len(own["nll"]), np.nan)
    return {name: ratio_score(name, own["shuffled_nll"] - own["nll"], unknown, own["tokens"])}


def identical(teacher: dict, validation: pairs.Pairs, run: Run) -> np.ndarray:
    """Which validation targets the teacher, which wrote one for each, writes exactly, bool [n]."""
    longest = run.target_length - run.symbols  # the end symbol is the last token
    written = outputs(teacher)
    targets = (validation.target.get(i)[:longest] for i in teacher["generated_index"])
    return np.array([np.array_equal(*both) for both in zip(written, targets, strict=True)])


def outputs(kept: dict) -> list[np.ndarray]:
    """Generated sequences, uint16 arrays."""
    return np.split(kept["generated"], kept["generated_offsets"][1:-1])


def generation_score(run: Run, own: dict, validation: pairs.Pairs) -> dict:
    """BLEU or ROUGE-L of greedy outputs against clean targets, on the fixed subset."""
    tokenizer, index = pairs.tokenizer(run.data), own["generated_index"]
    written = tokenizer.decode_batch([tokens.tolist() for tokens in outputs(own)])
    references = tokenizer.decode_batch([validation.target.get(i).tolist() for i in index])
    name = run.evaluation["score"]
    return {name: _cell(name, len(index), **score(name, written, references))}


def corruption_shares(run: Run, train: pairs.Pairs) -> dict:
    """Share of target tokens that are the teacher's, in per cent (that of pairs is e); nothing
    where there is none."""
    if of_tokens(run):
        return {}
    corrupted = corruption(run).chosen(train.target.count)
    clean = train.target.lengths()
    written = pairs.read_sequences(run.teacher_targets).lengths() if corrupted.any() else clean
    tokens = np.where(corrupted, written, clean)
    shares = {"corrupted_pairs": corrupted, "corrupted_tokens": tokens * corrupted / tokens.mean()}
    return {n: _cell(n, len(clean), 100 * float(share.mean())) for n, share in shares.items()}


def _cell(name, items, value, ci_low=None, ci_high=None, interval="none") -> dict:
    numbers = {"value": value, "ci_low": ci_low, "ci_high": ci_high, "interval": interval}
    numbers |= {"floor": None, **excess(NONE)}
    return numbers | {"unit": UNITS[name], "items": items, "reason": None}
