# Verdicts, the papers' texts and codes side by side, what was run, the reports, and what is
# published of them.
report: "../workflow/report/front.rst"


localrules:
    claims,
    audit,
    overview,
    resolved_config,
    report,
    workflow_report,
    crate,
    bundle,


REPORT, WORKFLOW_REPORT = f"{ANSWERS}/report.html", f"{ANSWERS}/workflow_report.html"


rule claims:
    input:
        unpack(WIRING.inputs("claims")),
    output:
        json=f"{ANSWERS}/claims.json",
        csv=report(
            f"{ANSWERS}/claims.csv",
            caption="../workflow/report/claims.rst",
            category="Claims",
            labels={"result": "Verdicts", "format": "csv"},
        ),
        md=f"{ANSWERS}/claims.md",
        record=f"{ANSWERS}/records/claims",
    log:
        f"{ANSWERS}/logs/claims.log",
    benchmark:
        f"{ANSWERS}/benchmarks/claims.tsv"
    conda:
        ENV
    params:
        analyses=WIRING.files("claims", "gradients", "loss_stability", "curves"),
        tier=config["tier"],
        studies=config["studies"],
        digest=WIRING.digest("claims"),
    shell:
        "$PYTHON $SCRIPTS/make_claims.py --metrics {input.metrics:q} {params.analyses}"
        f" --tier {{params.tier}} --studies {{params.studies}} --out {{output.json:q}} {LOGGED} && {RECORD}"


rule audit:
    input:
        unpack(WIRING.inputs("tables/audit")),
    output:
        csv=report(
            f"{TABLES}/audit.csv",
            caption="../workflow/report/audit.rst",
            category="Audit",
            labels={"result": "Text against code", "format": "csv"},
        ),
        json=f"{TABLES}/audit.json",
        md=f"{TABLES}/audit.md",
        record=f"{ANSWERS}/records/tables/audit",
    log:
        f"{ANSWERS}/logs/tables/audit.log",
    benchmark:
        f"{ANSWERS}/benchmarks/tables/audit.tsv"
    conda:
        ENV
    params:
        analyses=WIRING.files("tables/audit", "gradients"),
        tier=config["tier"],
        studies=config["studies"],
        digest=WIRING.digest("tables/audit"),
    shell:
        "$PYTHON $SCRIPTS/make_audit.py --metrics {input.metrics:q} {params.analyses}"
        f" --tier {{params.tier}} --studies {{params.studies}} --out {{output.csv:q}} {LOGGED} && {RECORD}"


rule overview:
    input:
        unpack(WIRING.inputs("overview")),
    output:
        csv=report(
            f"{ANSWERS}/overview.csv",
            caption="../workflow/report/overview.rst",
            category="Overview",
            labels={"result": "What was run", "format": "csv"},
        ),
        json=f"{ANSWERS}/overview.json",
        md=f"{ANSWERS}/overview.md",
        record=f"{ANSWERS}/records/overview",
    log:
        f"{ANSWERS}/logs/overview.log",
    benchmark:
        f"{ANSWERS}/benchmarks/overview.tsv"
    conda:
        ENV
    params:
        digest=WIRING.digest("overview"),
    shell:
        "$PYTHON $SCRIPTS/make_overview.py --metrics {input.metrics:q} --data {input.data:q}"
        f" --out {{output.csv:q}} {LOGGED} && {RECORD}"


rule resolved_config:
    input:
        unpack(WIRING.inputs("config")),
    output:
        f"{ANSWERS}/config.json",
    log:
        f"{ANSWERS}/logs/config.log",
    benchmark:
        f"{ANSWERS}/benchmarks/config.tsv"
    conda:
        ENV
    params:
        content=lambda wildcards: WIRING.content("config"),  # a task's prompt has braces
    shell:
        "printf '%s\\n' {params.content:q} > {output:q} 2> {log:q}"


rule report:
    input:
        unpack(WIRING.inputs("report")),
    output:
        html=REPORT,
        record=f"{ANSWERS}/records/report",
    log:
        f"{ANSWERS}/logs/report.log",
    benchmark:
        f"{ANSWERS}/benchmarks/report.tsv"
    conda:
        ENV
    params:
        digest=WIRING.digest("report"),
    shell:
        f"$PYTHON $SCRIPTS/make_report.py --config {{input.config:q}} --results {RESULTS}"
        f" --out {{output.html:q}} {LOGGED} && {RECORD}"


# Snakemake's own report: rules, their graph and run times. A rule that calls it lets it be a target
# like any other. The inner call reads only, so it needs no lock.
rule workflow_report:
    input:
        unpack(WIRING.inputs("workflow_report")),
    output:
        html=WORKFLOW_REPORT,
        record=f"{ANSWERS}/records/workflow_report",
    log:
        f"{ANSWERS}/logs/workflow_report.log",
    benchmark:
        f"{ANSWERS}/benchmarks/workflow_report.tsv"
    conda:
        ENV
    params:
        digest=WIRING.digest("workflow_report"),
    shell:
        'python -m snakemake --snakefile "$SNAKEFILE" --configfile {input.config:q} --nolock'
        f" --report {{output.html:q}} -- {{input.shown:q}} {LOGGED} && {RECORD}"


# Where all that was made comes from, as an RO-Crate, with a copy of the code.
rule crate:
    input:
        unpack(WIRING.inputs("crate")),
    output:
        metadata=f"{ANSWERS}/ro-crate-metadata.json",
        code=directory(f"{ANSWERS}/code"),
        record=f"{ANSWERS}/records/crate",
    log:
        f"{ANSWERS}/logs/crate.log",
    benchmark:
        f"{ANSWERS}/benchmarks/crate.tsv"
    conda:
        ENV
    params:
        digest=WIRING.digest("crate"),
    shell:
        f"$PYTHON $SCRIPTS/make_crate.py --config {{input.config:q}} --results {RESULTS}"
        f" --code {{output.code:q}} --out {{output.metadata:q}} {LOGGED} && {RECORD}"


# All of a result that can be published, in one archive: `make bundle`.
rule bundle:
    input:
        unpack(WIRING.inputs("bundle")),
    output:
        archive=f"{ANSWERS}/bundle.zip",
        record=f"{ANSWERS}/records/bundle",
    log:
        f"{ANSWERS}/logs/bundle.log",
    benchmark:
        f"{ANSWERS}/benchmarks/bundle.tsv"
    conda:
        ENV
    params:
        digest=WIRING.digest("bundle"),
    shell:
        f"$PYTHON $SCRIPTS/make_bundle.py --config {{input.config:q}} --results {RESULTS}"
        f" --out {{output.archive:q}} {LOGGED} && {RECORD}"
