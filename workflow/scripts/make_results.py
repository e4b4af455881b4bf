"""Write docs/results/ with a page per folder, the list of these pages in docs/RESULTS.md, and
docs/images/ from the results of one tier or more, and the numbers in README and docs that are
marked to come from there."""

import argparse
import shutil
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from noiselab import reading
from noiselab.answers import (
    collected,
    competence,
    documents,
    provenance,
    result_pages,
    tables,
    tiers,
)
from noiselab.errors import NoiselabError, run_script
from noiselab.families.descriptor import HISTORY, METRICS
from noiselab.files import ROOT, read_json, whole_file, write_text
from noiselab.planning import config

DOCS = ROOT / "docs"
TABLES = [
    "spectrum",
    "published_floors",
    "audit",
    "table2",
    "table10",
    "table13",
    "human_labels",
    "human_against_synthetic",
    "precision",
    "table3",
    "table6",
    "table8",
    "scale",
    "batch_ablation",
]
TABLES += ["batch_ablation_text", "table7", "table5", "table4", "table11"]
TABLES += ["table1", "table12", "rulers", "table9", "context_ablation", "source_lengths", "teacher"]
TABLES += ["noise_probes", "noise_probe_gains", "probe_methods", "probe_method_gains"]
TABLES += ["probe_sensitivity", "regions", "proposition_2", "fine_tuning"]
TABLES += ["label_probes", "label_probe_gains", "vit_label_probes", "vit_label_probe_gains"]
TABLES += ["printed_averages", "printed_gains"]
TABLES += ["stretches", "signature", "noise_learned", "domains"]
TABLES += ["large_stretches", "masked_stretches"]
TABLES += [
    "networks",
    "network_differences",
    "pretraining",
    "pretraining_differences",
    "recoveries",
]
TABLES += [f"batches_{kind}" for kind in ("classifier", "vit", "images", "text", "pairs")]
TABLES += ["vit_pretraining", "vit_pretraining_differences"]
TABLES += ["text_pretraining", "text_pretraining_differences"]
TABLES += ["text_recoveries", "known_noise", "known_noise_differences", "text_networks"]
TABLES += ["text_differences", "generators", "generator_differences", "generated_grid", "guided"]
TABLES += [
    "grokking",
    "speedups",
    "speedups_to_most",
    "strengths",
    "next_tokens",
    "next_token_speedups",
]
TABLES += ["stability_and_noise", "noisy_targets", "noisy_targets_differences"]
GRIDS = ("open_questions", ("quick", "desk", "lab"))  # a study whose parts are asked one by one
TIER = """\
- Data: {datasets}. These are {kind}.
- {runs} scored trainings, {minutes:.0f} minutes in all, on {devices}. Judges have no scores.
- Code revision {revisions}.
"""
FLOATS = "%.12g"  # processors differ in the digits after these
CURVE = 10  # losses of a learning curve that are published


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--results", type=Path, nargs="*", default=[], help="folders of tiers; none: fill the pages"
    )
    parser.add_argument(
        "--finished", type=Path, help="folder of a tier: publish the metrics of what is finished"
    )
    parser.add_argument(
        "--tiers",
        action="store_true",
        help="plan what each tier costs, which takes a minute or two",
    )
    arguments = parser.parse_args()
    if arguments.tiers:
        _write_table(DOCS / "results" / "tiers.csv", tiers.table())
        _write_table(DOCS / "results" / "open_questions.csv", tiers.artefacts(*GRIDS))
    if arguments.finished:
        _write_finished(arguments.finished)
    if arguments.results:
        _write_results(arguments.results)
    for folder in {path.parent for path in (DOCS / "results").glob("*/history.csv")}:
        metrics = reading.table(folder / "metrics.csv")  # of this script, as the learning curves
        _write_table(folder / "cells.csv", tables.cells(metrics))
    for page in documents.fill(ROOT):
        print(f"{page}: numbers as in docs/results")


def _write_finished(results: Path) -> None:
    """Metrics and learning curves of the trainings of a tier that are finished, whether or not a
    table can be made of them yet."""
    found = sorted(results.glob(f"runs/**/{METRICS}"))
    rows = [row for path in found for row in collected.rows(collected.content(path))]
    if not rows:
        raise NoiselabError(f"{results}: no finished training")
    _write_metrics(results, pd.DataFrame(rows))


def _write_metrics(results: Path, metrics: pd.DataFrame) -> pd.DataFrame:
    """Each training's metrics once, its learning curve and where all come from. Returns a row per
    training. metrics: rows of collected."""
    runs = metrics.drop_duplicates("run_id")
    found = {
        "metrics": metrics.drop_duplicates(["run_id", "metric", "protocol"]),
        "history": _histories(results, runs["run_id"]),
        "provenance": provenance.table(runs),
    }
    for name, table in found.items():
        _write(results, name, table)
    return runs


def _write(results: Path, name: str, table: pd.DataFrame) -> None:
    _write_table(DOCS / "results" / _tier_name(results) / f"{name}.csv", table)


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with whole_file(path) as temporary:
        table.to_csv(temporary, index=False, float_format=FLOATS)


def _write_results(folders: list[Path]) -> None:
    """A page for each folder, beside its csv files, and the list of all such pages."""
    for results in folders:
        parts = _tier(results)
        tier = _tier_name(results).partition("_")[0]
        suffix = "" if tier == "quick" else f"_{tier}"  # a figure of each tier
        for figure in sorted(results.glob("figures/*.png")):
            image = f"images/{figure.stem}{suffix}.png"
            _copy(figure, DOCS / image)
            parts.append(f"![{_finding(figure)}](../../{image})\n")
        folder = DOCS / "results" / _tier_name(results)
        write_text(folder / result_pages.PAGE, result_pages.page(folder.name, parts))
    write_text(DOCS / "RESULTS.md", result_pages.index(DOCS / "results"))


def _finding(figure: Path) -> str:
    """What a figure shows, for who cannot see it."""
    return read_json(figure.with_suffix(".json"))["alt"]


def _tier(results: Path) -> list[str]:
    """Head and tables of one tier, as far as they were made; the csv files are copied."""
    made = [results / "claims.md", *(results / f"tables/{name}.md" for name in TABLES)]
    made.append(results / "cost.md")
    made = [path for path in made if path.is_file()]
    if not made:
        raise NoiselabError(f"{results}: no finished results (no tables)")
    for data in (*results.glob("tables/*.csv"), results / "claims.csv", results / "cost.csv"):
        if data.is_file():
            _copy(data, DOCS / "results" / _tier_name(results) / data.name)
    metrics = {path.stem: reading.table(path) for path in sorted(results.glob("metrics/*.csv"))}
    runs = _write_metrics(results, pd.concat(metrics.values()))
    _write(results, "competence", competence.tried(metrics, config.published()))
    return [_head(runs), *(path.read_text(encoding="utf-8") for path in made)]


def _histories(results: Path, runs: Iterable[str]) -> pd.DataFrame:
    """Learning curves: what was evaluated on the way, and some of the losses between."""
    parts = []
    for run in runs:
        path = _tier_folder(results) / "runs" / str(run) / HISTORY
        if path.is_file():
            rows = pd.read_json(path, lines=True)
            every = max(1, len(rows) // CURVE)
            told = rows.drop(columns=["step", "learning_rate", "examples_per_second"])
            evaluated = told.drop(columns=["loss", "error_rate"]).notna().any(axis=1)
            kept = evaluated | (rows.index % every == every - 1)
            parts.append(rows[kept].assign(run_id=run))
    if not parts:
        return pd.DataFrame(columns=["run_id", "step"])
    table = pd.concat(parts).drop(columns="examples_per_second")
    return table[["run_id", *(name for name in table if name != "run_id")]]


def _tier_folder(results: Path) -> Path:
    """results/<tier> of a folder of answers: itself, or its part results/<tier>/only/<part>."""
    return results.parents[1] if results.parent.name == "only" else results


def _tier_name(results: Path) -> str:
    return _tier_folder(results).name


def _head(runs: pd.DataFrame) -> str:
    own = (runs["dataset"] == runs["stands_in_for"]).all()
    return TIER.format(
        datasets=", ".join(dict.fromkeys(runs["dataset"])),
        kind="the paper's data sets" if own else "not the paper's data sets",
        runs=len(runs),
        minutes=runs["seconds"].sum() / 60,
        devices=", ".join(sorted(set(runs["device"]))),
        revisions=", ".join(sorted(set(runs["revision"]))),
    )


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)


if __name__ == "__main__":
    run_script(main)
