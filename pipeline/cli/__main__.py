"""`python -m pipeline.cli`: the command without its console script, for child processes."""

from pipeline.cli.main import run

if __name__ == "__main__":
    run()
