"""Rows as collect_metrics writes them, for tests of claims; the paper's numbers as such rows."""

import numpy as np
import pandas as pd

from noiselab.answers import claims
from noiselab.answers.rulers import LOSSES, lost, published_floor
from noiselab.planning import config
from noiselab.planning.rates import error_rate

PUBLISHED = config.published(["low_quality_data"])


def row(experiment, dataset, metric, value, *, ratio=1.0, of=None, half=0.0, **more):
    """A row of collect_metrics."""
    base = {"family": "classifier", "tier": "quick", "seed": 0, "source_share": np.nan}
    base |= {"dataset": dataset, "stands_in_for": of or dataset, "classes": 10}
    noise = PUBLISHED.get(experiment, {}).get("corruption", "uniform_label")
    base |= {"corruption": noise, "resample": "fresh", "budget": "fixed_clean"}
    base |= {"protocol": "text", "batch_multiplier": 1, "items": 100, "reason": np.nan}
    base |= {"noise_ratio": ratio, "error_rate": error_rate(ratio), "measured_error_rate": 0.5}
    base |= {"metric": metric, "unit": "", "value": value, "interval": "t_items"}
    base |= {"ci_low": value - half, "ci_high": value + half, "floor": np.nan}
    return base | more


def rows_of_print(experiment, half=0.0, dataset_of=lambda name: name):
    """The paper's own numbers as if we had measured them: scores and losses, with floors."""
    rows, entry = [], PUBLISHED[experiment]
    for metric, values in entry["metrics"].items():
        for of, numbers in (values or {}).items():
            for ratio, value in zip(entry["noise_ratios"], numbers, strict=True):
                keys = {"of": of, "ratio": ratio, "half": half}
                rows.append(row(experiment, dataset_of(of), metric, value, **keys))
                if metric in LOSSES:
                    rows += losses(
                        experiment, entry, metric, of, numbers[0], value, keys, dataset_of
                    )
    return rows + learned(experiment, rows)


def learned(experiment, rows):
    """What clean models report that have learned a lot."""
    shown = {"figure1_runs": "bigram_nll", "table7": "bigram_nll", "table9": "shuffled_source_cost"}
    metric = shown.get(experiment)
    clean = [r for r in rows if r["metric"] == "nll" and r["noise_ratio"] == 0]
    return [r | {"metric": metric, "value": r["value"] + 1} for r in clean] if metric else []


def losses(experiment, entry, score, of, clean, value, keys, dataset_of):
    absolute, relative, _ = LOSSES[score]
    loss = lost(score, value, clean)
    e, classes = error_rate(keys["ratio"]), PUBLISHED["classes"].get(of)
    floor = published_floor(score, entry["corruption"], clean, e, classes)
    floor = np.nan if floor is None else lost(score, floor, clean)
    name = dataset_of(of)
    unit = {"nll": "nats/token"}.get(score, "points")
    first = row(experiment, name, absolute, loss, floor=floor, unit=unit, **keys)
    share = {"floor": 100 * floor / clean, "unit": "%"}
    return [first, row(experiment, name, relative, 100 * loss / clean, **share, **keys)]


def printed(half=0.0, dataset_of=lambda name: name):
    names = [n for n, e in PUBLISHED.items() if "metrics" in e and "corruption" in e]
    metrics = {n: pd.DataFrame(rows_of_print(n, half, dataset_of)) for n in names}
    fid = [r | {"unit": "", "ci_low": np.nan} for r in rows_of_print("table12", 0, dataset_of)]
    metrics["table1"] = pd.concat([metrics["table1"], pd.DataFrame(fid)])
    return metrics


def gradients(se=0.001, **more):
    """Table 4 as rows of measure_gradients."""
    rows, table = [], PUBLISHED["table4"]
    for protocol in ("tokens", "sequences"):
        for i, case in enumerate(table["cases"]):
            values = {name: numbers[i] for name, numbers in table["metrics"].items()}
            cosines = {f"{n}_mean": v for n, v in values.items() if n.startswith("cosine")}
            errors = {f"{n.removesuffix('_mean')}_se": se for n in cosines}
            norms = {f"norm_{kind}_se": se for kind in ("clean", "corrupt")}
            keys = {"dataset": "openwebtext", "stands_in_for": "openwebtext", "seed": 0}
            keys |= {"batches": 200, "batches_without_clean": 0, "batches_without_corrupt": 50}
            rows.append(keys | {"protocol": protocol} | case | values | cosines | errors | norms)
    return pd.DataFrame(rows).assign(**more)


def stability(count=200, **more):
    """Table 11 as rows of measure_loss_stability."""
    table, rows = PUBLISHED["table11"], []
    for ratio, model in ((0.0, "clean"), (1.0, "noisy")):
        for size, std in zip(table["batch_sizes"], table["models"][model]["std"], strict=True):
            keys = {"dataset": "openwebtext", "stands_in_for": "openwebtext", "seed": 0}
            rows.append(keys | {"noise_ratio": ratio, "batch_size": size, "std": std / 1000})
    return pd.DataFrame(rows).assign(macro_batches=count, **more)


def decided(measured, *names):
    """Claim -> its part of claims.json, of all claims or of those named."""
    chosen = {n: c for n, c in PUBLISHED["claims"].items() if not names or n in names}
    content = claims.decide(PUBLISHED | {"claims": chosen}, measured)
    return {claim["name"]: claim for claim in content["claims"]}


def the_test(name, measured):
    """The one test of a claim."""
    (test,) = decided(measured, name)[name]["tests"]
    return test
