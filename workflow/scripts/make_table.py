"""Make one table, tidy (csv) and laid out (md, tex, html)."""

import argparse
from pathlib import Path

import pandas as pd

from noiselab.answers import layouts, spectrum, tables
from noiselab.errors import run_script
from noiselab.files import read_json, whole_file, write_text
from noiselab.planning import config

CALIBRATED = (
    "what a perfectly calibrated model would score, from the clean run's own probabilities."
)
AVERAGING = "what averaging alone predicts from the smallest batch, std(B0) sqrt(B0/B)."

FROM_PRINT = (
    "what a perfectly calibrated model would lose, from the printed clean score alone: for an NLL "
    "the bound ln(1 + r); where the clean score is not enough there is none."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="entry of published.yaml, or an experiment")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--metrics", nargs="+", help="csv of runs")
    source.add_argument("--scale", nargs="+", help="csv of runs, a row per data set")
    source.add_argument("--spectrum", nargs="+", type=Path, help="csv of runs, of each family")
    source.add_argument("--floors", action="store_true", help="of the published numbers")
    source.add_argument("--plan", nargs="+", help="run.json files")
    source.add_argument("--gradients", help="csv of measure_gradients")
    source.add_argument("--teacher", nargs="+", help="decoding.json files")
    source.add_argument("--stability", help="csv of measure_loss_stability")
    parser.add_argument("--tier", required=True)
    parser.add_argument("--out", type=Path, required=True, help="csv; the others lie beside it")
    arguments = parser.parse_args()
    published = config.published().get(arguments.name, {})
    if arguments.metrics:
        table = tables.runs_table(pd.concat(map(pd.read_csv, arguments.metrics)), published)
    elif arguments.scale:
        table = tables.scale_table(pd.concat(map(pd.read_csv, arguments.scale)))
    elif arguments.spectrum:
        metrics = {path.stem: pd.read_csv(path) for path in arguments.spectrum}
        table = spectrum.spectrum_table(metrics, config.published())
    elif arguments.floors:
        table = spectrum.published_floors_table(config.published())
    elif arguments.plan:
        table = tables.plan_table([read_json(path) for path in arguments.plan], published)
    elif arguments.gradients:
        table = tables.gradient_table(pd.read_csv(arguments.gradients), published)
    elif arguments.teacher:
        table = tables.teacher_table([read_json(path) for path in arguments.teacher])
    else:
        table = tables.stability_table(pd.read_csv(arguments.stability), published)
    title = published.get("title", "test scores")
    title = f"{published.get('place', arguments.name)}: {title}"
    floor = CALIBRATED
    if arguments.stability or arguments.floors:
        floor = AVERAGING if arguments.stability else FROM_PRINT
    notes = layouts.notes(table, arguments.tier, floor)
    for suffix, render in layouts.FORMATS.items():
        write_text(arguments.out.with_suffix(f".{suffix}"), render(table, title, notes))
    with whole_file(arguments.out) as path:
        table.to_csv(path, index=False)


if __name__ == "__main__":
    run_script(main)
