# The noisy teacher (a run of its own, stopped early) writes a target for every training source.
# Finished shards are in `params`, to survive a failed attempt.
rule decode_teacher:
    input:
        lambda wildcards: pairs_of(wildcards.teacher),
        run=f"{RESULTS}/runs/{{teacher}}/run.json",
        weights=f"{RESULTS}/runs/{{teacher}}/weights.safetensors",
    output:
        targets=f"{RESULTS}/runs/{{teacher}}/targets.npy",
        offsets=f"{RESULTS}/runs/{{teacher}}/targets_offsets.npy",
        statistics=f"{RESULTS}/runs/{{teacher}}/decoding.json",
    log:
        f"{RESULTS}/logs/decode/{{teacher}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/decode/{{teacher}}.tsv"
    conda:
        ENV
    threads: resource("decode_teacher", "threads")
    resources:
        gpu=resource("decode_teacher", "gpu"),
        nodes=1,
        mem_mb=resource("decode_teacher", "mem_mb"),
        runtime=resource("decode_teacher", "runtime"),
    params:
        launcher=launcher("decode_teacher"),
        shards=f"{RESULTS}/checkpoints/{{teacher}}/decoding",
    shell:
        "exec {params.launcher} $SCRIPTS/decode_teacher.py --run {input.run} --weights {input.weights}"
        " --shards {params.shards} --targets {output.targets} --statistics {output.statistics}"
        " > {log} 2>&1"
