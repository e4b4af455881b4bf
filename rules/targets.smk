# A misspelt target is answered with the nearest. Targets stand behind the lone --; Snakemake itself
# has not looked at them when it reads this.
if workflow.is_main_process and "--" in sys.argv:
    _targets = sys.argv[sys.argv.index("--") + 1 :]
    _or_exit(checks.check_targets, _targets, [rule.name for rule in workflow.rules])
