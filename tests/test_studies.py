"""Studies: each can be planned alone or with others."""

import json

import pytest
import yaml

from noiselab import reading
from noiselab.errors import NoiselabError
from noiselab.files import ROOT
from noiselab.planning import config, project, yaml_file
from noiselab.planning.wiring import Wiring

RESULTS = ROOT / "docs" / "results"
MINE = {
    "experiments": {
        "mine": {
            "family": "classifier",
            "datasets": ["digits"],
            "corruption": "uniform_label",
            "resample": "fresh",
            "budget": "fixed_clean",
            "noise_ratios": [0, 1.0],
            "seeds": [0],
            "protocol": "text",
        }
    }
}
TABLE = {"kind": "table", "family": "classifier", "builder": "runs", "experiments": ["mine"]}


@pytest.fixture
def second(tmp_path, monkeypatch):
    """A second study beside the first."""
    folder = tmp_path / "studies"
    (folder / "second").mkdir(parents=True)
    for name in (
        "low_quality_data",
        "random_noise",
    ):  # both, as tasks stand in for data of the latter
        (folder / name).symlink_to(config.STUDIES / name)
    parts = {"experiments": MINE, "artefacts": {"artefacts": {"my_table": TABLE}}}
    parts["published"] = {"my_table": {"noise_ratios": [1.0], "metrics": {"accuracy": {}}}}
    for name, content in parts.items():
        (folder / "second" / f"{name}.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setattr(config, "STUDIES", folder)


def planned(**changes):
    return project.plan(config.load(changes, tier="smoke"), "results/smoke").graph


@pytest.mark.parametrize(
    ("studies", "mine", "theirs"),
    [
        (["second"], True, False),
        ("second", True, False),
        (["low_quality_data"], False, True),
        (["low_quality_data", "second"], True, True),
        ("all", True, True),
    ],
)
def test_chosen_studies_are_planned_and_no_others(second, studies, mine, theirs):
    graph = planned(studies=studies)
    assert ("mine" in graph.plan.experiments, "my_table" in graph.artefacts) == (mine, mine)
    assert ("table2" in graph.plan.experiments, "table2" in graph.artefacts) == (theirs, theirs)
    assert graph.places.answers == "results/smoke"  # a choice of studies is no setting of one's own


def test_a_table_of_one_study_is_the_same_beside_another(second):
    alone, together = planned(studies=["second"]), planned(studies="all")
    assert alone.digest("collect/mine") == together.digest("collect/mine")
    assert alone.jobs["tables/my_table"].inputs == together.jobs["tables/my_table"].inputs


def test_the_study_without_experiments_of_a_tier_has_its_defaults(second):
    assert planned(studies=["second"]).plan.experiments["mine"] == [
        "classifier/digits/clean-s0",
        "classifier/digits/uniform_label-r1.00-fixed_clean-s0",
    ]


def test_an_unknown_study_is_named():
    with pytest.raises(NoiselabError, match=r"studies: no study 'low_quality' .did you mean low_q"):
        planned(studies=["low_quality"])


def test_two_studies_share_no_published_entry(second, tmp_path):
    content = {"table2": {"metrics": {}}}
    (config.STUDIES / "second" / "published.yaml").write_text(yaml.safe_dump(content))
    yaml_file.checked.cache_clear()
    with pytest.raises(NoiselabError, match=r"table2 is in another study"):
        config.published()


def test_the_report_has_tables_and_figures_in_the_order_of_the_entries():
    """Also where it is made from the configuration as it was kept."""
    settings = config.load(tier="smoke")
    wiring = Wiring(project.plan(settings, "results/smoke").graph, force=print)
    kept = config.validate(json.loads(wiring.content("config")))
    structure = project.plan(kept, "results/smoke").structure()
    shown = [item["name"] for item in structure["items"]]
    order = [name for name, entry in settings["artefacts"].items() if entry["kind"] != "analysis"]
    assert shown == [name for name in order if name in shown]
    assert shown.index("table2") < shown.index("table10") < shown.index("table13")


@pytest.mark.parametrize("study", config.known_studies())
def test_every_study_says_what_it_is_about(study):
    about = config.about(study)
    assert set(about) == {"name", "title", "question", "paper", "answer", "artefacts", "claims"}
    assert about["question"].endswith("?")
    assert set(about["paper"]) == {"title", "authors", "venue", "url"}
    assert about["paper"]["url"].startswith("https://")
    assert about["artefacts"]


def row_labels(artefact: dict) -> set[str]:
    """Rows that settings name, or that a table of the same name was published with."""
    published = [reading.table(path) for path in RESULTS.glob(f"*/{artefact['name']}.csv")]
    rows = {row for table in published for row in table["row"]}
    return rows | {contrast["label"] for contrast in artefact.get("contrasts", [])}


@pytest.mark.parametrize("study", config.known_studies())
def test_answers_of_a_study_are_rows_of_its_tables(study):
    about, artefacts = config.about(study), config.load({"studies": [study]})["artefacts"]
    for one in about["answer"]:
        assert set(one) == {"asks", "table", "row"}
        assert one["asks"].endswith("?")
        assert one["row"] in row_labels(artefacts[one["table"]] | {"name": one["table"]})


@pytest.mark.parametrize(
    ("only", "table"),
    [(["mlp_uniform"], False), (["mlp_uniform", "resnet_uniform"], True)],
)
def test_differences_are_a_table_where_both_sides_of_one_are_planned(only, table):
    settings = config.load({"studies": ["open_questions"], "only": only}, tier="quick")
    found = project.plan(settings, "results/quick").graph.artefacts
    assert "networks" in found
    assert ("network_differences" in found) == table


def test_a_study_without_a_page_of_its_own_has_its_name_as_title(monkeypatch, tmp_path):
    (tmp_path / "low_noise").mkdir()
    monkeypatch.setattr(config, "STUDIES", tmp_path)
    about = config.about("low_noise")
    assert (about["title"], about["question"], about["paper"]) == ("Low noise", "", None)
    assert about["artefacts"] == about["claims"] == []


def test_the_table_of_an_experiment_without_an_entry_is_in_the_chapter_of_its_study():
    assert "before_short" in config.about("open_questions")["artefacts"]
    assert "before_short" not in config.load({"studies": ["open_questions"]})["artefacts"]
