"""Digits: from handwriting to a served model.

python run.py [task=...] [group=option ...] [key=value ...]

  python run.py                            train on the scans that ship inside
  python run.py data=mnist model=lenet     other parts
  python run.py optimizer.lr=0.003         another value
  python run.py model=linear,mlp,tiny -m   one run for each
  python run.py task=check trainer=gpu     validate a composition, run nothing
  python run.py resume=<run id>            go on with a run that was stopped
  python run.py reproduce=<run id>         train a recorded run again, compare the numbers
  python run.py task=evaluate              how good a model is: one page with pictures
  python run.py task=explain               where it looks
  python run.py task=promote               make it the champion, if the gate lets it pass
  python run.py task=serve                 answer over HTTP, with a page to draw on
  python run.py task=deploy action=apply   the same in the background, until action=destroy
  python run.py task=data                  keep the data as versions
  python run.py task=active                what labels it takes, by ways of choosing them
  python run.py task=loop                  one turn: drift, labels, retraining, gate, canary
  python run.py task=pipeline              data to deployment as a Kubeflow pipeline
  python run.py task=lineage               where the model comes from, what came of it
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("hydra") is None:
    sys.exit(
        f"{sys.executable} lacks Hydra: type scripts/run in place of python run.py, which sets up "
        f"what is missing, or first: . .venv/bin/activate"
    )

from digits.config.help import ASKED, help_text
from digits.contract import switches

switches.apply()

if __name__ == "__main__" and not ASKED.isdisjoint(sys.argv[1:]):
    print(help_text(__doc__ or "", Path(__file__).parent / "conf"))
    sys.exit()

import hydra  # noqa: E402  (the switches precede every library; help needs none)
from omegaconf import DictConfig  # noqa: E402

from digits.config import resolvers  # noqa: E402
from digits.tasks.sweeps import multirun  # noqa: E402

resolvers.register()

ENTRY = "digits.tasks.entry"
BAD_CONFIGURATION = 2


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> float | None:
    """Run the composed task; sweepers receive the metric that it returns."""
    from digits.tasks.entry import run  # the cheap commands end before this line

    return run(config)


if __name__ == "__main__":
    try:
        with multirun.ended():
            main()
    except SystemExit as end:
        # Hydra ends with 1 whatever happened; before a job began it can only be what was typed.
        sys.exit(BAD_CONFIGURATION if end.code == 1 and ENTRY not in sys.modules else end.code)
