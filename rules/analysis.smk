# What is no training: gradients of language models at initialisation (Table 4, Figure 4), the
# spread of their loss over macro-batches (Table 11), and what noise leaves of information
# (Figure 3).
localrules:
    information_loss,
    figure3,


rule information_loss:
    input:
        code=code("compute_information_loss"),
    output:
        f"{RESULTS}/analysis/information_loss.csv",
    log:
        f"{RESULTS}/logs/analysis/information_loss.log",
    benchmark:
        f"{RESULTS}/benchmarks/analysis/information_loss.tsv"
    conda:
        ENV
    params:
        classes=[2, 10, 100, 1000, 50257],  # the last: GPT-2's tokens
    shell:
        "$PYTHON $SCRIPTS/compute_information_loss.py --classes {params.classes} --out {output} > {log} 2>&1"


rule figure3:
    input:
        table=f"{RESULTS}/analysis/information_loss.csv",
        code=code("make_figure"),
    output:
        report(
            f"{FIGURES}/figure3.svg",
            caption=caption("figure3"),
            category="Theory",
            subcategory="Figures",
            labels={"result": "Figure 3", "format": "svg"},
        ),
        f"{FIGURES}/figure3.png",
    log:
        f"{RESULTS}/logs/figures/figure3.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures/figure3.tsv"
    conda:
        ENV
    shell:
        "$PYTHON $SCRIPTS/make_figure.py --name figure3 --tables {input.table} --out {output} > {log} 2>&1"


if GRADIENTS:

    rule measure_gradients:
        input:
            sorted({file for run in GRADIENTS["runs"] for file in tokens_of(run)}),
            runs=[f"{RESULTS}/runs/{run}/run.json" for run in GRADIENTS["runs"]],
            code=code("measure_gradients"),
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
            "$PYTHON $SCRIPTS/measure_gradients.py --runs {input.runs}"
            " --error-rates {params.error_rates} --batch-sizes {params.batch_sizes}"
            " --batches {params.batches} --protocols {params.protocols} --out {output} > {log} 2>&1"

    # As many sequences as the largest batches of Table 4 have, in larger batches.
    rule project_gradients:
        input:
            tokens_of(GRADIENTS["runs"][0]),
            run=f"{RESULTS}/runs/{GRADIENTS['runs'][0]}/run.json",
            code=code("project_gradients"),
        output:
            projection=f"{RESULTS}/analysis/gradient_projection.csv",
            growth=f"{RESULTS}/analysis/gradient_growth.csv",
        log:
            f"{RESULTS}/logs/analysis/project_gradients.log",
        benchmark:
            f"{RESULTS}/benchmarks/analysis/project_gradients.tsv"
        conda:
            ENV
        threads: resource("measure_gradients", "threads")
        resources:
            gpu=resource("measure_gradients", "gpu"),
            nodes=1,
            mem_mb=resource("measure_gradients", "mem_mb"),
            runtime=resource("measure_gradients", "runtime"),
        params:
            error_rate=max(GRADIENTS["error_rates"]),
            batch_size=GRADIENTS["picture_batch_size"],
            batches=max(
                2,
                GRADIENTS["batches"]
                * max(GRADIENTS["batch_sizes"])
                // GRADIENTS["picture_batch_size"],
            ),
            protocols=GRADIENTS["protocols"],
        shell:
            "$PYTHON $SCRIPTS/project_gradients.py --run {input.run}"
            " --error-rate {params.error_rate} --batch-size {params.batch_size}"
            " --batches {params.batches} --protocols {params.protocols}"
            " --projection {output.projection} --growth {output.growth} > {log} 2>&1"

    rule figure4:
        input:
            tables=[
                f"{RESULTS}/analysis/gradient_projection.csv",
                f"{RESULTS}/analysis/gradient_growth.csv",
            ],
            code=code("make_figure"),
        output:
            report(
                f"{FIGURES}/figure4.svg",
                caption=caption("figure4"),
                category=FAMILY_NAMES["language_model"],
                subcategory="Figures",
                labels={"result": "Figure 4", "format": "svg"},
            ),
            f"{FIGURES}/figure4.png",
        log:
            f"{RESULTS}/logs/figures/figure4.log",
        benchmark:
            f"{RESULTS}/benchmarks/figures/figure4.tsv"
        localrule: True
        conda:
            ENV
        shell:
            "$PYTHON $SCRIPTS/make_figure.py --name figure4 --tables {input.tables}"
            " --out {output} > {log} 2>&1"


if STABILITY:

    rule measure_loss_stability:
        input:
            sorted({file for run in STABILITY["runs"] for file in tokens_of(run)}),
            runs=[f"{RESULTS}/runs/{run}/run.json" for run in STABILITY["runs"]],
            weights=[
                f"{RESULTS}/runs/{run}/weights.safetensors"
                for run in STABILITY["runs"]
            ],
            code=code("measure_loss_stability"),
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
