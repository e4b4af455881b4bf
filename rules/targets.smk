# A misspelt target is answered with the nearest: Snakemake itself looks at targets after it has read
# this, and knows of no nearest.
if workflow.is_main_process:
    _rules = [rule.name for rule in workflow.rules]
    _targets = checks.given_targets(sys.argv[1:], _rules)
    _or_exit(checks.check_targets, _targets, _rules, GRAPH.producers)
