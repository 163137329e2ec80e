"""The pytest glue. Only this room imports pytest; hooks are short and call the objects beside them.

hooks.py       the hooks, nothing else
options.py     command line and ini options
hookspecs.py   what third parties may implement
keys.py        stash keys
planning.py    options and YAML to AuditRuns; every mistake a user can make surfaces here
endpoint.py    a part of it: the endpoint as YAML and command line name it
sources.py     a part of it: the data sets
groups.py      a part of it: the phases in their order
judging.py     phases on disk to a verdict, for live runs and for rechecks
environment.py what files say of the machine
mlperf_files.py which of MLPerf's files a run leaves
results/       --mlperf-results: a submission tree as tests
recheck/       --mlperf-recheck: one of our runs as tests
run.py         AuditRun: one YAML; its phases run once, whoever asks
collection.py  an AuditRun as pytest nodes
fixtures.py    what users' own tests may ask for
session.py     what exists once a run: report directory, simulated endpoint, display
locks.py       of an endpoint and of a report directory, between processes
signals.py     SIGTERM as Ctrl-C
third_party.py calls into audits' own code, whose defects become messages
report_dir.py  claiming a report directory without losing what is in it
recorder.py    outcomes to verdict, files, exit status and summary
display.py     progress on a terminal or in a log
terminal.py    lines of the terminal summary
plan_view.py   --mlperf-plan
"""
