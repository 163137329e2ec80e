"""The pytest glue. Only this room imports pytest; what a run is and does lies in session/, which knows no pytest.

hooks.py       the hooks, nothing else; each hands over in a few lines
options.py     command line and ini options
hookspecs.py   what third parties may implement
keys.py        stash keys
setup.py       what the hooks do, in the order pytest calls them
header.py      what is shown before a run, and --mlperf-plan
nodes.py       runs, and finished runs, as pytest nodes
tree_nodes.py  a submission tree as pytest nodes
fixtures.py    what users' own tests may ask for
recorder.py    the tests' reports to accounts; exit status, summary
neighbours.py  what pytest-xdist and pytest-timeout need
"""
