"""Text of several folders with scores out of its domain, from files to a table."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from test_workflow import planned, snakemake

METRICS = {"out_of_domain_nll", "out_of_domain_nll_rise"}


def documents(sentence, count, seed):
    words, rng = sentence.split(), np.random.default_rng(seed)
    return [" ".join(rng.choice(words, 120)) for _ in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which table 7 has been made of two parts, scored out of their domain, too."""
    folder = tmp_path_factory.mktemp("parts")
    texts = {
        "reviews": documents("a good bad long film with much of it", 150, 0),
        "books": documents("it was the best and worst of all times", 150, 1),
        "wiki": documents("the town has a river and two bridges", 20, 2),
    }
    for name, rows in texts.items():
        (folder / "root" / name).mkdir(parents=True)
        for split in ("test", "validation"):
            pq.write_table(pa.table({"text": rows}), folder / "root" / name / f"{split}.parquet")
    mixed = {"kind": "text", "stands_in_for": "openwebtext", "tokenizer": "bpe", "vocabulary": 300}
    mixed |= {"max_characters": None, "validation_share": 0.1}
    mixed["parts"] = [{"folder": f, "text_column": "text"} for f in ("reviews", "books")]
    mixed["out_of_domain"] = {"folder": "wiki", "text_column": "text", "files": "test*"}
    settings = {"data": {"root": str(folder / "root")}, "datasets": {"mixed": mixed}}
    settings |= {"only": ["table7"], "experiments": {"table7": {"datasets": ["mixed"]}}}
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    snakemake("--cores", 2, *options(folder), "table7", cwd=folder)
    return folder


def options(folder, *changes):
    files = ["--configfile", folder / "settings.yaml", "--config", "tier=smoke"]
    return [*files, *changes, "--"]


def test_a_table_has_the_scores_out_of_domain_with_rise_and_floor(folder):
    (path,) = (folder / "results" / "smoke" / "own").glob("**/tables/table7.csv")
    table = pd.read_csv(path)
    table = table[table["metric"].isin(METRICS)]
    assert set(table["metric"]) == METRICS
    assert table[["ours", "ci_low", "ci_high", "floor", "excess"]].notna().all().all()
    assert (table["ci_low"] <= table["ours"]).all()
    cells = table.set_index(["metric", "noise_ratio"])
    clean, noisy = (cells.xs(ratio, level="noise_ratio") for ratio in (0, 1))
    assert clean["excess"].abs().max() < 1e-6
    rise = noisy.loc["out_of_domain_nll"] - clean.loc["out_of_domain_nll", ["ours", "floor"]]
    for column in ("ours", "floor"):
        assert noisy.loc["out_of_domain_nll_rise", column] == pytest.approx(rise[column])
    run = folder / "results" / "smoke" / "runs" / "language_model" / "mixed" / "clean-s0"
    score = json.loads((run / "metrics.json").read_text())["metrics"]["out_of_domain_nll"]
    tokens = np.load(folder / "results" / "smoke" / "data" / "mixed" / "out_of_domain.npy")
    assert score["items"] == len(tokens) - 1  # all but the first are predicted


def test_other_text_out_of_domain_trains_nothing_again(folder):
    change = 'datasets={mixed: {out_of_domain: {files: "*"}}}'
    rules = planned(*options(folder, change), "table7", cwd=folder)
    assert not {rule for rule in rules if rule.startswith(("train_", "prepare_text"))}
    assert {"prepare_out_of_domain", "evaluate_language_model"} <= set(rules)
    assert not planned(*options(folder), "table7", cwd=folder)
    without = planned(
        *options(folder, "datasets={mixed: {out_of_domain: null}}"), "table7", cwd=folder
    )
    assert not {"prepare_text", "prepare_out_of_domain", "train_language_model"} & set(without)
