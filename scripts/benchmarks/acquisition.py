"""Seconds to score 60,000 images with the default cnn, and to choose ten or a hundred of them."""

from __future__ import annotations

import functools
import time

import numpy as np
from hydra import compose, initialize_config_dir

from digits.active.acquisition import Acquisition
from digits.active.views import Graph, Network, View, quickened, view
from digits.config import resolvers
from digits.config.instantiate import instantiate
from digits.contract.manifest import ONNX, verify
from digits.data.types import Digits
from digits.tasks.trained import trained_network
from scripts.benchmarks._results import ROOT, Results, arguments, show, spread
from scripts.benchmarks._trained import trained_bundle

#: sure of most images and torn about some, as a model is that looks at new ones
TRAINED = ["data=uci"]
DRAWS = 20
COUNTS = (10, 100)
METHODS = sorted(each.stem for each in (ROOT / "conf" / "acquisition").glob("*.yaml"))
#: those that draw nothing -> seconds in all that they may take
GOALS = dict.fromkeys(("least_confidence", "margin", "entropy", "coreset"), 10)


def acquisition(name: str) -> Acquisition:
    """Return a method as it is configured."""
    resolvers.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", ["task=select", f"acquisition={name}", "paths.output=."])
    found: Acquisition = instantiate(config.acquisition)
    return found


@functools.cache
def pool() -> Digits:
    """Return MNIST with its 60,000 training images in one split."""
    resolvers.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        overrides = ["task=select", "data=mnist", "data.validation_size=0", "paths.output=."]
        config = compose("config", overrides)
    data: Digits = instantiate(config.data).load()
    return data


def asked(method: Acquisition) -> View:
    """Return the model as `task=select` asks it for this method."""
    bundle = trained_bundle(TRAINED)
    if not method.needs:
        return Graph((bundle / ONNX).read_bytes())
    network = quickened(trained_network(bundle, verify(bundle)))
    return Network(network, method.needs, draws=DRAWS, seed=0)


def seconds(name: str, repeat: int) -> dict[str, float]:
    """Ask the model about the pool, and choose of it."""
    method, images = acquisition(name), pool().train.images
    model = asked(method)
    model(images[:500])  # first calls load code
    cpu, begin = time.process_time(), time.perf_counter()
    scored = view(model, images)
    values = {"asking": time.perf_counter() - begin}
    for count in COUNTS:
        begin = time.perf_counter()
        method.select(scored, count, generator=np.random.default_rng(repeat))
        values[f"choosing_{count}"] = time.perf_counter() - begin
    # Which other processes do not lengthen.
    return {**values, "processor": time.process_time() - cpu}


def main() -> None:
    """Measure what is missing, then print the table."""
    options = arguments(__doc__, repeats=3)
    names = ["asking", *(f"choosing_{count}" for count in COUNTS), "processor"]
    results = Results("acquisition", names, fresh=options.fresh)
    for repeat in range(options.repeats):
        for name in METHODS:
            row = functools.partial(seconds, name)
            results.measure(name, repeat, row, command="scripts/bench acquisition")
    rows = [
        [
            name,
            f"≤ {GOALS[name]} in all" if name in GOALS else "",
            *(spread(results.column(name, value)) for value in names),
        ]
        for name in METHODS
    ]
    title = f"seconds for {len(pool().train):,} images, {DRAWS} draws where some are needed"
    show(
        title,
        ["", "goal", "asking", *(f"choosing {count}" for count in COUNTS), "processor, all"],
        rows,
    )


if __name__ == "__main__":
    main()
