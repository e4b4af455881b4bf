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


def entries(artefact, outputs):
    """Outputs of an artefact; those that Snakemake's report shows, as its entries."""
    labels = PROJECT.labels(artefact)
    return {
        option: (
            report(file, caption=PROJECT.caption(artefact), labels=labels[option], **shelf)
            if option in labels
            else file
        )
        for shelf in [PROJECT.shelf(artefact)]
        for option, file in outputs.items()
    }


for artefact in GRAPH.artefacts.values():

    rule:
        name:
            artefact.name
        input:
            unpack(WIRING.inputs(artefact.job)),
        output:
            **entries(artefact, GRAPH.jobs[artefact.job].outputs),
            record=f"{ANSWERS}/records/{artefact.job}",
        log:
            f"{ANSWERS}/logs/{artefact.job}.log",
        benchmark:
            f"{ANSWERS}/benchmarks/{artefact.job}.tsv"
        localrule: GRAPH.jobs[artefact.job].resources is None
        conda:
            ENV
        threads: WIRING.threads(GRAPH.jobs[artefact.job])
        resources:
            **WIRING.resources(GRAPH.jobs[artefact.job]),
        params:
            name=artefact.name,
            entry=WIRING.entry(artefact),
            options=WIRING.options(artefact),
            tier=config["tier"],
            digest=WIRING.digest(artefact.job),
        shell:
            WIRING.artefact_command(artefact)
