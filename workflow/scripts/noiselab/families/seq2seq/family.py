"""Sequence to sequence: an encoder-decoder Transformer on pairs of texts."""

from noiselab.data.kinds import PAIR_KINDS
from noiselab.families.descriptor import (
    CLEAN,
    COUNT,
    PREDICTIONS,
    RUN,
    SHARE,
    TEACHER,
    WEIGHTS,
    Axis,
    Family,
    File,
    Model,
    Stage,
    heads_mistake,
    scoring,
    settings,
    training,
)

TARGETS = {
    "teacher_targets": File("targets.npy", TEACHER),
    "teacher_offsets": File("targets_offsets.npy", TEACHER),
}

DECODING = Stage(
    name="decode",
    rule="decode_teacher",
    script="decode_teacher",
    reads={"run": File(RUN), "weights": File(WEIGHTS)},
    writes={"targets": "targets.npy", "statistics": "decoding.json"},
    beside={"offsets": "targets_offsets.npy"},
    work=("shards", "decoding"),
    processes=True,
)

MARIAN = Model(
    {
        "layers": COUNT,
        "heads": COUNT,
        "width": COUNT,
        "feedforward": COUNT,
        "dropout": SHARE,
        "shared_embeddings": {"type": "boolean"},
    },
    heads_mistake,
    optional={"norm": {"enum": ["post", "pre"]}},
)

# Sources cut to a share of their length limit.
SOURCE_SHARES = Axis(
    key="source_share",
    default=1,
    schema={
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    },
    label=lambda share: "" if share == 1 else f"-c{100 * share:g}",
)

FAMILY = Family(
    name="seq2seq",
    title="Sequence to sequence",
    order=5,
    kinds=PAIR_KINDS,
    models={"marian": MARIAN},
    gates={"shuffled_source": 0.3},
    facts=lambda spec, recipe: {
        "vocabulary": spec["vocabulary"],
        "source_length": spec["source_length"],
        "target_length": spec["target_length"],
        "symbols": recipe["symbols"],
        "selection": recipe["selection"],
        "evaluation": recipe["evaluation"] | {"score": spec["score"]},
    },
    clean_examples=lambda spec, recipe: recipe["steps"] * recipe["batch_size"],
    recipe={
        "steps": COUNT,
        "symbols": {"type": "boolean"},
        "selection": {"enum": ["permutation", "index"]},
        "teacher": settings(step=COUNT, seed={"type": "integer", "minimum": 0}),
        "evaluation": settings(
            pairs={"type": ["integer", "null"], "minimum": 2},
            curve_pairs=COUNT,
            generated={"type": "integer", "minimum": 2},
        ),
    },
    experiment={"source_shares": SOURCE_SHARES},
    stages=(
        training("seq2seq", predictions=True, **TARGETS),
        scoring(
            "seq2seq",
            reads={
                "predictions": File(PREDICTIONS),
                "clean": File(PREDICTIONS, CLEAN),
                "teacher": File(PREDICTIONS, TEACHER),
            },
            also=TARGETS,
        ),
    ),
    role_stages={TEACHER: (DECODING,)},
)
