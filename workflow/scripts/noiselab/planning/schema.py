"""What a configuration may say: config/schema.yaml, with what each family adds."""

from copy import deepcopy

from noiselab.data.kinds import (
    ALGORITHMIC_KINDS,
    FILE_KINDS,
    FOUND_KINDS,
    IMAGE_KINDS,
    KINDS,
    LABELLED_KINDS,
    PAIR_KINDS,
    TEXT_KINDS,
)
from noiselab.families import FAMILIES, stages
from noiselab.families.descriptor import Family, settings

# Definition of the schema -> the kinds of data sets that it is for.
DATASETS = {
    "images": IMAGE_KINDS,
    "image_changes": IMAGE_KINDS,
    "image_files": FILE_KINDS,
    "found_images": FOUND_KINDS,
    "algorithmic_data": ALGORITHMIC_KINDS,
    "text": TEXT_KINDS,
    "pairs": PAIR_KINDS,
    "labelled_texts": LABELLED_KINDS,
}
# Keys of an experiment that trains on data with noise; probes have the noise of their backbones.
NOISE = ["corruption", "resample", "budget", "protocol"]
OF_MODELS = "keys of each model"  # of a recipe's model; validation skips a keyword of our own
# Settings of a recipe that have a default in config/families/.
REQUIRED = ["model", "batch_size", "micro_batch_size", "optimizer", "schedule", "clip_norm"]
REQUIRED += ["ema_decay", "precision", "compile", "evaluations", "checkpoint_minutes", "released"]


def whole(base: dict, corruptions: dict, resources: set[str]) -> dict:
    """The schema. base: the content of schema.yaml; corruptions: name -> its class, with `options`
    as JSON schema; resources: names of rules that have resources beside those of the families."""
    schema = deepcopy(base)
    defs, top = schema["$defs"], schema["properties"]
    common = defs.pop("recipe_changes")
    for family in _trained():
        released = _recipe(common, family)
        defs[f"{family.name}_released"] = released
        again = {"released": {"$ref": f"#/$defs/{family.name}_released"}}
        changes = released | {"properties": released["properties"] | again}
        defs[f"{family.name}_changes"] = changes
        defs[family.name] = changes | {"required": REQUIRED}
        top[family.name] = {"$ref": f"#/$defs/{family.name}"}
        schema["required"].append(family.name)
    for name, kinds in DATASETS.items():
        users = [f.name for f in _trained() if set(kinds) & set(f.kinds)]
        defs[name].setdefault("properties", {})["overrides"] = settings(
            **{user: {"$ref": f"#/$defs/{user}_changes"} for user in users}
        )
    _kinds(defs)
    speeds = {name: {"$ref": "#/$defs/speed"} for name in FAMILIES}
    defs["device"]["properties"]["flops"] |= {"properties": speeds, "required": list(speeds)}
    rules = {s.rule for s in stages() if not s.local and s.resources is None}
    rules |= {kind.rule for kind in KINDS.values()} | resources
    top["resources"]["properties"] = {rule: {"$ref": "#/$defs/resources"} for rule in sorted(rules)}
    _experiments(defs["experiment"], corruptions)
    return schema


def _kinds(defs: dict) -> None:
    """A data set of a kind that there is not is told so, and not what another kind needs."""
    known = {"properties": {"kind": {"enum": list(KINDS)}}}
    by_kind = {key: defs["dataset"].pop(key) for key in ("if", "then", "else")}
    defs["dataset"] |= {"if": known, "then": by_kind, "else": known}


def _trained() -> list[Family]:
    """Families that have recipes and experiments."""
    return [family for family in FAMILIES.values() if family.trained]


def _recipe(common: dict, family: Family) -> dict:
    """Changes of a family's recipe, as the published code has them."""
    networks = {"name": {"enum": list(family.models)}}
    for model in family.models.values():
        networks |= model.settings | model.optional
    keys = {name: ["name", *m.settings, *m.optional] for name, m in family.models.items()}
    own = {"model": settings(**networks) | {OF_MODELS: keys}} | dict(family.recipe)
    return common | {"properties": common["properties"] | own}


def _experiments(experiment: dict, corruptions: dict) -> None:
    """Keys of an experiment: its family's and its corruption's own, and a recipe's changes."""
    keys = experiment["properties"]
    keys["family"] = {"enum": [family.name for family in _trained()]}
    keys["corruption"] = {"enum": [name for name in corruptions if name != "none"]}
    for corruption in corruptions.values():
        keys |= corruption.options | corruption.optional
    for family in _trained():
        for key, axis in family.experiment.items():
            keys[key] = axis.schema
    experiment["allOf"] = [
        {
            "if": {"properties": {"family": {"const": name}}, "required": ["family"]},
            "then": {
                "properties": {"training": {"$ref": f"#/$defs/{name}_changes"}},
                "required": ["backbone"] if family.backbones else NOISE,
            },
        }
        for name, family in FAMILIES.items()
        if family.trained
    ]
