# Scores of each run on clean test data, with the floor from the clean run of the same seed.
localrules:
    collect_metrics,


def clean_predictions(wildcards):
    """Predictions of the clean sibling; none for a clean run, which is its own reference."""
    run = PLAN.runs[wildcards.run]
    if run["clean_run"] == run["run_id"]:
        return []
    return f"{RESULTS}/runs/{run['clean_run']}/predictions.npy"


rule evaluate_classifier:
    input:
        prepared_data,
        run=f"{RUN}/run.json",
        weights=f"{RUN}/weights.safetensors",
        summary=f"{RUN}/training.json",
        clean=clean_predictions,
    output:
        predictions=f"{RUN}/predictions.npy",
        metrics=f"{RUN}/metrics.json",
    log:
        f"{RESULTS}/logs/evaluate/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{run}}.tsv"
    conda:
        ENV
    params:
        clean=lambda wildcards, input: f"--clean {input.clean}" if input.clean else "",
    threads: resource("evaluate_classifier", "threads")
    resources:
        gpu=resource("evaluate_classifier", "gpu"),
        nodes=1,
        mem_mb=resource("evaluate_classifier", "mem_mb"),
        runtime=resource("evaluate_classifier", "runtime"),
    wildcard_constraints:
        run=r"classifier/.+",
    shell:
        "python {SCRIPTS}/evaluate_classifier.py --run {input.run} --weights {input.weights}"
        " --summary {input.summary} {params.clean} --predictions {output.predictions}"
        " --metrics {output.metrics} > {log} 2>&1"


rule collect_metrics:
    input:
        metrics=lambda wildcards: of_runs(wildcards.experiment, "metrics.json"),
        code=f"{SCRIPTS}/collect_metrics.py",
    output:
        f"{RESULTS}/metrics/{{experiment}}.csv",
    log:
        f"{RESULTS}/logs/collect/{{experiment}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/collect/{{experiment}}.tsv"
    conda:
        ENV
    shell:
        "python {SCRIPTS}/collect_metrics.py --metrics {input.metrics} --out {output} > {log} 2>&1"
