# One run.json per run, written by the shell (a hundred starts of Python would take a minute), then
# the stages of each family.
localrules:
    run_config,
    write_mask,
    masks,


rule run_config:
    input:
        unpack(WIRING.inputs("run_config/{run}")),
    output:
        f"{RESULTS}/runs/{{run}}/run.json",
    log:
        f"{RESULTS}/logs/run_config/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/run_config/{{run}}.tsv"
    priority: FIRST
    conda:
        ENV
    params:
        content=lambda wildcards: WIRING.content(f"run_config/{wildcards.run}"),
    shell:
        "printf '%s\\n' {params.content:q} > {output:q} 2> {log:q}"


for stage in WIRING.stages:

    rule:
        name:
            stage.rule
        input:
            unpack(WIRING.inputs(WIRING.name(stage))),
        output:
            **{o: shown_output(stage, o, f) for o, f in WIRING.outputs(stage).items()},
        log:
            f"{RESULTS}/logs/{WIRING.name(stage)}.log",
        benchmark:
            f"{RESULTS}/benchmarks/{WIRING.name(stage)}.tsv"
        wildcard_constraints:
            **WIRING.constraints(stage),
        priority: WIRING.priority(stage)
        localrule: stage.local
        conda:
            ENV
        threads: WIRING.threads(stage)
        resources:
            **WIRING.resources(stage),
        params:
            **WIRING.params(stage),
        shell:
            f"THREADS={{threads}} {COMMAND}"


# Which training targets were corrupted, and to what, for other tools: `snakemake masks`.
rule write_mask:
    input:
        unpack(WIRING.inputs("mask/{run}")),
    output:
        out=f"{RESULTS}/masks/{{run}}.parquet",
        record=f"{RESULTS}/records/mask/{{run}}",
    log:
        f"{RESULTS}/logs/mask/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/mask/{{run}}.tsv"
    conda:
        ENV
    params:
        limit=lambda wildcards: WIRING.job(f"mask/{wildcards.run}").content["limit"],
        digest=WIRING.digest("mask/{run}"),
    shell:
        "$PYTHON $SCRIPTS/write_mask.py --run {input.run:q} --limit {params.limit}"
        f" --out {{output.out:q}} {LOGGED} && {RECORD}"


rule masks:
    input:
        WIRING.masks(),
