"""The commands about a pipeline and a trained student: train it, export it, use it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from autokd.cli.console.output import out
from autokd.cli.options import Json, Printing
from autokd.options import Device, FullTraining, ModelExport, NewInputs, Option


def train(training: FullTraining, show: Printing) -> None:
    """Train a pipeline at full length and write the student bundle. Run it again to resume."""
    from autokd.cli import progress

    folder = Path(training.pipeline).with_suffix("") if training.out is None else Path(training.out)
    with progress.shown(quiet=show.quiet) as notify, progress.logging_to_stderr(verbose=show.verbose):
        from autokd import api
        from autokd.cli.console.students import trained

        metrics = api.train(**{**vars(training), "notify": notify})
    out(trained(folder, metrics, as_json=show.as_json))


def export_model(asked: ModelExport, show: Printing) -> None:
    """Write a trained student for another runtime or tool: ONNX, torch.export and others."""
    from autokd.cli import progress

    with progress.logging_to_stderr(verbose=show.verbose):
        from autokd import api
        from autokd.cli.console.students import exported

        written = api.export_model(**vars(asked))
    out(exported(written, as_json=show.as_json))


def predict(
    folder: Annotated[Path, Option("A student bundle.", argument=True)],
    inputs: Annotated[list[Path], Option("Images, folders of images, or tables.", argument=True)],
    reading: NewInputs,
    output: Annotated[
        Path | None, Option("Write a CSV file instead of printing a table.", flags=("--output", "-o"))
    ] = None,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Predict the labels of new inputs, with probabilities."""
    from autokd.cli import progress
    from autokd.cli.console.students import predictions
    from autokd.delivery.predict import predict as label
    from autokd.files import check_writable
    from autokd.search.run import pick_device

    if output is not None:
        check_writable(output.parent, "give another file with -o")
    with progress.logging_to_stderr():
        frame = label(folder, inputs, device=pick_device(device), **vars(reading))
    out(predictions(frame, output, as_json=as_json))
