# Data sets: downloaded (real ones without a local folder), then prepared as arrays.
DOWNLOADS = "data/{dataset}"
PREPARED = ["train_x.npy", "train_y.npy", "test_x.npy", "test_y.npy", "dataset.json"]


localrules:
    download_images,


def is_real(dataset):
    return PLAN.datasets[dataset]["kind"] == "cifar"


def source(wildcards):
    """Folder of a real data set: the local copy, or the download."""
    root = config["data"]["root"] or os.path.dirname(DOWNLOADS)
    return f"{root}/{wildcards.dataset}" if is_real(wildcards.dataset) else None


def downloaded(wildcards):
    """What has to be downloaded before a data set can be prepared."""
    local = config["data"]["root"] or not is_real(wildcards.dataset)
    return [] if local else f"{DOWNLOADS}/.complete".format(dataset=wildcards.dataset)


rule download_images:
    output:
        touch(f"{DOWNLOADS}/.complete"),
    log:
        "results/logs/download/{dataset}.log",
    benchmark:
        "results/benchmarks/download/{dataset}.tsv"
    conda:
        ENV
    retries: 3
    resources:
        runtime=120,
        mem_mb=2000,
    shell:
        "python {SCRIPTS}/download_images.py --name {wildcards.dataset} --out data/{wildcards.dataset} > {log} 2>&1"


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
    params:
        spec=lambda wildcards: json.dumps(PLAN.datasets[wildcards.dataset], sort_keys=True),
        source=lambda wildcards: f"--source {source(wildcards)}" if source(wildcards) else "",
        out=subpath(output[0], parent=True),
    threads: resource("prepare_images", "threads")
    resources:
        gpu=resource("prepare_images", "gpu"),
        mem_mb=resource("prepare_images", "mem_mb"),
        runtime=resource("prepare_images", "runtime"),
    shell:
        "python {SCRIPTS}/prepare_images.py --spec {params.spec:q} {params.source} --out {params.out} > {log} 2>&1"
