"""Language models: GPT-2, or LSTMs, on token sequences."""

from noiselab.data.kinds import DOMAINS, TEXT_KINDS
from noiselab.families.descriptor import (
    CLEAN,
    COUNT,
    HISTORY,
    POSITIVE,
    SOME,
    TEXTS,
    TOKEN_NOISE,
    WEIGHTS,
    Family,
    File,
    Model,
    heads_mistake,
    input_noise,
    scoring,
    settings,
    training,
)
from noiselab.noise.base import CORRUPTIONS
from noiselab.run import Run

GPT2 = Model(
    {
        "layers": COUNT,
        "heads": COUNT,
        "width": COUNT,
        "context": {"type": "integer", "minimum": 2},
    },
    heads_mistake,
    optional={"initial_std": POSITIVE},
)
LSTM = Model(
    {"layers": COUNT, "width": COUNT, "context": {"type": "integer", "minimum": 2}},
    optional={"initial_std": POSITIVE},
)


def data_mistake(run: Run, described: dict) -> str | None:
    """A window of context and target must fit into both splits of the text, and into noise text."""
    context = run.model["context"]
    for split in ("train", "validation"):
        tokens = described.get(f"{split}_tokens", context + 1)
        if tokens <= context:
            return f"model.context: {context} tokens are more than the {tokens} of split {split}"
    noise = CORRUPTIONS[run.corruption]
    if noise.target == "stretch" and "train_tokens" in described:
        tokens = noise.from_run(run).text_tokens(described["train_tokens"])
        if tokens <= context:
            return f"model.context: {context} tokens are more than the {tokens} of the noise text"
    return None


def evaluated(spec: dict, recipe: dict) -> dict:
    """The keys of run.json that say what is scored; domain_curves: the texts out of the domain that
    are so along the training, too; goal_nll: the NLL of which it is said when it was reached."""
    found = {"vocabulary": spec["vocabulary"], "evaluation": recipe["evaluation"]}
    if spec.get("domain_curves"):
        found["domain_curves"] = [domain for domain in DOMAINS if spec.get(domain)]
    if "goal_nll" in recipe:
        found["goal_nll"] = recipe["goal_nll"]
    return found | input_noise(recipe)


# Domain -> (data set) -> name of the file of its tokens, or None.
DOMAIN_FILES = {
    domain: lambda spec, domain=domain: f"{domain}.npy" if spec.get(domain) else None
    for domain in DOMAINS
}
# The same where they are scored along the training.
CURVE_FILES = {
    domain: lambda spec, found=found: found(spec) if spec.get("domain_curves") else None
    for domain, found in DOMAIN_FILES.items()
}

FAMILY = Family(
    name="language_model",
    title="Language models",
    order=4,
    kinds=TEXT_KINDS,
    models={"gpt2": GPT2, "lstm": LSTM},
    gates={"bigram": 0},
    facts=evaluated,
    data_mistake=data_mistake,
    clean_examples=lambda spec, recipe: recipe["steps"] * recipe["batch_size"],
    recipe={
        "steps": COUNT,
        "goal_nll": POSITIVE,
        **TOKEN_NOISE,
        "evaluation": settings(crops=SOME, train_sequences=COUNT, curve_sequences=COUNT),
    },
    stages=(
        training("language_model", data_also=CURVE_FILES),
        scoring(
            "language_model",
            cheap=False,
            reads={
                "weights": File(WEIGHTS),
                "clean": File(WEIGHTS, CLEAN),
                "history": File(lambda run: HISTORY if "goal_nll" in run else None),
            },
            data_files=DOMAIN_FILES,
        ),
    ),
    features=(TEXTS,),
)
