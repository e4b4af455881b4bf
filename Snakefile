# noiselab: studies of models that are trained on partly wrong data.
#   snakemake --cores 2                 everything of the default tier, quick
#   snakemake --cores 2 table2          one table
#   snakemake --profile slurm           the full reproduction on a Slurm cluster
from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "rules/common.smk"
include: "rules/plan.smk"
include: "rules/data.smk"
include: "rules/runs.smk"
include: "rules/artefacts.smk"
include: "rules/answers.smk"
include: "rules/cost.smk"
include: "rules/preflight.smk"
include: "rules/slurm.smk"


rule all:
    default_target: True
    input:
        REPORT,
        WORKFLOW_REPORT,


include: "rules/targets.smk"
