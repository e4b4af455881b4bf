# Scores of each run on clean test data, with the floor from the clean run of the same seed.
# A classifier's predictions are made where it is trained, so scoring them needs no GPU.
localrules:
    evaluate_classifier,
    collect_metrics,


rule evaluate_classifier:
    input:
        images_of,
        run=f"{RUN}/run.json",
        summary=f"{RUN}/training.json",
        predictions=f"{RUN}/predictions.npy",
        clean=lambda wildcards: f"{RESULTS}/runs/{clean_run(wildcards)}/predictions.npy",
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


rule evaluate_language_model:
    input:
        lambda wildcards: tokens_of(wildcards.run),
        run=f"{RUN}/run.json",
        weights=f"{RUN}/weights.safetensors",
        summary=f"{RUN}/training.json",
        clean=lambda wildcards: f"{RESULTS}/runs/{clean_run(wildcards)}/weights.safetensors",
    output:
        f"{RUN}/metrics.json",
    log:
        f"{RESULTS}/logs/evaluate/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{run}}.tsv"
    wildcard_constraints:
        run=r"language_model/.+",
    conda:
        ENV
    threads: resource("evaluate_language_model", "threads")
    resources:
        gpu=resource("evaluate_language_model", "gpu"),
        nodes=1,
        mem_mb=resource("evaluate_language_model", "mem_mb"),
        runtime=resource("evaluate_language_model", "runtime"),
    shell:
        "python $SCRIPTS/evaluate_language_model.py --run {input.run} --weights {input.weights}"
        " --summary {input.summary} --clean {input.clean} --metrics {output} > {log} 2>&1"


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
