"""The third study's printed numbers: a second transcription, of abstract and descriptions."""

from noiselab.planning import config

PUBLISHED = config.published()
CLAIMS = PUBLISHED["claims"]


def test_speedups_are_those_of_the_abstract():
    """Accelerates training by approximately 35 % (algorithmic) and 75 % (next token)."""
    assert PUBLISHED["accelerations"] == {"algorithmic": 1 + 35 / 100, "next_token": 1 + 75 / 100}
    printed = {name: CLAIMS[name]["printed"] for name in CLAIMS if name.endswith("_sooner")}
    assert printed == {
        "addition_is_sooner": 1.35,
        "parity_is_sooner": 1.35,
        "next_token_is_sooner": 1.75,
    }
    assert CLAIMS["addition_is_sooner_rho"]["printed"] == 1.35


def test_steps_are_those_known_at_second_hand():
    """4,500 steps become 3,300, which is the abstract's factor."""
    plain, stable = (
        PUBLISHED[name]["metrics"]["steps_to_rule"]["modular-113"][0]
        for name in ("addition", "addition_stable")
    )
    assert (plain, stable) == (4500, 3300)
    assert abs(plain / stable - 1.35) < 0.02


def test_settings_are_those_known_at_second_hand():
    """gamma = 0.75, rho = 0.25, p = 113, 30 %; parity gamma = rho = 0.05; next token: 4 layers, of
    width 30 with 6 heads, vocabulary 500."""
    settings = config.load({"studies": ["noise_stability"]}, tier="paper")
    experiments, data = settings["experiments"], settings["datasets"]
    stable = experiments["addition_stable"]["training"]["stability"]
    assert stable == {"strength": 0.75, "keep": (1 + 0.25) / 2}
    assert experiments["addition_stable_rho"]["training"]["stability"]["keep"] == 0.25
    assert (data["modular-113"]["modulus"], data["modular-113"]["train_share"]) == (113, 0.3)
    parity = experiments["parity_stable"]["training"]["stability"]
    assert parity == {"strength": 0.05, "keep": (1 + 0.05) / 2}
    model = experiments["next_token"]["training"]["model"]
    assert (model["layers"], model["width"], model["heads"]) == (4, 30, 6)
    assert data["wikitext-500"]["vocabulary"] == 500
