# Measurements of language models that are no training: gradients at initialisation (Table 4),
# spread of the loss over macro-batches (Table 11).
rule measure_gradients:
    input:
        tokens_of(GRADIENTS["run"]),
        run=f"{RESULTS}/runs/{GRADIENTS['run']}/run.json",
        code=library("gradients") + [f"{SCRIPTS}/measure_gradients.py"],
    output:
        f"{RESULTS}/analysis/gradients.csv",
    log:
        f"{RESULTS}/logs/analysis/gradients.log",
    benchmark:
        f"{RESULTS}/benchmarks/analysis/gradients.tsv"
    conda:
        ENV
    threads: resource("measure_gradients", "threads")
    resources:
        gpu=resource("measure_gradients", "gpu"),
        nodes=1,
        mem_mb=resource("measure_gradients", "mem_mb"),
        runtime=resource("measure_gradients", "runtime"),
    params:
        error_rates=GRADIENTS["error_rates"],
        batch_sizes=GRADIENTS["batch_sizes"],
        batches=GRADIENTS["batches"],
        protocols=GRADIENTS["protocols"],
    shell:
        "$PYTHON $SCRIPTS/measure_gradients.py --run {input.run} --error-rates {params.error_rates}"
        " --batch-sizes {params.batch_sizes} --batches {params.batches}"
        " --protocols {params.protocols} --out {output} > {log} 2>&1"


rule measure_loss_stability:
    input:
        tokens_of(STABILITY["runs"][0]),
        runs=[f"{RESULTS}/runs/{run}/run.json" for run in STABILITY["runs"]],
        weights=[
            f"{RESULTS}/runs/{run}/weights.safetensors" for run in STABILITY["runs"]
        ],
        code=f"{SCRIPTS}/measure_loss_stability.py",
    output:
        f"{RESULTS}/analysis/loss_stability.csv",
    log:
        f"{RESULTS}/logs/analysis/loss_stability.log",
    benchmark:
        f"{RESULTS}/benchmarks/analysis/loss_stability.tsv"
    conda:
        ENV
    threads: resource("measure_loss_stability", "threads")
    resources:
        gpu=resource("measure_loss_stability", "gpu"),
        nodes=1,
        mem_mb=resource("measure_loss_stability", "mem_mb"),
        runtime=resource("measure_loss_stability", "runtime"),
    params:
        batch_sizes=STABILITY["batch_sizes"],
        macro_batches=STABILITY["macro_batches"],
    shell:
        "$PYTHON $SCRIPTS/measure_loss_stability.py --runs {input.runs} --weights {input.weights}"
        " --batch-sizes {params.batch_sizes} --macro-batches {params.macro_batches}"
        " --out {output} > {log} 2>&1"
