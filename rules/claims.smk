# The paper's claims, decided; its text and its code, side by side.
localrules:
    claims,
    audit,


rule claims:
    input:
        metrics=all_metrics(),
        analyses=list(ANALYSES.values()),
        published=f"{workflow.basedir}/config/published.yaml",
        code=code("make_claims"),
    output:
        json=f"{RESULTS}/claims.json",
        html=report(
            f"{RESULTS}/claims.html",
            caption="../workflow/report/claims.rst",
            category="Claims",
            labels={"result": "Verdicts", "format": "html"},
        ),
        md=f"{RESULTS}/claims.md",
        csv=f"{RESULTS}/claims.csv",
    log:
        f"{RESULTS}/logs/claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/claims.tsv"
    conda:
        ENV
    params:
        options=of_analyses("gradients", "stability"),
        tier=config["tier"],
    shell:
        "$PYTHON $SCRIPTS/make_claims.py --metrics {input.metrics} {params.options}"
        " --tier {params.tier} --out {output.json} > {log} 2>&1"


rule audit:
    input:
        metrics=all_metrics(),
        analyses=[ANALYSES["gradients"]] if GRADIENTS else [],
        compared=f"{workflow.basedir}/config/audit.yaml",
        code=code("make_audit"),
    output:
        csv=ensure(f"{TABLES}/audit.csv", non_empty=True),
        html=report(
            f"{TABLES}/audit.html",
            caption="../workflow/report/audit.rst",
            category="Audit",
            labels={"result": "Text against code", "format": "html"},
        ),
        md=f"{TABLES}/audit.md",
    log:
        f"{RESULTS}/logs/tables/audit.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables/audit.tsv"
    conda:
        ENV
    params:
        options=of_analyses("gradients"),
        tier=config["tier"],
    shell:
        "$PYTHON $SCRIPTS/make_audit.py --metrics {input.metrics} {params.options}"
        " --tier {params.tier} --out {output.csv} > {log} 2>&1"
