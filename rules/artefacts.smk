# Metrics of an experiment, analyses, tables and figures. A rule has the artefact's name, so that
# `snakemake table2` makes it.
localrules:
    collect_metrics,


rule collect_metrics:
    input:
        unpack(WIRING.inputs("collect/{experiment}")),
    output:
        out=f"{ANSWERS}/metrics/{{experiment}}.csv",
        record=f"{ANSWERS}/records/collect/{{experiment}}",
    log:
        f"{ANSWERS}/logs/collect/{{experiment}}.log",
    benchmark:
        f"{ANSWERS}/benchmarks/collect/{{experiment}}.tsv"
    conda:
        ENV
    params:
        snapshots=lambda wildcards: WIRING.flags(f"collect/{wildcards.experiment}"),
        digest=WIRING.digest("collect/{experiment}"),
    shell:
        "$PYTHON $SCRIPTS/collect_metrics.py --metrics {input.metrics:q} {params.snapshots}"
        f" --out {{output.out:q}} {LOGGED} && {RECORD}"


for artefact in GRAPH.artefacts.values():

    rule:
        name:
            artefact.name
        input:
            unpack(WIRING.inputs(artefact.job)),
        output:
            **{
                o: shown_artefact(artefact, o, f)
                for o, f in WIRING.job(artefact.job).outputs.items()
            },
            record=f"{ANSWERS}/records/{artefact.job}",
        log:
            f"{ANSWERS}/logs/{artefact.job}.log",
        benchmark:
            f"{ANSWERS}/benchmarks/{artefact.job}.tsv"
        localrule: WIRING.job(artefact.job).resources is None
        conda:
            ENV
        threads: WIRING.threads(WIRING.job(artefact.job))
        resources:
            **WIRING.resources(WIRING.job(artefact.job)),
        params:
            name=artefact.name,  # captions say it
            command=WIRING.artefact_command(artefact),
            digest=WIRING.digest(artefact.job),
        shell:
            COMMAND
