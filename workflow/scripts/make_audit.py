"""Compare what the paper's text says with what its code does, side by side."""

import argparse
from pathlib import Path

from noiselab import reading
from noiselab.answers import audit
from noiselab.errors import run_script
from noiselab.files import whole_file, write_text
from noiselab.planning import config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, nargs="*", default=[], help="csv per experiment")
    parser.add_argument("--gradients", type=Path, help="csv of measure_gradients")
    parser.add_argument("--tier", required=True)
    parser.add_argument("--studies", nargs="+", help="default: all")
    parser.add_argument("--out", type=Path, required=True, help="csv; the others lie beside it")
    arguments = parser.parse_args()
    metrics = {path.stem: reading.metrics(path) for path in arguments.metrics}
    gradients = reading.table(arguments.gradients) if arguments.gradients else None
    table = audit.audit_table(config.audit(arguments.studies), metrics, gradients)
    for suffix, render in audit.FORMATS.items():
        write_text(arguments.out.with_suffix(f".{suffix}"), render(table, arguments.tier))
    with whole_file(arguments.out) as path:
        table.to_csv(path, index=False)


if __name__ == "__main__":
    run_script(main)
