"""What makes tables and figures, by the name that an artefact's entry gives as `builder`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from noiselab import reading
from noiselab.answers import (
    analysis_tables,
    competence,
    figures,
    heads,
    printed_probes,
    probes,
    spectrum,
    stretches,
    tables,
)
from noiselab.answers.contrasts import contrasts_table, side_by_side_table
from noiselab.answers.grids import generated_grid_table, tuned, tuned_batches_table
from noiselab.answers.pictures import sheet
from noiselab.answers.recoveries import recoveries_table, recovery_courses
from noiselab.answers.speedups import speedups_table
from noiselab.errors import NoiselabError
from noiselab.families.work import passes
from noiselab.files import read_json
from noiselab.measures.generated import generated_labels
from noiselab.planning import config
from noiselab.planning.rates import order
from noiselab.run import Run

SAMPLES = 4  # of each class and noise ratio, in the figure of generated images

# What a floor is, in the words of a table's notes.
CALIBRATED = (
    "what a perfectly calibrated model would score, from the clean run's own probabilities."
)
AVERAGING = "what averaging alone predicts from the smallest batch, std(B0) sqrt(B0/B)."
JUDGED = "what images of a perfect model of noisy labels would show, by those of the clean run."
MIXED = (
    "what a calibrated model of the mixture of windows would score, from the likelihoods of the "
    "clean run and of the noise. Dilution: what the clean run loses when it is stopped at as many "
    "clean tokens, not yet annealed. Above both = ours − floor − dilution."
)
OF_MASKED = (
    f"{MIXED} Of a masked model the floor is the most that calibration could cost, by the "
    "frequencies of the tokens that it reads."
)
FROM_PRINT = (
    "what a perfectly calibrated model would lose, from the printed clean score alone: for an NLL "
    "the bound ln(1 + r); where the clean score is not enough there is none."
)


@dataclass(frozen=True)
class Sources:
    """What an artefact is made from."""

    name: str
    entry: dict  # of the configuration
    files: list[Path]  # metrics, analyses, tables or files of runs, in the order of the entry
    runs: list[Path]  # run.json of its runs

    def published(self) -> dict:
        """What the papers print of it; the entry's metrics come first where it has any."""
        printed = config.published().get(self.name, {})
        if "metrics" in self.entry:
            known = printed.get("metrics", {})
            return printed | {"metrics": {m: known.get(m, {}) for m in self.entry["metrics"]}}
        return printed

    def frames(self) -> list[pd.DataFrame]:
        """The csv files."""
        of_runs = {"metrics": reading.metrics}  # a file's folder says what is in it
        return [of_runs.get(file.parent.name, reading.table)(file) for file in self.files]

    def metrics(self) -> dict[str, pd.DataFrame]:
        """Experiment -> its csv file, of a table that is made from experiments."""
        return {file.stem: reading.metrics(file) for file in self.files}

    def contents(self) -> list[dict]:
        """The JSON files."""
        return [read_json(file) for file in self.files]


@dataclass(frozen=True)
class TableBuilder:
    """How a table is made, and what its floor is."""

    build: Callable[[Sources], pd.DataFrame]
    floor: str = CALIBRATED


def _runs(sources: Sources) -> pd.DataFrame:
    """Of one experiment, or of several side by side."""
    frames = sources.frames()
    if len(frames) > 1:
        names = [file.stem for file in sources.files]
        frames = [f.assign(experiment=n) for f, n in zip(frames, names, strict=True)]
    table = tables.runs_table(pd.concat(frames), sources.published())
    return competence.marked(table, sources.metrics(), config.published())


def _spectrum(sources: Sources) -> pd.DataFrame:
    metrics, published = sources.metrics(), config.published()
    return competence.marked(spectrum.spectrum_table(metrics, published), metrics, published)


def _scale(sources: Sources) -> pd.DataFrame:
    table = tables.scale_table(pd.concat(sources.frames()))
    return competence.marked(table, sources.metrics(), config.published())


def _experiments(sources: Sources) -> pd.DataFrame:
    metrics, entry = sources.metrics(), sources.entry
    table = tables.experiments_table(metrics, entry.get("labels", {}), entry["metrics"])
    return competence.marked(table, metrics, config.published())


def _stretches(sources: Sources) -> pd.DataFrame:
    """Of experiments with noise text, and the analysis of their curves, which comes last."""
    *files, curves = sources.files
    metrics = {file.stem: reading.metrics(file) for file in files}
    table = stretches.stretches_table(metrics, reading.table(curves), sources.published())
    return competence.marked(table, metrics, config.published())


def _milestones(sources: Sources) -> pd.DataFrame:
    """The same of one model, with its NLL on the way."""
    *files, curves = sources.files
    metrics = {file.stem: reading.metrics(file) for file in files}
    table = stretches.milestones_table(metrics, reading.table(curves), sources.published())
    return competence.marked(table, metrics, config.published())


def _contrasts(sources: Sources) -> pd.DataFrame:
    return contrasts_table(sources.metrics(), sources.entry["contrasts"])


def _speedups(sources: Sources) -> pd.DataFrame:
    counts = {run.run_id: passes(run) for run in map(Run.read, sources.runs)}
    return speedups_table(sources.metrics(), sources.entry["contrasts"], counts)


def _side_by_side(sources: Sources) -> pd.DataFrame:
    """Each model has its own gates: one that is too weak says nothing of the others."""
    metrics, wanted, parts = sources.metrics(), sources.entry["metrics"], []
    called = {name: sources.entry.get("labels", {}).get(name, name) for name in metrics}
    for label in dict.fromkeys(called.values()):
        own = {name: rows for name, rows in metrics.items() if called[name] == label}
        table = side_by_side_table(own, called, wanted)
        parts.append(competence.marked(table, own, config.published()))
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values("metric", key=lambda names: names.map(wanted.index), kind="stable")


def _generated_grid(sources: Sources) -> pd.DataFrame:
    metrics = sources.metrics()
    return competence.marked(generated_grid_table(metrics), metrics, config.published())


def _tuned_batches(sources: Sources) -> pd.DataFrame:
    """Whether models have learned enough is asked of those that are chosen."""
    chosen = {name: tuned(rows) for name, rows in sources.metrics().items()}
    table = tuned_batches_table(pd.concat(chosen.values()))
    return competence.marked(table, chosen, config.published())


def _recoveries(sources: Sources) -> pd.DataFrame:
    """From history.jsonl of each run, which come after the experiments' metrics."""
    files = sources.files[-len(sources.runs) :]
    table = recoveries_table(map(Run.read, sources.runs), map(reading.rows, files))
    metrics = {file.stem: reading.metrics(file) for file in sources.files[: -len(files)]}
    return competence.marked(table, metrics, config.published())


def _probes(sources: Sources) -> pd.DataFrame:
    table = probes.probes_table(pd.concat(sources.frames()), sources.published())
    return competence.marked(table, sources.metrics(), config.published())


def _sensitivity(sources: Sources) -> pd.DataFrame:
    """Of experiments, whose metrics come first, and what each of their runs has tried."""
    runs = [read_json(path) for path in sources.runs]
    tried = [reading.table(file) for file in sources.files[-len(runs) :]]
    return heads.sensitivity_table(runs, tried, sources.published())


def _fine_tuning(sources: Sources) -> pd.DataFrame:
    table = heads.fine_tuning_table(pd.concat(sources.frames()), sources.published())
    return competence.marked(table, sources.metrics(), config.published())


def _samples(sources: Sources) -> figures.Drawing:
    """Generated images, from samples.npy of each run."""
    sheets = {}
    for path, samples in zip(sources.runs, sources.files, strict=True):
        run, images = read_json(path), reading.array(samples, "u", (None,) * 4)
        labels = generated_labels(len(images), run["classes"])
        rate = order(run["error_rate"]), tables.rate_text(run["noise_ratio"], run["error_rate"])
        sheets[run["dataset"], rate] = sheet(images, labels, SAMPLES)
    return figures.samples_figure(sheets)


def _progress(sources: Sources) -> figures.Drawing:
    """A score along the trainings of some experiments, from history.jsonl of each run, which come
    after the experiments' metrics."""
    entry, count = sources.entry, len(sources.runs)
    labels = {}
    for file in sources.files[:-count]:
        label = entry.get("labels", {}).get(file.stem, file.stem)
        labels |= dict.fromkeys(reading.metrics(file)["run_id"], label)
    trainings = [
        figures.Training(labels[run.run_id], run.dataset, run.seed, reading.rows(history))
        for run, history in zip(map(Run.read, sources.runs), sources.files[-count:], strict=True)
    ]
    name, unit = entry["score"], entry["unit"]
    return figures.progress_figure(trainings, name, tables.panel(name), unit)


def _recovery(sources: Sources) -> figures.Drawing:
    """From history.jsonl of each run, which come after the experiments' metrics."""
    files = sources.files[-len(sources.runs) :]
    courses = recovery_courses(map(Run.read, sources.runs), map(reading.rows, files))
    return figures.recovery_figure(courses)


TABLES: dict[str, TableBuilder] = {
    "runs": TableBuilder(_runs),
    "scale": TableBuilder(_scale),
    "experiments": TableBuilder(_experiments),
    "side_by_side": TableBuilder(_side_by_side),
    "generated_grid": TableBuilder(_generated_grid, JUDGED),
    "tuned_batches": TableBuilder(_tuned_batches),
    "recoveries": TableBuilder(_recoveries),
    "contrasts": TableBuilder(_contrasts),
    "speedups": TableBuilder(_speedups),
    "stretches": TableBuilder(_stretches, MIXED),
    "milestones": TableBuilder(_milestones, OF_MASKED),
    "probes": TableBuilder(_probes),
    "probe_gains": TableBuilder(lambda s: probes.gains_table(pd.concat(s.frames()))),
    "sensitivity": TableBuilder(_sensitivity),
    "fine_tuning": TableBuilder(_fine_tuning),
    "regions": TableBuilder(lambda s: heads.regions_table(s.frames()[1])),
    "bound": TableBuilder(lambda s: heads.bound_table(s.frames()[2])),
    "printed_averages": TableBuilder(
        lambda s: printed_probes.averages_table(config.published()), FROM_PRINT
    ),
    "printed_gains": TableBuilder(
        lambda s: printed_probes.gains_table(config.published()), FROM_PRINT
    ),
    "guided": TableBuilder(lambda s: analysis_tables.guided_table(*s.frames()), JUDGED),
    "model_stability": TableBuilder(lambda s: analysis_tables.model_stability_table(*s.frames())),
    "plan": TableBuilder(lambda s: tables.plan_table(s.contents(), s.published())),
    "lengths": TableBuilder(lambda s: tables.lengths_table(*s.frames(), s.published())),
    "teacher": TableBuilder(lambda s: tables.teacher_table(s.contents())),
    "gradients": TableBuilder(lambda s: analysis_tables.gradient_table(*s.frames(), s.published())),
    "stability": TableBuilder(
        lambda s: analysis_tables.stability_table(*s.frames(), s.published()), AVERAGING
    ),
    "spectrum": TableBuilder(_spectrum),
    "published_floors": TableBuilder(
        lambda s: spectrum.published_floors_table(config.published()), FROM_PRINT
    ),
}

FIGURES: dict[str, Callable[[Sources], figures.Drawing]] = {
    name: lambda sources, draw=draw: draw(sources.frames())
    for name, draw in figures.FIGURES.items()
} | {
    "samples": _samples,
    "progress": _progress,
    "recovery": _recovery,
    "languages": lambda s: figures.languages_figure(s.published()),
}


def builder(kind: dict, sources: Sources):
    """The builder that an entry names. NoiselabError: there is none of this kind."""
    name = sources.entry["builder"]
    if name not in kind:
        known = config.hint(name, list(kind))
        raise NoiselabError(
            f"config key artefacts.{sources.name}.builder: no builder {name!r} ({known})"
        )
    return kind[name]
