# Tables, figures and the reports. The rule of a table has the experiment's name, so that
# `snakemake table2` makes it.
report: "../workflow/report/front.rst"


CAPTION_FILES = [
    f"{CAPTIONS}/{file}"
    for file in sorted(os.listdir(CAPTIONS))
    if file.endswith(".rst")
]
WORKFLOW_REPORT = f"{RESULTS}/workflow_report.html"
# What the report shows beside the families' tables and figures; None is not made.
PIECES = {
    "claims": f"{RESULTS}/claims.json",
    "audit": f"{TABLES}/audit.html",
    "cost": f"{RESULTS}/cost.html",
    "overview": f"{RESULTS}/overview.html",
}
SPECTRUM = "figure_spectrum"  # stands before the families
CATEGORIES = [*FAMILY_NAMES.values(), "Theory"]
# Figures that are not in FIGURE_SOURCES: name -> (title, category, tables that have their numbers).
OTHER_FIGURES = {"figure3": ("Figure 3: Information lost", "Theory", [])}
if GRADIENTS:
    OTHER_FIGURES["figure4"] = (
        "Figure 4: Coherence of gradients",
        FAMILY_NAMES["language_model"],
        ["table4"],
    )
if one_seed("table1"):
    OTHER_FIGURES["figure_samples"] = (
        "Generated images",
        FAMILY_NAMES["diffusion"],
        ["table1"],
    )


include: "report_plan.smk"


localrules:
    resolved_config,
    overview,
    report,
    workflow_report,


for table, (option, files) in table_sources().items():

    rule:
        name:
            table
        input:
            files=files,
            published=f"{workflow.basedir}/config/published.yaml",
            code=code("make_table"),
        output:
            csv=ensure(
                table_report(f"{TABLES}/{table}.csv", table, "data (csv)"),
                non_empty=True,
            ),
            html=table_report(f"{TABLES}/{table}.html", table, "as printed"),
            md=f"{TABLES}/{table}.md",
            tex=f"{TABLES}/{table}.tex",
        log:
            f"{RESULTS}/logs/tables/{table}.log",
        benchmark:
            f"{RESULTS}/benchmarks/tables/{table}.tsv"
        localrule: True
        conda:
            ENV
        params:
            name=table,
            option=option,
            tier=config["tier"],
        shell:
            "$PYTHON $SCRIPTS/make_table.py --name {params.name} {params.option} {input.files}"
            " --tier {params.tier} --out {output.csv} > {log} 2>&1"


for figure, (title, family, tables) in figure_sources().items():

    rule:
        name:
            figure
        input:
            tables=[f"{TABLES}/{table}.csv" for table in tables],
            code=code("make_figure"),
        output:
            report(
                f"{FIGURES}/{figure}.svg",
                caption=caption(figure),
                category=FAMILY_NAMES[family],
                subcategory="Figures",
                labels={"result": title, "format": "svg"},
            ),
            f"{FIGURES}/{figure}.png",
        log:
            f"{RESULTS}/logs/figures/{figure}.log",
        benchmark:
            f"{RESULTS}/benchmarks/figures/{figure}.tsv"
        localrule: True
        conda:
            ENV
        params:
            name=figure,
        shell:
            "$PYTHON $SCRIPTS/make_figure.py --name {params.name} --tables {input.tables}"
            " --out {output} > {log} 2>&1"


rule overview:
    input:
        metrics=expand(
            f"{RESULTS}/metrics/{{experiment}}.csv", experiment=PLAN.experiments
        ),
        data=expand(f"{DATA}/dataset.json", dataset=PLAN.datasets),
        code=code("make_overview"),
    output:
        report(
            f"{RESULTS}/overview.html",
            caption="../workflow/report/overview.rst",
            category="Overview",
            labels={"result": "What was run", "format": "html"},
        ),
    log:
        f"{RESULTS}/logs/overview.log",
    benchmark:
        f"{RESULTS}/benchmarks/overview.tsv"
    conda:
        ENV
    shell:
        "$PYTHON $SCRIPTS/make_overview.py --metrics {input.metrics} --data {input.data} --out {output} > {log} 2>&1"


rule resolved_config:
    output:
        f"{RESULTS}/config.json",
    log:
        f"{RESULTS}/logs/resolved_config.log",
    benchmark:
        f"{RESULTS}/benchmarks/resolved_config.tsv"
    conda:
        ENV
    params:
        content=json.dumps(config, indent=2, sort_keys=True),
    shell:
        "printf '%s\\n' {params.content:q} > {output} 2> {log}"


rule report:
    input:
        files=report_files(),
        captions=CAPTION_FILES,
        template=f"{CAPTIONS}/report.html.j2",
        code=code("make_report"),
    output:
        REPORT,
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    conda:
        ENV
    params:
        structure=json.dumps(report_structure()),
    shell:
        "$PYTHON $SCRIPTS/make_report.py --structure {params.structure:q} --out {output} > {log} 2>&1"


# Snakemake's own report: rules, their graph and run times. A rule that calls it lets it be a target
# like any other. The inner call reads only, so it needs no lock.
rule workflow_report:
    input:
        shown=shown(),
        config=f"{RESULTS}/config.json",
        captions=CAPTION_FILES,
    output:
        WORKFLOW_REPORT,
    log:
        f"{RESULTS}/logs/workflow_report.log",
    benchmark:
        f"{RESULTS}/benchmarks/workflow_report.tsv"
    conda:
        ENV
    params:
        snakefile=workflow.main_snakefile,
    shell:
        "python -m snakemake --snakefile {params.snakefile} --configfile {input.config} --nolock"
        " --report {output} -- {input.shown} > {log} 2>&1"
