"""`python -m pipeline.cli`: the command without its console script."""

from pipeline.cli.main import run

run()
