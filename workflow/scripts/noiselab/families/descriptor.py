"""What planning knows of a model family: its data, its runs and the stages of their way.

A descriptor is plain data and small functions. It imports nothing heavy, since it is read by each
call of Snakemake; networks, losses and scores are in the family's task.py and score.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from noiselab.errors import NoiselabError
from noiselab.run import Run

RUN, WEIGHTS, HISTORY = "run.json", "weights.safetensors", "history.jsonl"
SUMMARY, PREDICTIONS, METRICS = "training.json", "predictions.npz", "metrics.json"
ANNOTATION = "annotation.npz"
SCORING = "score"  # the script that finds a family's score.py
OWN, CLEAN = "own", "clean"  # roles: the run itself; the clean run of its seed
JUDGE, TEACHER, INIT = "judge", "teacher", "init"  # who judges, writes wrong targets, gives weights
ANNOTATOR = "annotator"  # whose doubts say which labels are wrong
BACKBONE = "backbone"  # whose features a probe has
IMAGES, TEXTS = "images", "texts"  # items of a task


@dataclass(frozen=True)
class File:
    """A file that a stage reads: `name` in the folder of the run itself or of its parent in a role.
    A run without such a parent has none. name: may depend on the run; None: there is none."""

    name: str | Callable[[Run], str | None]
    role: str = OWN


@dataclass(frozen=True)
class Stage:
    """A step on the way of a run, which is one rule: a script, what it reads and what it writes."""

    name: str  # begins the names of its jobs, logs and benchmarks
    rule: str
    script: str  # below workflow/scripts, without .py
    reads: Mapping[str, File]  # option of the script -> file
    writes: Mapping[str, str]  # option of the script -> name in the run's folder
    beside: Mapping[str, str] = field(default_factory=dict)  # written, too, without an option
    # Option and folder below the run's checkpoints, where an attempt leaves what the next uses.
    work: tuple[str, str] | None = None
    also: Mapping[str, File] = field(default_factory=dict)  # read, but found through run.json
    data: bool = True  # reads the arrays of the run's data set
    # Option -> (data set) -> name of a file more of it, or None.
    data_files: Mapping[str, Callable[[dict], str | None]] = field(default_factory=dict)
    # The same of files that are found through run.json.
    data_also: Mapping[str, Callable[[dict], str | None]] = field(default_factory=dict)
    processes: bool = False  # may be several, one per GPU
    local: bool = False  # takes seconds: made where Snakemake runs
    # Cheap to make again, so it follows changes of the code: of the script and these modules.
    modules: tuple[str, ...] | None = None
    resources: str | None = None  # rule whose resources it has; None: its own
    # A stage of a parent's folder, made once for all runs that share it and have the same variant;
    # {variant} in `writes`. Its data are those of the runs.
    role: str = OWN
    variant: Callable[[Run], str] | None = None
    inception: Callable[[Run], bool] | None = None  # whether a run needs Inception's weights
    downloaded: Callable[[Run], str | None] | None = None  # what a run needs that a rule downloads
    shown: str | None = None  # which of `writes` Snakemake's report shows
    family: str = ""  # filled in where the stages of all families are listed


@dataclass(frozen=True)
class Model:
    """A network that a recipe can name."""

    settings: Mapping[str, dict]  # name -> JSON schema
    # (settings, data set, recipe) -> why such a network cannot be, or None
    mistake: Callable[[dict, dict, dict], str | None] = lambda model, spec, recipe: None
    # Settings that a recipe may leave out, so that runs from before they came stay as they are: the
    # function that makes the network has their defaults.
    optional: Mapping[str, dict] = field(default_factory=dict)


@dataclass(frozen=True)
class Axis:
    """A list in an experiment, each value of which makes runs of its own."""

    key: str  # of the run
    default: object
    schema: dict  # JSON schema of the list
    label: Callable[[object], str]  # what a value adds to the run's id


@dataclass(frozen=True)
class Family:
    """A model family."""

    name: str
    title: str  # in the report
    order: int  # of appearance
    kinds: tuple[str, ...]  # of data sets
    models: Mapping[str, Model]
    facts: Callable[[dict, dict], dict]  # (data set, recipe) -> the family's own keys of a run
    clean_examples: Callable[[dict, dict], float]  # (data set, recipe): visited by the clean run
    stages: tuple[Stage, ...]  # in the order of their making; the last writes metrics.json
    corruptions: tuple[str, ...] = ()  # beside those that name the family
    recipe: Mapping[str, dict] = field(default_factory=dict)  # its own settings, as JSON schema
    experiment: Mapping[str, Axis] = field(default_factory=dict)  # its own keys of an experiment
    # (run, dataset.json) -> why the run cannot be trained on the data as they are, or None.
    data_mistake: Callable[[Run, dict], str | None] = lambda run, described: None
    snapshots: bool = False  # prolonged runs keep the weights of where a fixed total would end
    # Gates of competence (answers/competence.py) of experiments of which no claim says what their
    # clean models must have learned.
    gates: Mapping[str, float] = field(default_factory=dict)
    judge: str | None = None  # family whose clean run judges what a run generates
    # Families whose runs, of another experiment, its runs are of: they are trained no further, and
    # the noise is theirs.
    backbones: tuple[str, ...] = ()
    # Items of which its models have features, each by a function of that name in its backbone.py.
    features: tuple[str, ...] = ()
    numeric: bool = False  # whether its data sets may ask for numbers in place of classes
    # Whether its models are trained here: others have no experiments and no recipe.
    trained: bool = True
    table: str = "runs"  # builder of the tables of experiments that no entry names
    # Stages of runs in special roles, by role: a noisy teacher's decoding.
    role_stages: Mapping[str, tuple[Stage, ...]] = field(default_factory=dict)

    def all_stages(self) -> tuple[Stage, ...]:
        """All its stages, those of special roles too."""
        return self.stages + sum(self.role_stages.values(), ())

    def training_stage(self) -> str:
        """Name of the stage that says with what its runs were trained."""
        return next(stage.name for stage in self.stages if "summary" in stage.writes)


def training(
    family: str,
    *,
    predictions: bool = False,
    work: str = "",
    data_also: Mapping[str, Callable[[dict], str | None]] | None = None,
    **also: File,
) -> Stage:
    """The stage that trains. predictions: whether it ends with predictions of test data; data_also:
    further files of its data set that it reads; also: files of parents."""
    writes = {"weights": WEIGHTS, "history": HISTORY, "summary": SUMMARY}
    return Stage(
        name="train",
        rule=f"train_{family}",
        script="train",
        reads={"run": File(RUN)},
        also={"init": File(WEIGHTS, INIT), "annotation": File(ANNOTATION, ANNOTATOR), **also},
        data_also=data_also or {},
        writes=writes | ({"predictions": PREDICTIONS} if predictions else {}),
        work=("checkpoints", work),
        processes=True,
    )


def scoring(family: str, *, cheap: bool = True, reads: dict[str, File], **more) -> Stage:
    """The stage that scores a run, by `scores` of the family's score.py, with the floor from the
    clean run of its seed. cheap: takes seconds, so that it is made where Snakemake runs, and again
    when its code changes; reads: files beside run.json, by the names that `scores` gives them."""
    return Stage(
        name="evaluate",
        rule=f"evaluate_{family}",
        script=SCORING,
        reads={"run": File(RUN), "summary": File(SUMMARY), **reads},
        writes={"metrics": METRICS},
        local=cheap,
        modules=(f"noiselab.families.{family}.score",) if cheap else None,
        **more,
    )


# JSON schema of settings that several networks and recipes have.
COUNT = {"type": "integer", "minimum": 1, "maximum": 1_000_000_000}
POSITIVE = {"type": "number", "exclusiveMinimum": 0}
SHARE = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
COUNTS = {"type": "array", "minItems": 1, "items": COUNT}
SOME = {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000_000}


def heads_mistake(model: dict, spec: dict, recipe: dict) -> str | None:
    """Attention heads share the width."""
    if model["width"] % model["heads"]:
        return f"model.heads: {model['heads']} heads cannot share a width of {model['width']}"
    return None


def some(value: dict) -> dict:
    """JSON schema of a list of different values."""
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": value}


def required(**properties: dict) -> dict:
    """JSON schema of a mapping with all of these keys and no others."""
    return settings(**properties) | {"required": list(properties)}


def settings(**properties: dict) -> dict:
    """JSON schema of a mapping with these keys and no others."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


# Of recipes with noise in the inputs (training/input_noise.py): of tokens, and of images.
NUMBER = {"type": "number"}
TOKEN_NOISE = {
    "stability": required(strength=NUMBER, keep=SHARE),
    "sensitivity": required(strength=NUMBER),
    "input_noise": required(keep=SHARE),
}
IMAGE_NOISE = {
    "stability": required(strength=NUMBER, rho=SHARE),
    "input_noise": required(rho=SHARE),
}


def input_noise(recipe: dict) -> dict:
    """What a recipe says of noise in the inputs, for run.json. NoiselabError: two things."""
    found = {name: recipe[name] for name in TOKEN_NOISE if recipe.get(name)}
    if len(found) > 1:
        raise NoiselabError(f"{' and '.join(found)}: a training can have one of them")
    return found
