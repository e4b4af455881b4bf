# Data sets: downloaded (real ones without a local folder), then prepared as arrays. Downloads run
# where Snakemake does, since other computers may have no network.
localrules:
    prepare_out_of_domain,
    download_inception,
    download_model,


for download in DATA.downloads():

    # One download serves all subsets of a set, whose first names it.
    rule:
        name:
            download.rule
        output:
            touch("data/{source}/.complete"),
        log:
            "results/logs/download/{source}.log",
        benchmark:
            "results/benchmarks/download/{source}.tsv"
        wildcard_constraints:
            source=download.pattern,
        retries: 3
        localrule: True
        conda:
            ENV
        resources:
            runtime=2880,
            mem_mb=4000,
        params:
            command=DATA.downloading(download.rule),
        shell:
            f"$ONLINE {{params.command}} {LOGGED}"


rule download_inception:
    output:
        "data/inception/pt_inception-2015-12-05-6726825d.pth",
    log:
        "results/logs/download/inception.log",
    benchmark:
        "results/benchmarks/download/inception.tsv"
    retries: 3
    conda:
        ENV
    resources:
        runtime=60,
        mem_mb=2000,
    shell:
        f"$ONLINE $PYTHON $SCRIPTS/download_inception.py --out {{output:q}} {LOGGED}"


# A backbone of probes that was trained elsewhere.
rule download_model:
    output:
        touch("data/models/{model}/.complete"),
    log:
        "results/logs/download/models/{model}.log",
    benchmark:
        "results/benchmarks/download/models/{model}.tsv"
    wildcard_constraints:
        model="[A-Za-z0-9_.-]+",
    retries: 3
    conda:
        ENV
    resources:
        runtime=600,
        mem_mb=4000,
    params:
        hub=lambda wildcards: config["backbones"][wildcards.model]["hub"],
    shell:
        f"$ONLINE $PYTHON $SCRIPTS/download_model.py --hub {{params.hub:q}}"
        f" --out data/models/{{wildcards.model}} {LOGGED}"


for preparation in DATA.preparations():

    rule:
        name:
            preparation.rule
        input:
            unpack(WIRING.inputs("prepare/{dataset}")),
        output:
            **preparation.outputs,
        log:
            f"{RESULTS}/logs/prepare/{{dataset}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/prepare/{{dataset}}.tsv"
        wildcard_constraints:
            dataset=preparation.pattern,
        priority: FIRST
        conda:
            ENV
        threads: WIRING.threads(preparation.rule)
        resources:
            **WIRING.resources(preparation.rule),
        params:
            command=DATA.preparing(preparation.rule),
            digest=WIRING.digest("prepare/{dataset}"),
        shell:
            f"THREADS={{threads}} {COMMAND}"


rule datasets:
    input:
        lambda wildcards: WIRING.datasets(),


# A rule of its own, so that another text to be scored on trains nothing again.
rule prepare_out_of_domain:
    input:
        unpack(WIRING.inputs("prepare_{domain}/{dataset}")),
    output:
        out=f"{RESULTS}/data/{{dataset}}/{{domain}}.npy",
        record=f"{RESULTS}/records/prepare_{{domain}}/{{dataset}}",
    log:
        f"{RESULTS}/logs/prepare_{{domain}}/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_{{domain}}/{{dataset}}.tsv"
    wildcard_constraints:
        domain="|".join(DOMAINS),
    conda:
        ENV
    params:
        spec=DATA.specification("dataset"),
        source=DATA.source,
        digest=WIRING.digest("prepare_{domain}/{dataset}"),
    shell:
        "python $SCRIPTS/prepare_out_of_domain.py --spec {params.spec:q} {params.source}"
        f" --domain {{wildcards.domain}} --tokenizer {{input.tokenizer:q}} --out {{output.out:q}} {LOGGED} && {RECORD}"
