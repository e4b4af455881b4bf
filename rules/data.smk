# Data sets: downloaded (real ones without a local folder), then prepared as arrays. The names of
# image, text and pair data sets are wildcards of their own, so that each rule knows its data.
localrules:
    download_images,
    download_image_files,
    download_text,
    download_pairs,
    prepare_out_of_domain,


rule download_images:
    output:
        touch("data/{images}/.complete"),
    log:
        "results/logs/download/{images}.log",
    benchmark:
        "results/benchmarks/download/{images}.tsv"
    retries: 3
    conda:
        ENV
    resources:
        runtime=120,
        mem_mb=2000,
    shell:
        "$ONLINE $PYTHON $SCRIPTS/download_images.py --name {wildcards.images} --out data/{wildcards.images}"
        " > {log} 2>&1"


rule download_text:
    output:
        touch("data/{texts}/.complete"),
    log:
        "results/logs/download/{texts}.log",
    benchmark:
        "results/benchmarks/download/{texts}.tsv"
    retries: 3
    conda:
        ENV
    resources:
        runtime=1440,
        mem_mb=4000,
    params:
        hub=lambda wildcards: PLAN.datasets[wildcards.texts]["hub"],
        tokenizer=lambda wildcards: PLAN.datasets[wildcards.texts]["tokenizer"],
    shell:
        "$ONLINE $PYTHON $SCRIPTS/download_text.py --hub {params.hub} --tokenizer {params.tokenizer}"
        " --out data/{wildcards.texts} > {log} 2>&1"


rule prepare_images:
    input:
        lambda wildcards: downloaded(wildcards.images),
    output:
        [f"{RESULTS}/data/{{images}}/{file}" for file in IMAGES],
    log:
        f"{RESULTS}/logs/prepare/{{images}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/{{images}}.tsv"
    conda:
        ENV
    threads: resource("prepare_images", "threads")
    resources:
        gpu=resource("prepare_images", "gpu"),
        mem_mb=resource("prepare_images", "mem_mb"),
        runtime=resource("prepare_images", "runtime"),
    params:
        spec=lambda wildcards: specification(wildcards.images),
        source=lambda wildcards: source(wildcards.images),
        out=subpath(output[0], parent=True),
    shell:
        "$PYTHON $SCRIPTS/prepare_images.py --spec {params.spec:q} {params.source}"
        " --out {params.out} > {log} 2>&1"


# One download serves all subsets of a set, whose first names it.
rule download_image_files:
    output:
        touch("data/{source}/.complete"),
    log:
        "results/logs/download/{source}.log",
    benchmark:
        "results/benchmarks/download/{source}.tsv"
    wildcard_constraints:
        source="|".join(SHARED_FOLDERS) or "none",
    retries: 3
    conda:
        ENV
    resources:
        runtime=2880,
        mem_mb=4000,
    params:
        spec=lambda wildcards: specification(SHARED_FOLDERS[wildcards.source]),
    shell:
        "$ONLINE $PYTHON $SCRIPTS/download_image_files.py --spec {params.spec:q} --out data/{wildcards.source}"
        " > {log} 2>&1"


rule prepare_image_files:
    input:
        lambda wildcards: downloaded(wildcards.image_files),
    output:
        [f"{RESULTS}/data/{{image_files}}/{file}" for file in IMAGE_FILES],
    log:
        f"{RESULTS}/logs/prepare/{{image_files}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/{{image_files}}.tsv"
    conda:
        ENV
    threads: resource("prepare_image_files", "threads")
    resources:
        gpu=resource("prepare_image_files", "gpu"),
        mem_mb=resource("prepare_image_files", "mem_mb"),
        runtime=resource("prepare_image_files", "runtime"),
    params:
        spec=lambda wildcards: specification(wildcards.image_files),
        source=lambda wildcards: source(wildcards.image_files),
        out=subpath(output[0], parent=True),
    shell:
        "python $SCRIPTS/prepare_image_files.py --spec {params.spec:q} {params.source}"
        " --threads {threads} --out {params.out} > {log} 2>&1"


# Finished shards of tokens are in `params`, to survive a failed attempt.
rule prepare_text:
    input:
        lambda wildcards: downloaded(wildcards.texts),
    output:
        [f"{RESULTS}/data/{{texts}}/{file}" for file in TOKENS],
    log:
        f"{RESULTS}/logs/prepare/{{texts}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/{{texts}}.tsv"
    conda:
        ENV
    threads: resource("prepare_text", "threads")
    resources:
        gpu=resource("prepare_text", "gpu"),
        mem_mb=resource("prepare_text", "mem_mb"),
        runtime=resource("prepare_text", "runtime"),
    params:
        spec=lambda wildcards: specification(wildcards.texts, without=["out_of_domain"]),
        source=lambda wildcards: source(wildcards.texts),
        work=f"{RESULTS}/checkpoints/data/{{texts}}",
        out=subpath(output[0], parent=True),
    shell:
        "python $SCRIPTS/prepare_text.py --spec {params.spec:q} {params.source}"
        " --work {params.work} --out {params.out} > {log} 2>&1"


# A rule of its own, so that other text to be scored on trains nothing again.
rule prepare_out_of_domain:
    input:
        tokenizer=f"{RESULTS}/data/{{texts}}/tokenizer.json",
    output:
        f"{RESULTS}/data/{{texts}}/out_of_domain.npy",
    log:
        f"{RESULTS}/logs/prepare_out_of_domain/{{texts}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_out_of_domain/{{texts}}.tsv"
    conda:
        ENV
    params:
        spec=lambda wildcards: specification(wildcards.texts),
        source=lambda wildcards: source(wildcards.texts),
    shell:
        "python $SCRIPTS/prepare_out_of_domain.py --spec {params.spec:q} {params.source}"
        " --tokenizer {input.tokenizer} --out {output} > {log} 2>&1"


rule download_pairs:
    output:
        touch("data/{pairs}/.complete"),
    log:
        "results/logs/download/{pairs}.log",
    benchmark:
        "results/benchmarks/download/{pairs}.tsv"
    retries: 3
    conda:
        ENV
    resources:
        runtime=240,
        mem_mb=4000,
    params:
        spec=lambda wildcards: specification(wildcards.pairs),
    shell:
        "$ONLINE $PYTHON $SCRIPTS/download_pairs.py --spec {params.spec:q} --out data/{wildcards.pairs}"
        " > {log} 2>&1"


rule prepare_pairs:
    input:
        lambda wildcards: downloaded(wildcards.pairs),
    output:
        [f"{RESULTS}/data/{{pairs}}/{file}" for file in PAIRS],
    log:
        f"{RESULTS}/logs/prepare/{{pairs}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/{{pairs}}.tsv"
    conda:
        ENV
    threads: resource("prepare_pairs", "threads")
    resources:
        gpu=resource("prepare_pairs", "gpu"),
        mem_mb=resource("prepare_pairs", "mem_mb"),
        runtime=resource("prepare_pairs", "runtime"),
    params:
        spec=lambda wildcards: specification(wildcards.pairs),
        source=lambda wildcards: source(wildcards.pairs),
        out=subpath(output[0], parent=True),
    shell:
        "python $SCRIPTS/prepare_pairs.py --spec {params.spec:q} {params.source}"
        " --out {params.out} > {log} 2>&1"
