# One run.json per run, written by the shell (a hundred starts of Python would take a minute), then
# one training per run.
localrules:
    run_config,


rule run_config:
    output:
        f"{RUN}/run.json",
    log:
        f"{RESULTS}/logs/run_config/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/run_config/{{run}}.tsv"
    conda:
        ENV
    params:
        content=lambda wildcards: json.dumps(
            PLAN.runs[wildcards.run], indent=2, sort_keys=True
        ),
    shell:
        "printf '%s\\n' {params.content:q} > {output} 2> {log}"


# The checkpoints are in `params`: Snakemake would delete an output of a failed attempt.
rule train_classifier:
    input:
        images_of,
        run=f"{RUN}/run.json",
    output:
        weights=f"{RUN}/weights.safetensors",
        history=f"{RUN}/history.jsonl",
        summary=f"{RUN}/training.json",
        predictions=f"{RUN}/predictions.npz",
    log:
        f"{RESULTS}/logs/train/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{run}}.tsv"
    wildcard_constraints:
        run=r"classifier/.+",
    conda:
        ENV
    threads: resource("train_classifier", "threads")
    resources:
        gpu=resource("train_classifier", "gpu"),
        nodes=1,
        mem_mb=resource("train_classifier", "mem_mb"),
        runtime=resource("train_classifier", "runtime"),
    params:
        launcher=launcher("train_classifier"),
        checkpoints=f"{RESULTS}/checkpoints/{{run}}",
    shell:
        "exec {params.launcher} $SCRIPTS/train.py --run {input.run} --checkpoints {params.checkpoints}"
        " --weights {output.weights} --history {output.history} --summary {output.summary}"
        " --predictions {output.predictions} > {log} 2>&1"


rule train_vision_transformer:
    input:
        images_of,
        run=f"{RUN}/run.json",
    output:
        weights=f"{RUN}/weights.safetensors",
        history=f"{RUN}/history.jsonl",
        summary=f"{RUN}/training.json",
        predictions=f"{RUN}/predictions.npz",
    log:
        f"{RESULTS}/logs/train/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{run}}.tsv"
    wildcard_constraints:
        run=r"vision_transformer/.+",
    conda:
        ENV
    threads: resource("train_vision_transformer", "threads")
    resources:
        gpu=resource("train_vision_transformer", "gpu"),
        nodes=1,
        mem_mb=resource("train_vision_transformer", "mem_mb"),
        runtime=resource("train_vision_transformer", "runtime"),
    params:
        launcher=launcher("train_vision_transformer"),
        checkpoints=f"{RESULTS}/checkpoints/{{run}}",
    shell:
        "exec {params.launcher} $SCRIPTS/train.py --run {input.run} --checkpoints {params.checkpoints}"
        " --weights {output.weights} --history {output.history} --summary {output.summary}"
        " --predictions {output.predictions} > {log} 2>&1"


rule train_diffusion:
    input:
        images_of,
        run=f"{RUN}/run.json",
    output:
        weights=f"{RUN}/weights.safetensors",
        history=f"{RUN}/history.jsonl",
        summary=f"{RUN}/training.json",
    log:
        f"{RESULTS}/logs/train/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{run}}.tsv"
    wildcard_constraints:
        run=r"diffusion/.+",
    conda:
        ENV
    threads: resource("train_diffusion", "threads")
    resources:
        gpu=resource("train_diffusion", "gpu"),
        nodes=1,
        mem_mb=resource("train_diffusion", "mem_mb"),
        runtime=resource("train_diffusion", "runtime"),
    params:
        launcher=launcher("train_diffusion"),
        checkpoints=f"{RESULTS}/checkpoints/{{run}}/training",
    shell:
        "exec {params.launcher} $SCRIPTS/train.py --run {input.run} --checkpoints {params.checkpoints}"
        " --weights {output.weights} --history {output.history} --summary {output.summary}"
        " > {log} 2>&1"


rule train_language_model:
    input:
        lambda wildcards: tokens_of(wildcards.run),
        run=f"{RUN}/run.json",
    output:
        weights=f"{RUN}/weights.safetensors",
        history=f"{RUN}/history.jsonl",
        summary=f"{RUN}/training.json",
    log:
        f"{RESULTS}/logs/train/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{run}}.tsv"
    wildcard_constraints:
        run=r"language_model/.+",
    conda:
        ENV
    threads: resource("train_language_model", "threads")
    resources:
        gpu=resource("train_language_model", "gpu"),
        nodes=1,
        mem_mb=resource("train_language_model", "mem_mb"),
        runtime=resource("train_language_model", "runtime"),
    params:
        launcher=launcher("train_language_model"),
        checkpoints=f"{RESULTS}/checkpoints/{{run}}",
    shell:
        "exec {params.launcher} $SCRIPTS/train.py --run {input.run} --checkpoints {params.checkpoints}"
        " --weights {output.weights} --history {output.history} --summary {output.summary}"
        " > {log} 2>&1"


rule train_seq2seq:
    input:
        lambda wildcards: pairs_of(wildcards.run),
        lambda wildcards: of_teacher(
            wildcards.run, "targets.npy", "targets_offsets.npy"
        ),
        run=f"{RUN}/run.json",
    output:
        weights=f"{RUN}/weights.safetensors",
        history=f"{RUN}/history.jsonl",
        summary=f"{RUN}/training.json",
        predictions=f"{RUN}/predictions.npz",
    log:
        f"{RESULTS}/logs/train/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{run}}.tsv"
    wildcard_constraints:
        run=r"seq2seq/.+",
    conda:
        ENV
    threads: resource("train_seq2seq", "threads")
    resources:
        gpu=resource("train_seq2seq", "gpu"),
        nodes=1,
        mem_mb=resource("train_seq2seq", "mem_mb"),
        runtime=resource("train_seq2seq", "runtime"),
    params:
        launcher=launcher("train_seq2seq"),
        checkpoints=f"{RESULTS}/checkpoints/{{run}}",
    shell:
        "exec {params.launcher} $SCRIPTS/train.py --run {input.run} --checkpoints {params.checkpoints}"
        " --weights {output.weights} --history {output.history} --summary {output.summary}"
        " --predictions {output.predictions} > {log} 2>&1"
