# noiselab: studies of models that are trained on partly wrong data.
#   snakemake --cores 2                 everything of the default tier, quick
#   snakemake --cores 2 table2          one table
#   snakemake --profile slurm           the full reproduction on a Slurm cluster
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")
# The repository, also where workflow/Snakefile includes this file.
FOLDERS = (Path(workflow.basedir), Path(workflow.basedir).parent)
HOME = next(str(folder) for folder in FOLDERS if (folder / "rules").is_dir())


configfile: f"{HOME}/config/config.yaml"


include: "rules/common.smk"
include: "rules/plan.smk"
include: "rules/data.smk"
include: "rules/runs.smk"
include: "rules/artefacts.smk"
include: "rules/answers.smk"
include: "rules/cost.smk"
include: "rules/preflight.smk"
include: "rules/cluster.smk"


rule all:
    default_target: True
    input:
        REPORT,
        WORKFLOW_REPORT,


include: "rules/targets.smk"
