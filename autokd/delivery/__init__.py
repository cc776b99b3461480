"""From a study to a student in use: the pipeline file, training at full length, the student bundle, predictions."""
