# From the merged configuration to jobs: no job knows the configuration but through run.json.
from noiselab.data.kinds import DOMAINS
from noiselab.planning import checks, current, project
from noiselab.planning.data_rules import DataRules
from noiselab.planning.wiring import COMMAND, LOGGED, RECORD, Wiring, interpreter

# The other files of the configuration are many; `configfile:` would say so at each.
_given = workflow.config_settings.overwrite_config
if workflow.is_main_process:
    _or_exit(noiselab_config.check_given, workflow.config_settings.configfiles)
config = _or_exit(noiselab_config.merged, config, _given)
RESULTS = f"results/{config['tier']}"
os.environ.update(PYTHON="\n".join(interpreter(config, SCRIPTS)))

PROJECT = _or_exit(project.plan, config, RESULTS)
PLAN, GRAPH = PROJECT.graph.plan, PROJECT.graph
ANSWERS = GRAPH.places.answers
TABLES = f"{ANSWERS}/tables"


def make_again(files):
    """Have Snakemake make files that are there. Jobs inside a job leave that to the one outside."""
    if workflow.is_main_process:
        workflow.dag.forcefiles.update(files)


WIRING, DATA = Wiring(GRAPH, make_again), DataRules(GRAPH)
if workflow.is_main_process:
    current.settle_times(GRAPH)
if PROJECT.note and workflow.is_main_process:
    print(f"noiselab: {PROJECT.note}", file=sys.stderr)


def shown_artefact(artefact, option, file):
    """An output of an artefact, as an entry of Snakemake's report where it is one."""
    shelf, made = PROJECT.shelf(artefact, option), ensure(file, non_empty=True)
    return report(made, **shelf) if shelf else made


def shown_output(stage, option, file):
    """A stage's output, as an entry of Snakemake's report where it is one."""
    return report(file, **PROJECT.picture(stage)) if option == stage.shown else file


wildcard_constraints:
    dataset=r"[A-Za-z0-9_-]+",
    run=r"[a-z0-9_]+/[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+",
    experiment="|".join(map(re.escape, PLAN.experiments)),
