# noiselab: robustness of probabilistic models to wrong training targets (arXiv 2512.11912).
#   snakemake --cores 2                 everything of the default tier, quick
#   snakemake --cores 2 table2          one table
#   snakemake --profile slurm           the full reproduction on a Slurm cluster
from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "rules/common.smk"


configfile: tier_file(config)


include: "rules/plan.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/teacher.smk"
include: "rules/generate.smk"
include: "rules/evaluate.smk"
include: "rules/analysis.smk"
include: "rules/claims.smk"
include: "rules/report.smk"
include: "rules/cost.smk"
include: "rules/preflight.smk"
include: "rules/slurm.smk"


rule all:
    default_target: True
    input:
        REPORT,
        WORKFLOW_REPORT,
