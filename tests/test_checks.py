"""What a configuration must not say: each mistake is one line that names the key."""

import math
import re

import pytest

from noiselab.errors import NoiselabError
from noiselab.planning import checks, config, project
from project import Project

OWN = {"family": "classifier", "datasets": ["digits"], "corruption": "uniform_label"}
OWN |= {"resample": "fresh", "budget": "fixed_clean", "noise_ratios": [0, 1.0], "seeds": [0]}
OWN |= {"protocol": "text"}
SELF: dict = {}
SELF["table2"] = SELF

MISTAKES = [
    (
        {"classifier": {"batch_size": 100.0}},
        "classifier.batch_size: 100.0 is not of type 'integer'",
    ),
    ({"experiments": {"table2": {"seeds": [1.0]}}}, "experiments.table2.seeds[0]: 1.0 is not of"),
    ({"classifier": {"batch_size": True}}, "classifier.batch_size: True is not of type 'integer'"),
    (
        {"classifier": {"optimizer": {"learning_rate": math.nan}}},
        "classifier.optimizer.learning_rate: nan is no finite number",
    ),
    (
        {"classifier": {"optimizer": {"learning_rate": math.inf}}},
        "classifier.optimizer.learning_rate: inf is no finite number",
    ),
    (
        {"classifier": {"batch_size": 50, "micro_batch_size": 500}},
        "classifier.micro_batch_size: 500 examples at a time are more than a batch of 50",
    ),
    ({"classifier": {"teacher": {"step": 3}}}, "classifier.teacher: unknown key"),
    ({"classifier": {"crop_scale": [0.1, 1]}}, "classifier.crop_scale: unknown key"),
    ({"seq2seq": {"steps": 10, "teacher": {"step": 5000}}}, "seq2seq.teacher.step: a teacher that"),
    ({"datasets": {"digits": {"classes": 1000}}}, "datasets.digits.classes: digits has 10 classes"),
    ({"datasets": {"digits": {"stands_in_for": "cifra10"}}}, "(did you mean cifar10?)"),
    (
        {"datasets": {"docstrings": {"packages": ["no_such_package"]}}},
        "datasets.docstrings.packages: no_such_package is not installed",
    ),
    ({"experiments": {"all": OWN}}, "experiments.all: all is the name of a rule"),
    ({"experiments": {"train_classifier": OWN}}, "train_classifier is the name of a rule"),
    ({"experiments": {"my table": OWN}}, "experiments.my table: a name has letters"),
    ({"experiments": {"a/b": OWN}}, "experiments.a/b: a name has letters"),
    ({"experiments": {"a{b}": OWN}}, "experiments.a{b}: a name has letters"),
    ({"experiments": {"spectrum": OWN}}, "experiments.spectrum: spectrum is a table that shows"),
    ({"experiments": {"figure3": OWN}}, "experiments.figure3: figure3 is a figure that shows"),
    (
        {
            "experiments": {
                "table2": {"datasets": ["digits"], "noise_ratios": [0.3333333, 0.33333333]}
            }
        },
        "experiments.table2.noise_ratios: two rates differ in the seventh digit only",
    ),
    ({"tier": "../tiers/smoke"}, "tier: no tier '../tiers/smoke'"),
    ({"experiments": SELF}, "the configuration cannot be read as data"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_mistakes_are_one_line_before_any_job(changes, message):
    tier = None if "tier" in changes else "smoke"
    with pytest.raises(NoiselabError, match=re.escape(message)) as error:
        project.plan(config.load(changes, tier=tier), "results/smoke")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("tier", ["smoke", "quick", "lab", "paper"])
def test_what_the_tiers_say_passes(tier, tmp_path):
    settings = config.load({"data": {"root": str(tmp_path)}}, tier=tier)
    project.plan(settings, f"results/{tier}")


def test_a_name_that_looks_like_a_number_stays_a_name():
    part = {"folder": "2024", "text_column": "true"}
    books = {"kind": "text", "parts": [part], "tokenizer": "bpe", "vocabulary": 400}
    books |= {"stands_in_for": None, "validation_share": 0.1}
    settings = config.load({"datasets": {"books": books}}, tier="smoke")
    assert settings["datasets"]["books"]["parts"] == [part]
    with pytest.raises(
        NoiselabError, match=r"books.parts\[0\].folder: 2024 is not of type 'string'"
    ):
        config.load(
            {"datasets": {"books": books | {"parts": [part | {"folder": 2024}]}}}, tier="smoke"
        )


def test_numbers_of_the_command_line_are_numbers():
    assert config.load({"seeds": ["0", "1"]}, tier="smoke")["seeds"] == [0, 1]


RULES = ["table1", "table2", "report"]


@pytest.mark.parametrize("target", ["table2", "data/x.csv", "Makefile.txt"])
def test_rules_and_files_are_targets(target):
    checks.check_targets([target], RULES)


MADE = ["results/quick/tables/table2.csv", "results/quick/data/digits/train_x.npy"]
MADE += ["results/quick/runs/classifier/digits/clean-s0/metrics.json"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("tabel2", "no target tabel2 (did you mean table2?)"),
        ("Report", "no target Report (did you mean report?)"),
        ("results/quick/tables/tabel2.csv", f"(did you mean {MADE[0]}?)"),
        ("results/quick/data/digist/train_x.npy", f"(did you mean {MADE[1]}?)"),
        (
            "results/quick/runs/classifier/digits/clean-s9/metrics.json",
            f"(did you mean {MADE[2]}?)",
        ),
        ("results/x", "no job makes results/x (snakemake plan shows what is planned)"),
    ],
)
def test_a_misspelt_target_is_answered_with_the_nearest(target, message):
    with pytest.raises(NoiselabError) as error:
        checks.check_targets(["table2", target, MADE[0]], RULES, MADE)
    assert message in str(error.value)
    assert target in str(error.value)


def test_results_that_are_there_are_targets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "old.csv").touch()
    checks.check_targets(["results/old.csv", "results/quick/records/report", *MADE], RULES, MADE)


def test_snakemake_is_answered_with_and_without_a_lone_dash(tmp_path):
    project = Project(tmp_path / "project")
    file = "results/smoke/tables/tabel2.csv"
    for arguments in (("-n", "tabel2", "report"), ("-n", "--config", "tier=smoke", "--", file)):
        done = project.call(*arguments, check=False)
        assert done.returncode == 1
        assert "(did you mean " in done.stderr
        assert "Traceback" not in done.stderr
