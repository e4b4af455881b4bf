# Scores of each run on clean test data, with the floor from the clean run of the same seed.
# Predictions of classifiers and sequence-to-sequence models are made where these are trained, so
# scoring them needs no GPU.
localrules:
    evaluate_classifier,
    evaluate_diffusion,
    evaluate_seq2seq,
    collect_metrics,


rule evaluate_classifier:
    input:
        images_of,
        run=f"{RUN}/run.json",
        summary=f"{RUN}/training.json",
        history=f"{RUN}/history.jsonl",
        predictions=f"{RUN}/predictions.npz",
        clean=lambda wildcards: f"{RESULTS}/runs/{clean_run(wildcards)}/predictions.npz",
        code=code("evaluate_classifier"),
    output:
        f"{RUN}/metrics.json",
    log:
        f"{RESULTS}/logs/evaluate/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{run}}.tsv"
    wildcard_constraints:
        run=r"(classifier|vision_transformer)/.+",
    conda:
        ENV
    shell:
        "$PYTHON $SCRIPTS/evaluate_classifier.py --run {input.run} --summary {input.summary}"
        " --history {input.history} --predictions {input.predictions} --clean {input.clean}"
        " --metrics {output} > {log} 2>&1"


rule evaluate_diffusion:
    input:
        images_of,
        run=f"{RUN}/run.json",
        summary=f"{RUN}/training.json",
        measured=f"{RUN}/measured.npz",
        clean=lambda wildcards: f"{RESULTS}/runs/{clean_run(wildcards)}/measured.npz",
        judge=lambda wildcards: of_judge(wildcards.run, "predictions.npz"),
        moments=f"{RUN}/moments.npz",
        reference=lambda wildcards: of_judge(
            wildcards.run, f"training_set-{features_of(wildcards.run)}.npz"
        ),
        code=code("evaluate_diffusion"),
    output:
        f"{RUN}/metrics.json",
    log:
        f"{RESULTS}/logs/evaluate/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{run}}.tsv"
    wildcard_constraints:
        run=r"diffusion/.+",
    conda:
        ENV
    shell:
        "$PYTHON $SCRIPTS/evaluate_diffusion.py --run {input.run} --summary {input.summary}"
        " --measured {input.measured} --clean {input.clean} --judge {input.judge}"
        " --moments {input.moments} --reference {input.reference} --metrics {output} > {log} 2>&1"


rule evaluate_language_model:
    input:
        lambda wildcards: tokens_of(wildcards.run),
        run=f"{RUN}/run.json",
        weights=f"{RUN}/weights.safetensors",
        summary=f"{RUN}/training.json",
        clean=lambda wildcards: f"{RESULTS}/runs/{clean_run(wildcards)}/weights.safetensors",
        out_of_domain=lambda wildcards: out_of_domain_of(wildcards.run),
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
        "$PYTHON $SCRIPTS/evaluate_language_model.py --run {input.run} --weights {input.weights}"
        " --summary {input.summary} --clean {input.clean}"
        " --out-of-domain {input.out_of_domain} --metrics {output} > {log} 2>&1"


rule evaluate_seq2seq:
    input:
        lambda wildcards: pairs_of(wildcards.run),
        lambda wildcards: of_teacher(
            wildcards.run, "targets.npy", "targets_offsets.npy"
        ),
        run=f"{RUN}/run.json",
        summary=f"{RUN}/training.json",
        predictions=f"{RUN}/predictions.npz",
        clean=lambda wildcards: f"{RESULTS}/runs/{clean_run(wildcards)}/predictions.npz",
        teacher=lambda wildcards: of_teacher(wildcards.run, "predictions.npz"),
        code=code("evaluate_seq2seq"),
    output:
        f"{RUN}/metrics.json",
    log:
        f"{RESULTS}/logs/evaluate/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{run}}.tsv"
    wildcard_constraints:
        run=r"seq2seq/.+",
    conda:
        ENV
    shell:
        "$PYTHON $SCRIPTS/evaluate_seq2seq.py --run {input.run} --summary {input.summary}"
        " --predictions {input.predictions} --clean {input.clean} --teacher {input.teacher}"
        " --metrics {output} > {log} 2>&1"


rule collect_metrics:
    input:
        metrics=lambda wildcards: of_runs(wildcards.experiment, "metrics.json"),
        code=code("collect_metrics"),
    output:
        f"{RESULTS}/metrics/{{experiment}}.csv",
    log:
        f"{RESULTS}/logs/collect/{{experiment}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/collect/{{experiment}}.tsv"
    conda:
        ENV
    params:
        snapshots=lambda wildcards: snapshots(wildcards.experiment),
    shell:
        "$PYTHON $SCRIPTS/collect_metrics.py --metrics {input.metrics} {params.snapshots}"
        " --out {output} > {log} 2>&1"
