"""Studies: each can be planned alone or with others."""

import pytest
import yaml

from noiselab.errors import NoiselabError
from noiselab.planning import config, project

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
    (folder / "low_quality_data").symlink_to(config.STUDIES / "low_quality_data")
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
    config._content.cache_clear()
    with pytest.raises(NoiselabError, match=r"table2 is in another study"):
        config.published()
