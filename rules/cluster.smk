# What is needed only where jobs go to a cluster.
from noiselab.planning import clusters, executors, slurm

slurm.mend(sys.modules.get("snakemake_executor_plugin_slurm"))
for _executor in ("slurm", "cluster_generic"):
    executors.mend(sys.modules.get(f"snakemake_executor_plugin_{_executor}"))

# Snakemake keeps one onstart, the last: this one does what was there before it as well.
_before = workflow._onstart


onstart:
    _before(log)
    _or_exit(slurm.end_leftovers, workflow)
    _or_exit(clusters.end_leftovers, workflow)
