# `snakemake preflight` says what the plan lacks here. A run that has to download or to compute at
# length starts with the same checks, before any job, and stops where something is missing. They are
# no job themselves, whose output would set off others.
from noiselab.planning.preflight import start


rule preflight:
    localrule: True


onstart:
    start.check_or_exit(workflow, GRAPH)


# Snakemake looks for jobs again some seconds after each look (profiles/default), and would wait here
# for the timers of that, when there is nothing more to do.
onsuccess:
    end_timers()


onerror:
    end_timers()
