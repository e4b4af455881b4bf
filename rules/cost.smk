# What the plan costs: `snakemake plan` prints it before anything is trained, `snakemake cost` compares
# it with what it took.
localrules:
    plan,
    cost,


# Job that makes a table, a figure or an analysis -> files that it reads, below the results.
PRODUCTS = {f"tables/{name}": files for name, (_, files) in table_sources().items()}
PRODUCTS |= {
    f"figures/{name}": [f"{TABLES}/{table}.csv" for table in tables]
    for name, (_, _, tables) in figure_sources().items()
}
if one_seed("table1"):
    PRODUCTS["figures/figure_samples"] = [
        f"{RESULTS}/runs/{run}/samples.npy" for run in one_seed("table1")
    ]
if GRADIENTS:
    PRODUCTS["analysis/gradients"] = [
        f"{RESULTS}/runs/{run}/run.json" for run in GRADIENTS["runs"]
    ]
if STABILITY:
    PRODUCTS["analysis/loss_stability"] = [
        f"{RESULTS}/runs/{run}/weights.safetensors" for run in STABILITY["runs"]
    ]
PRODUCTS = {
    job: [file.removeprefix(f"{RESULTS}/") for file in files]
    for job, files in PRODUCTS.items()
}


# It has no output, nor a benchmark, which counts as one, so it prints whenever it is asked for.
rule plan:
    input:
        config=f"{RESULTS}/config.json",
    log:
        f"{RESULTS}/logs/plan.log",
    conda:
        ENV
    params:
        products=json.dumps(PRODUCTS),
    shell:
        "$PYTHON $SCRIPTS/plan_cost.py --config {input.config} --products {params.products:q} 2>&1"
        " | tee {log}"


rule cost:
    input:
        metrics=expand(
            f"{RESULTS}/metrics/{{experiment}}.csv", experiment=PLAN.experiments
        ),
        tables=[f"{TABLES}/{table}.csv" for table in table_sources()],
        figures=[f"{FIGURES}/{figure}.svg" for figure in figure_sources()],
        config=f"{RESULTS}/config.json",
        code=code("plan_cost"),
    output:
        expand(f"{RESULTS}/cost.{{suffix}}", suffix=["csv", "md", "html"]),
    log:
        f"{RESULTS}/logs/cost.log",
    benchmark:
        f"{RESULTS}/benchmarks/cost.tsv"
    conda:
        ENV
    params:
        products=json.dumps(PRODUCTS),
    shell:
        "$PYTHON $SCRIPTS/plan_cost.py --config {input.config} --products {params.products:q}"
        " --out {output} > {log} 2>&1"
