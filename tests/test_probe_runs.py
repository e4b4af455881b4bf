"""Runs of probes: their tasks, their backbones' features, what is chosen, and their tables."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from tokenizers import Tokenizer, models, pre_tokenizers

from helpers import example_run, random_images, small_vit
from noiselab import streams
from noiselab.answers import probes as tables
from noiselab.answers.statistics.evidence import Measured
from noiselab.answers.statistics.probes import GAIN
from noiselab.data import labelled_docstrings, labelled_texts
from noiselab.errors import NoiselabError
from noiselab.families.classifier.backbone import last_inputs
from noiselab.families.classifier.task import Classifier
from noiselab.families.language_model import task as language_model
from noiselab.families.language_model.backbone import last_tokens
from noiselab.families.probe import features, task
from noiselab.families.probe.cost import fits
from noiselab.families.probe.grid import method_settings
from noiselab.families.probe.score import scores
from noiselab.measures.features import judge_features
from noiselab.measures.probes.fits import Items
from noiselab.models.fast_cnn import fast_cnn
from noiselab.models.gpt2 import gpt2
from noiselab.models.resnet import resnet
from noiselab.models.vit import vit
from noiselab.planning import config, runs
from noiselab.training.weights import save_weights
from project import Project

# ------------------------------------------------------------------------------- planning

PROBES = {
    "family": "probe",
    "backbone": {"experiment": "table7"},
    "datasets": ["docstring_package"],
    "seeds": [0, 1, 2],
}


def planned(**changes):
    experiment = {key: value for key, value in (PROBES | changes).items() if value is not None}
    return runs.plan(config.load({"experiments": {"probes": experiment}}, tier="smoke"), "r")


def test_there_is_a_probe_of_each_backbone_and_head():
    plan = planned()
    found = [plan.runs[name] for name in plan.experiments["probes"]]
    trained = plan.experiments["table7"]
    wanted = [(name, head) for name in trained for head in ("linear", "mlp")]
    assert [(run.parents["backbone"], run.head) for run in found] == wanted
    for run in found:
        own = plan.runs[run.parents["backbone"]]
        assert run.seeds == [0, 1, 2]
        assert (run.seed, run.backbone["error_rate"]) == (own.seed, own.error_rate)
        assert run.corruption == "none", "the labels of a task are right"


def test_backbones_are_planned_with_their_parents_though_only_their_probes_are_asked_for():
    settings = config.load({"experiments": {"probes": PROBES}, "only": ["probes"]}, tier="smoke")
    plan = runs.plan(settings, "r")
    assert list(plan.experiments) == ["probes"]
    for name in plan.experiments["probes"]:
        trained = plan.runs[plan.runs[name].parents["backbone"]]
        assert trained.parents["clean"] in plan.runs
    assert set(plan.datasets) == {"docstring_package", "docstrings"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": {"experiment": "table77"}}, r"backbone.experiment: no experiment 'table77'"),
        ({"backbone": {"experiment": "table9"}}, "no experiment 'table9' whose models have"),
        ({"datasets": ["digits"]}, "digits has images, which language_model/.* cannot see"),
        ({"backbone": {"experiment": "table2"}}, "docstring_package has texts, which classifier/"),
        ({"datasets": ["docstrings"]}, "docstrings is not for a probe"),
        ({"noise_ratios": [0.1]}, "noise_ratios: not of a probe"),
        ({"init": {"experiment": "table7"}}, "probes.init: not of a probe"),
        ({"init": {"weights": "missing.safetensors"}}, "probes.init: not of a probe"),
        ({"backbone": None}, "experiments.probes.backbone: is missing"),
        ({"training": {"methods": {"plain": {"penalty": "norm"}}}}, "methods.plain.penalty: no"),
        ({"training": {"methods": {"plain": {"radius": [0.1]}}}}, "plain.radius: 0.1 of no noise"),
        ({"training": {"methods": {"own": {"strength": [1]}}}}, "own.strength: 1 of no penalty"),
    ],
)
def test_a_mistake_is_one_line(changes, message):
    with pytest.raises(NoiselabError, match=message):
        planned(**changes)


# ---------------------------------------------------------------------------------- tasks

SPEC = {
    "name": "reviews",
    "kind": "labelled_texts",
    "classes": 2,
    "prompt": "{title}: {text} It is",
    "label_column": "label",
    "train_files": "all.csv",
    "train_size": 30,
    "test_size": 10,
}


@pytest.fixture
def source(tmp_path):
    """40 reviews of which five are there twice."""
    rows = [(f"t{i % 35}", f"text {i % 35}", ["bad", "good"][i % 35 % 2]) for i in range(40)]
    pd.DataFrame(rows, columns=["title", "text", "label"]).to_csv(tmp_path / "all.csv", index=False)
    return tmp_path


def test_a_prompt_is_filled_in_and_copies_are_on_one_side(source, tmp_path):
    labelled_texts.prepare(SPEC, source, tmp_path / "out")
    described, found = labelled_texts.read(tmp_path / "out")
    assert {split: len(own.texts) for split, own in found.items()} == {"train": 30, "test": 10}
    assert described["class_names"] == ["bad", "good"]
    for own in found.values():
        for text, label in zip(own.texts, own.labels, strict=True):
            number = int(text.partition(":")[0].removeprefix("t"))
            assert text == f"t{number}: text {number} It is"
            assert label == number % 2
    assert described["copies"] == 0


def labelled(rows, folder, name="all"):
    """Rows (text, label) as folder/name.csv."""
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(folder / f"{name}.csv", index=False)


TEXTS = SPEC | {"prompt": "{text}"}


def drawn(folder, **changes):
    """dataset.json of TEXTS with changes, and the splits."""
    labelled_texts.prepare(TEXTS | changes, folder, folder / "out")
    return labelled_texts.read(folder / "out")


COPIES = ((1, 12), (2, 6), (4, 4))  # so many copies each of so many texts


@pytest.mark.parametrize("size", range(1, 30))
def test_no_boundary_parts_the_copies_of_a_text(tmp_path, size):
    texts = [f"{n}-{i}" for n, count in COPIES for i in range(count) for _ in range(n)]
    labelled([(text, i % 2) for i, text in enumerate(texts)], tmp_path)
    _, found = drawn(tmp_path, test_size=size, train_size=len(texts) - size)
    assert not set(found["train"].texts) & set(found["test"].texts)
    assert sorted(found["train"].texts + found["test"].texts) == sorted(texts)
    assert len(found["test"].texts) == size


def test_without_copies_a_split_is_the_beginning_of_a_fixed_order(tmp_path):
    labelled([(f"t{i}", i % 2) for i in range(40)], tmp_path)
    _, found = drawn(tmp_path)
    order = streams.permutation(0, "labelled-texts", 0, 40)
    parts = {"test": order[:10], "train": order[10:]}
    for split, places in parts.items():
        assert found[split].texts == [f"t{i}" for i in sorted(places)]


def test_copies_that_fit_nowhere_are_told(tmp_path):
    labelled([("a", 1)] * 4 + [("b", 0), ("c", 0)], tmp_path)
    message = "test_size: 3 texts are asked for, but copies of a text stay together, and only 2 fit"
    with pytest.raises(NoiselabError, match=message):
        drawn(tmp_path, train_size=3, test_size=3)


def test_given_test_texts_that_are_trained_on_are_counted(tmp_path, capsys):
    labelled([(f"t{i}", i % 2) for i in range(8)], tmp_path)
    labelled([(f"t{i}", i % 2) for i in (0, 3, 9, 10)], tmp_path, "test")
    described, _ = drawn(tmp_path, test_files="test.csv", train_size=8, test_size=4)
    assert described["copies"] == 2
    assert "reviews: 2 of 4 test texts are training texts, too" in capsys.readouterr().err


def test_labels_are_read_alike_from_all_files(tmp_path):
    """Space around them and the format of a file make no other class, and an empty cell none."""
    labelled([("a", " pos"), ("b", "pos "), ("c", ""), ("d", "  "), ("e", "neg")], tmp_path)
    described, found = drawn(tmp_path, train_files="all.csv", train_size=2, test_size=1)
    assert described["class_names"] == ["neg", "pos"]
    assert {text for own in found.values() for text in own.texts} == {"a", "b", "e"}
    lines = [{"text": f"x{i}", "label": label} for i, label in enumerate((-1, 0, 1, 1))]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    labelled([("y0", "-1"), ("y1", "+1"), ("y2", "00")], tmp_path, "test")
    files = {"train_files": "all.jsonl", "test_files": "test.csv"}
    described, found = drawn(tmp_path, **files, classes=3, train_size=4, test_size=3)
    assert described["class_names"] == ["-1", "0", "1"]
    assert found["train"].labels.tolist() == [0, 1, 2, 2]
    assert found["test"].labels.tolist() == [0, 2, 1]


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_class_that_training_lacks_is_refused(tmp_path, split):
    labelled([("a", "pos"), ("b", "neg"), ("c", "pos")], tmp_path)
    for name in ("test", "validation"):
        labelled([("d", "pos"), ("e", "other" if name == split else "neg")], tmp_path, name)
    files = {"test_files": "test.csv", "validation_files": "validation.csv"}
    message = f"train_size: {split} texts have label 'other', which none of the 3 training texts"
    with pytest.raises(NoiselabError, match=message):
        drawn(tmp_path, **files, classes=3, train_size=3, test_size=2)


def test_given_splits_stay_as_they_are(source, tmp_path):
    rows = pd.read_csv(source / "all.csv")
    rows[:10].to_csv(source / "validation.csv", index=False)
    rows[10:22].to_csv(source / "test.csv", index=False)
    splits = {"validation_files": "validation.csv", "test_files": "test.csv"}
    labelled_texts.prepare(SPEC | splits, source, tmp_path / "out")
    found = labelled_texts.read(tmp_path / "out")[1]
    texts = [f"t{i}: text {i} It is" for i in range(40)]
    assert found["validation"].texts == texts[:10]
    assert set(found["test"].texts) <= set(texts[10:22])
    assert [len(found[split].texts) for split in ("train", "test")] == [30, 10]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 3}, "datasets.reviews.classes: 3, but the texts have 2 labels"),
        ({"prompt": "{txt} is"}, "no column txt .*did you mean text"),
        ({"label_column": "lable"}, "no column lable"),
        ({"train_size": 99}, "train_size: 109 texts are asked for, but there are only 40"),
        ({"train_files": "train*"}, "no table matches train_files 'train\\*'"),
        ({"test_files": "*.csv"}, "two splits name it"),
    ],
)
def test_texts_that_cannot_be_a_task_are_refused(source, tmp_path, changes, message):
    with pytest.raises(NoiselabError, match=message):
        labelled_texts.prepare(SPEC | changes, source, tmp_path / "out")


def test_docstrings_are_labelled_by_what_they_document(tmp_path):
    file = tmp_path / "pack" / "part" / "code.py"
    file.parent.mkdir(parents=True)
    for folder in (file.parent, file.parent.parent):
        (folder / "__init__.py").touch()
    file.write_text(
        '"""The module is not one of them."""\n'
        'def f():\n    """Adds two numbers up.\n\n    Returns\n    -------\n    int\n    """\n'
        'class A:\n    """A thing that is counted."""\n'
        '    def m(self):\n        """Counts the thing.  Twice."""\n'
    )
    found = [tuple(one) for one in labelled_docstrings._documented(file)]
    assert found == [
        ("Adds two numbers up.", "pack", "pack.part", "function", "returns"),
        ("A thing that is counted.", "pack", "pack.part", "class", "nothing"),
        ("Counts the thing.", "pack", "pack.part", "method", "nothing"),
    ]


# -------------------------------------------------------------------------------- features


@pytest.mark.parametrize("most", [8, 30, 1000])
def test_features_of_texts_do_not_depend_on_what_is_beside_them(most):
    torch.manual_seed(0)
    model = gpt2(60, context=12, layers=2, heads=2, width=8, initial_std=0.5).eval()
    lengths = [3, 7, 3, 12, 1, 7, 7]
    tokens = [torch.randint(60, (n,)).tolist() for n in lengths]
    found = features.text_features(
        lambda batch: model.transformer(batch).last_hidden_state, tokens, torch.device("cpu"), most
    )
    with torch.no_grad():
        for i, own in enumerate(tokens):
            states = model(torch.tensor([own]), output_hidden_states=True).hidden_states[-1][0]
            np.testing.assert_allclose(found["last"][i], states[-1], atol=1e-5)
            np.testing.assert_allclose(found["mean"][i], states.mean(0), atol=1e-5)


def test_features_are_those_of_the_run_whose_weights_they_are(source, tmp_path):
    labelled_texts.prepare(SPEC, source, tmp_path / "task")
    tokenizer = Tokenizer(models.WordLevel({"?": 0, "text": 1, "It": 2, "is": 3, "7": 4}, "?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    (tmp_path / "text").mkdir()
    tokenizer.save(str(tmp_path / "text" / "tokenizer.json"))
    network = {"name": "gpt2", "context": 4, "layers": 1, "heads": 1, "width": 4}
    about = {"run_id": "mine", "family": "language_model", "data": str(tmp_path / "text")}
    run = example_run(**about, model=network, vocabulary=5)
    model, weights = language_model.build(run), tmp_path / "weights.safetensors"
    save_weights(weights, model, "mine")
    arguments = (weights, tmp_path / "task", tmp_path / "shards", torch.device("cpu"))
    found = features.extract(run, *arguments)
    assert found["train_last"].shape == found["train_mean"].shape == (30, 4)
    texts = labelled_texts.read(tmp_path / "task")[1]["train"]
    assert found["train_labels"].tolist() == texts.labels.tolist()
    tokens = tokenizer.encode(texts.texts[3]).ids[-4:]
    with torch.no_grad():
        states = model.eval().transformer(torch.tensor([tokens])).last_hidden_state[0]
    np.testing.assert_allclose(found["train_last"][3], states[-1], atol=1e-5)
    with pytest.raises(NoiselabError, match="weights of mine, not of other"):
        features.extract(run | {"run_id": "other"}, *arguments)


def test_of_a_long_prompt_the_end_is_seen():
    assert last_tokens([1, 2, 3, 4], 3) == [2, 3, 4]
    assert last_tokens([1, 2], 3) == [1, 2]


@pytest.mark.parametrize(
    ("network", "inputs"),
    [
        (lambda: resnet(1, 3, width=4, blocks=[1, 1]), 8),
        (lambda: fast_cnn(1, 3, [4, 8]), 8),
        (lambda: vit(1, 3, 16, patch=4, width=8, layers=1, heads=2), 8),
    ],
)
def test_features_of_images_are_what_the_last_layer_sees(network, inputs):
    torch.manual_seed(0)
    model = Classifier(network(), [0.5], [0.5]).eval()
    images = random_images(5, 1, 16, 3).x
    index = np.array([4, 0, 1])
    seen = last_inputs(model)
    found = features.image_features(seen, images, index, torch.device("cpu"))["last"]
    assert found.shape == (3, inputs)
    last = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        wanted = model(torch.from_numpy(images[index]))
        scale = wanted / last(torch.from_numpy(found))  # fast_cnn divides its logits by a number
    torch.testing.assert_close(scale, scale[:1, :1].expand_as(scale), rtol=1e-3, atol=1e-3)
    if isinstance(model.network, torch.nn.Sequential):
        with torch.no_grad():
            again = judge_features(model)(torch.from_numpy(images[index]))
        np.testing.assert_allclose(found, again, atol=1e-6)


# ------------------------------------------------------------------------------- selection

METHODS = {
    "plain": {},
    "gradient_matching": {
        "penalty": "gradient_matching",
        "radius": [0.1, 1.0],
        "strength": [0.15, 5.0],
    },
    "early_stopping": {"early_stopping": True},
}
RUN = {
    "head": "linear",
    "model": {"name": "linear"},
    "classes": 3,
    "epochs": 6,
    "features": {"kind": "last", "standardised": True},
    "validation_share": 0.2,
    "grid": {"learning_rate": [1e-3, 3e-2], "batch_size": [8]},
    "methods": METHODS,
    "seeds": [0, 1, 2],
    "backbone": {"run_id": "x", "noise": "clean", "error_rate": 0.0, "model": {"width": 6}},
}
RUN["training"] = {"schedule": "constant", "optimizer": {"weight_decay": 0.0}}


@pytest.fixture(scope="module")
def arrays():
    """Features of 160 items of three classes that overlap."""
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 3
    x = rng.normal(size=(3, 6))[labels] + 1.5 * rng.normal(size=(160, 6))
    x = (5 + 0.1 * x).astype(np.float32)
    parts = {"train": slice(0, 100), "test": slice(100, 160)}
    found = {f"{name}_last": x[rows] for name, rows in parts.items()}
    return found | {f"{name}_labels": labels[rows] for name, rows in parts.items()}


@pytest.fixture(scope="module")
def fitted(arrays):
    run = example_run(**RUN)
    return task.fitted(run, task.splits(run, arrays))


def test_validation_is_a_part_of_training_and_training_alone_sets_the_scale(arrays):
    found = task.splits(example_run(**RUN), arrays)
    assert [len(found[s].labels) for s in ("train", "validation", "test")] == [80, 20, 60]
    torch.testing.assert_close(found["train"].features.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        found["train"].features.std(0, correction=0), torch.ones(6), atol=1e-4, rtol=0
    )
    plain = task.splits(
        example_run(**RUN | {"features": RUN["features"] | {"standardised": False}}), arrays
    )
    together = torch.cat([plain["train"].features, plain["validation"].features])
    assert sorted(map(tuple, together.tolist())) == sorted(
        map(tuple, arrays["train_last"].tolist())
    )
    with pytest.raises(NoiselabError, match=r"features\.kind: no mean"):
        task.splits(
            example_run(**RUN | {"features": {"kind": "mean", "standardised": True}}), arrays
        )


def test_all_that_was_tried_is_kept(fitted):
    tried, _ = fitted
    assert tried.groupby("method").size().to_dict() == {
        "plain": 2 * 3,
        "gradient_matching": 2 * 4 * 3,
        "early_stopping": 2 * 3,
    }
    assert len(tried) == fits(example_run(**RUN))
    more = METHODS | {"more_rates": {"learning_rate": [1e-4, 1e-3, 1e-2, 1e-1]}}
    grown = fits(example_run(**RUN | {"methods": more})) - fits(example_run(**RUN))
    assert grown == len(RUN["seeds"]) * 4 * len(RUN["grid"]["batch_size"])
    assert sorted(
        map(tuple, tried[tried["method"] == "plain"][["learning_rate", "seed"]].values)
    ) == [(rate, seed) for rate in (1e-3, 3e-2) for seed in (0, 1, 2)]


def test_the_best_mean_on_validation_is_chosen_for_all_seeds(fitted):
    tried, chosen = fitted
    settings = ["learning_rate", "radius", "strength"]
    for method, rows in chosen.groupby("method"):
        own = tried[tried["method"] == method]
        means = own.groupby(settings)["validation_accuracy"].mean()
        assert len(rows) == 3
        assert len(rows[settings].drop_duplicates()) == 1
        assert rows["validation_accuracy"].mean() == pytest.approx(means.max())


def test_the_test_set_chooses_nothing(arrays, fitted):
    run = example_run(**RUN)
    items = task.splits(run, arrays)
    items["test"] = Items(items["test"].features, items["test"].labels.flip(0))
    other = task.fitted(run, items)[1]
    same = [column for column in other if not column.startswith(("test", "majority"))]
    pd.testing.assert_frame_equal(other[same], fitted[1][same])


def test_early_stopping_ends_where_validation_is_best(fitted):
    tried, _ = fitted
    stopped, plain = (tried[tried["method"] == m] for m in ("early_stopping", "plain"))
    assert (plain["epoch"] == 6).all()
    key = ["learning_rate", "seed"]
    both = stopped.merge(plain, on=key, suffixes=("", "_plain"))
    means = both.groupby("learning_rate")[
        ["validation_accuracy", "validation_accuracy_plain"]
    ].mean()
    assert (means["validation_accuracy"] >= means["validation_accuracy_plain"]).all()
    assert stopped.groupby("learning_rate")["epoch"].nunique().eq(1).all()


def test_settings_are_the_combinations_of_a_methods_values():
    run = example_run(**RUN)
    found = method_settings(run, METHODS["gradient_matching"] | {"learning_rate": [0.5]})
    assert [(s.learning_rate, s.strength, s.radius) for s in found] == [
        (0.5, strength, radius) for strength in (0.15, 5.0) for radius in (0.1, 1.0)
    ]
    assert {replace(s, strength=1, radius=1) for s in found} == {
        replace(found[0], strength=1, radius=1)
    }


# ------------------------------------------------------------------------------------ tables


def metrics_rows(fitted, tmp_path, **changes):
    fitted[1].to_csv(tmp_path / "chosen.csv", index=False)
    run = example_run(**RUN | {"run_id": str(changes)} | changes)
    found = scores(run, {"chosen": tmp_path / "chosen.csv"})
    about = {"run_id": run.run_id, "family": "probe", "dataset": run.dataset, "stands_in_for": None}
    return [about | {"metric": name} | score for name, score in found.items()]


def test_gains_are_paired_by_seed_and_corrected_for_all_cells(fitted, tmp_path):
    rows = metrics_rows(fitted, tmp_path, dataset="a") + metrics_rows(fitted, tmp_path, dataset="b")
    table = tables.gains_table(pd.DataFrame(rows))
    pivot = fitted[1].pivot(index="seed", columns="method", values="test_accuracy")
    gain = pivot["gradient_matching"] - pivot["plain"]
    cell = table[(table["dataset"] == "a") & (table["row"] == "clean + L_gm")]
    own = cell[cell["metric"] == "gain"].iloc[0]
    test = stats.ttest_1samp(gain, 0)
    interval = test.confidence_interval(0.95)
    assert own["ours"] == pytest.approx(gain.mean())
    assert (own["ci_low"], own["ci_high"]) == pytest.approx((interval.low, interval.high))
    p = cell[cell["metric"] == "p_holm"]["ours"].iloc[0]
    assert min(1, test.pvalue) - 1e-9 <= p <= min(1, 4 * test.pvalue) + 1e-9
    wide = cell[cell["metric"] == "gain_holm"].iloc[0]
    assert (wide["ours"], wide["interval"]) == (own["ours"], "t_fits_holm")
    assert (wide["ci_low"] <= 0 <= wide["ci_high"]) == (p > 0.05)
    widest = test.confidence_interval(1 - 0.05 / 4)
    assert widest.low - 1e-9 <= wide["ci_low"] <= own["ci_low"]
    average = table[(table["dataset"] == "average") & (table["row"] == "clean + L_gm")].iloc[0]
    assert average["ours"] == pytest.approx(gain.mean())
    assert average["ci_low"] == pytest.approx(average["ci_high"]), "both data sets have the same"


def test_rows_of_accuracies_are_backbones_and_methods(fitted, tmp_path):
    noisy = {"run_id": "y", "noise": "uniform text, 5 %", "error_rate": 0.05}
    rows = metrics_rows(fitted, tmp_path, dataset="a", backbone=RUN["backbone"] | noisy)
    rows += metrics_rows(fitted, tmp_path, dataset="a")
    published = {
        "rows": [["clean", "plain"], ["uniform text, 5 %", "gradient_matching"]],
        "metrics": {"linear": {"paper": [86.71, 87.19]}},
    }
    frame = pd.DataFrame(rows).assign(stands_in_for="paper")
    table = tables.probes_table(frame, published)
    assert list(table["row"]) == [
        *("clean", "clean + L_gm", "clean + early stopping"),
        *("uniform text, 5 %", "uniform text, 5 % + L_gm", "uniform text, 5 % + early stopping"),
    ]
    assert table["published"].tolist()[0::4] == [86.71, 87.19]
    assert table["published"].notna().sum() == 2


def test_several_backbones_of_one_noise_count_once_each(fitted, tmp_path):
    rows = metrics_rows(fitted, tmp_path, seed=0) + metrics_rows(fitted, tmp_path, seed=1)
    first, second = (row for row in rows if row["metric"] == "gain_gradient_matching")
    second["by_seed"] = " ".join(str(float(n) + 1) for n in second["by_seed"].split())
    table = tables.gains_table(pd.DataFrame(rows))
    cell = table[(table["row"] == "clean + L_gm") & (table["metric"] == "gain")].iloc[0]
    mean = np.mean([float(n) for n in first["by_seed"].split()])
    assert (cell["ours"], cell["n_seeds"]) == (pytest.approx(mean + 0.5), 2)
    assert cell["interval"] == "t_seeds"


def test_the_gain_of_a_claim_is_paired_over_fits_and_then_over_tasks(fitted, tmp_path):
    rows = metrics_rows(fitted, tmp_path, dataset="a") + metrics_rows(fitted, tmp_path, dataset="b")
    for row in rows[len(rows) // 2 :]:
        if row.get("method") == "gradient_matching" and row["metric"].startswith("accuracy"):
            row["by_seed"] = " ".join(str(float(n) + 2) for n in row["by_seed"].split())
    frame = pd.DataFrame(rows).assign(stands_in_for="sst2", source_share=None)
    statistic = {"experiment": "e", "method": "gradient_matching", "head": "linear"}
    statistic |= {"noise": "clean", "of": ["sst2", "cr"]}
    (found,) = GAIN.tests(statistic, Measured("quick", {"e": frame}))
    pivot = fitted[1].pivot(index="seed", columns="method", values="test_accuracy")
    gain = pivot["gradient_matching"] - pivot["plain"]
    assert (found.datasets, found.seeds) == (("a", "b"), 3)
    fits, tasks = (found.by_ruler[name].estimate for name in ("over fits", "over tasks"))
    interval = stats.ttest_1samp(gain + 1, 0).confidence_interval(0.95)
    assert fits.value == tasks.value == pytest.approx(gain.mean() + 1)
    assert (fits.ci_low, fits.ci_high) == pytest.approx((interval.low, interval.high))
    two = stats.ttest_1samp([gain.mean(), gain.mean() + 2], 0).confidence_interval(0.95)
    assert (tasks.ci_low, tasks.ci_high) == pytest.approx((two.low, two.high))
    assert not list(GAIN.tests(statistic | {"noise": "noisy"}, Measured("quick", {"e": frame})))


# -------------------------------------------------------------------------- the whole way


def test_from_images_to_a_table(tmp_path):
    project = Project(tmp_path / "project")
    small_vit(project.folder / "data_here" / "models" / "small_vit")
    images = {"backbone": {"models": ["small_vit"]}, "datasets": ["digits"], "heads": ["linear"]}
    content = {"data": {"root": "data_here"}, "experiments": {"images_probed": PROBES | images}}
    (project.folder / "probes.json").write_text(json.dumps(content))
    call = ("--configfile", "probes.json", "--config", "tier=smoke", "name=probed", "--")
    project.call(*call, "images_probed")
    table = pd.read_csv(project.results / "own/probed/tables/images_probed.csv")
    assert table["row"].tolist() == ["small_vit", "small_vit + L_gm"]
    assert table["ours"].between(0, 100).all()
    again = project.call("-n", *call, "images_probed")
    assert "Nothing to be done" in again.stdout + again.stderr
