# Scores of each run on clean test data, with the floor from the clean run of the same seed.
# Predictions are made where the model is, so these rules need no GPU and little time.
localrules:
    evaluate_classifier,
    collect_metrics,


rule evaluate_classifier:
    input:
        prepared_data,
        run=f"{RUN}/run.json",
        summary=f"{RUN}/training.json",
        predictions=f"{RUN}/predictions.npy",
        clean=lambda wildcards: f"{RESULTS}/runs/{PLAN.runs[wildcards.run]['clean_run']}/predictions.npy",
        code=library("metrics", "stats", "theory")
        + [f"{SCRIPTS}/evaluate_classifier.py"],
    output:
        f"{RUN}/metrics.json",
    log:
        f"{RESULTS}/logs/evaluate/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{run}}.tsv"
    wildcard_constraints:
        run=r"classifier/.+",
    conda:
        ENV
    shell:
        "python $SCRIPTS/evaluate_classifier.py --run {input.run} --summary {input.summary}"
        " --predictions {input.predictions} --clean {input.clean} --metrics {output} > {log} 2>&1"


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
        "python $SCRIPTS/collect_metrics.py --metrics {input.metrics} --out {output} > {log} 2>&1"
