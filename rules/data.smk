# Data sets: downloaded (real ones without a local folder), then prepared as arrays.
localrules:
    download_images,


rule download_images:
    output:
        touch(f"{DOWNLOADS}/.complete"),
    log:
        "results/logs/download/{dataset}.log",
    benchmark:
        "results/benchmarks/download/{dataset}.tsv"
    retries: 3
    conda:
        ENV
    resources:
        runtime=120,
        mem_mb=2000,
    shell:
        "python $SCRIPTS/download_images.py --name {wildcards.dataset} --out data/{wildcards.dataset} > {log} 2>&1"


rule prepare_images:
    input:
        downloaded,
    output:
        [f"{DATA}/{file}" for file in PREPARED],
    log:
        f"{RESULTS}/logs/prepare/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/{{dataset}}.tsv"
    conda:
        ENV
    threads: resource("prepare_images", "threads")
    resources:
        gpu=resource("prepare_images", "gpu"),
        mem_mb=resource("prepare_images", "mem_mb"),
        runtime=resource("prepare_images", "runtime"),
    params:
        spec=lambda wildcards: json.dumps(
            PLAN.datasets[wildcards.dataset], sort_keys=True
        ),
        source=lambda wildcards: (
            f"--source {source(wildcards)}" if source(wildcards) else ""
        ),
        out=subpath(output[0], parent=True),
    shell:
        "python $SCRIPTS/prepare_images.py --spec {params.spec:q} {params.source} --out {params.out} > {log} 2>&1"
