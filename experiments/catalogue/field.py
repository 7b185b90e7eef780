"""The field: what people use input-convex networks for, every start in use and ours, each at its best rate."""

from experiments.experiment import Experiment
from experiments.field.cells import execute, runs
from experiments.field.report import report

EXPERIMENT = Experiment("field", "The field: tasks of input-convex networks, and their starts", runs, execute, report)
