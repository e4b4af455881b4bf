"""Side-by-side timings against stated references, as one table.

Each benchmark sets our functions against a stated reference that does the same work. Its lines are
kept as JSON lines in results/benchmarks.jsonl beside the document, which is made of them, as soon
as they are measured: a run of a few benchmarks, or one that was stopped, keeps all others.
"""

import argparse
import os
import sys
import traceback
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import comparing
from comparing import BENCHMARKS, Bench

# Their order is that of the table.
MODULES = ["noise_injection", "data_loading", "training_steps", "desk_steps", "algorithmic_steps"]
MODULES += [
    "evaluation",
    "teacher_decoding",
    "diffusion_sampling",
    "per_example_gradients",
    "probe_fits",
    "packing",
    "workflow_times",
    "growth",
]
LONG = "quick"  # the benchmark that takes half an hour


def main() -> int:
    for module in MODULES:
        import_module(module)
    arguments = parse()
    torch.set_num_threads(comparing.THREADS)
    failed = []
    with TemporaryDirectory() as folder:
        for name in chosen(arguments):
            print(f"{name}:", flush=True)
            place = Path(folder, name)
            place.mkdir()
            try:
                measure(name, arguments, place)
            except Exception:
                traceback.print_exc()
                failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed) > 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--only", nargs="+", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; or patterns")
    add("--quick", action="store_true", help="the whole tier quick as well, 20 to 40 minutes")
    add("--rounds", type=int, help="by default 9, fewer where a round takes long")
    add(
        "--data",
        type=Path,
        default=os.environ.get("NOISELAB_DATA"),
        help="folder of real photos, or one that holds tiny_imagenet_50/; default: $NOISELAB_DATA",
    )
    add("--out", type=Path, default=comparing.ROOT / "docs" / "BENCHMARKS.md")
    cuda = torch.cuda.is_available()
    add("--device", choices=["cpu", "cuda"], default="cuda" if cuda else "cpu")
    # Of the tier that `quick` runs: a smaller one makes a trial of this program.
    add("--quick-config", nargs="+", default=[], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for pattern in arguments.only or []:
        if not any(fnmatch(name, pattern) for name in BENCHMARKS):
            parser.error(f"no benchmark {pattern!r} (known: {', '.join(BENCHMARKS)})")
    if arguments.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # for the scripts that benchmarks start
    return arguments


def chosen(arguments: argparse.Namespace) -> list[str]:
    """Names of the benchmarks to run."""
    if arguments.only:
        names = [n for n in BENCHMARKS if any(fnmatch(n, p) for p in arguments.only)]
        return names + [LONG] * (arguments.quick and LONG not in names)
    return [name for name in BENCHMARKS if name != LONG or arguments.quick]


def measure(name: str, arguments: argparse.Namespace, folder: Path) -> None:
    """Run a benchmark; in the end, drop lines that it used to have."""
    store = arguments.out.parent / "results" / "benchmarks.jsonl"
    measured = []

    def write(records: list[dict]) -> None:
        comparing.write(store, records)
        comparing.write_text(arguments.out, comparing.document(records, BENCHMARKS))

    def keep(record: dict) -> None:
        measured.append(comparing.key(record))
        write(comparing.replaced(comparing.read(store), record))
        print(comparing.row(comparing.cells(record)), flush=True)

    others = {"folder": folder, "data": arguments.data, "settings": arguments.quick_config}
    device = torch.device(arguments.device)
    if not BENCHMARKS[name].possible(device):
        print("not measured: this machine has no bf16 in hardware; what another found stays")
        return
    bench = Bench(BENCHMARKS[name], device, arguments.rounds, **others, keep=keep)
    bench.of.measure(bench)
    if measured:
        same = (name, bench.device.type)
        now = comparing.read(store)
        write([r for r in now if comparing.key(r) in measured or comparing.key(r)[:2] != same])


if __name__ == "__main__":
    sys.exit(main())
