# What the plan costs: `snakemake plan` prints it before anything is trained, `snakemake cost` compares
# it with what it took.
localrules:
    plan,
    cost,


# It has no output, nor a benchmark, which counts as one, so it prints whenever it is asked for.
rule plan:
    input:
        config=f"{ANSWERS}/config.json",
    log:
        f"{ANSWERS}/logs/plan.log",
    conda:
        ENV
    shell:
        f"$PYTHON $SCRIPTS/plan_cost.py --config {{input.config:q}} --results {RESULTS} 2>&1 | tee {{log:q}}"


rule cost:
    input:
        unpack(WIRING.inputs("cost")),
    output:
        **GRAPH.jobs["cost"].outputs,
        record=f"{ANSWERS}/records/cost",
    log:
        f"{ANSWERS}/logs/cost.log",
    benchmark:
        f"{ANSWERS}/benchmarks/cost.tsv"
    conda:
        ENV
    params:
        digest=WIRING.digest("cost"),
    shell:
        f"$PYTHON $SCRIPTS/plan_cost.py --config {{input.config:q}} --results {RESULTS}"
        f" --out {{output.csv:q}} {{output.md:q}} {{output.json:q}} {LOGGED} && {RECORD}"
