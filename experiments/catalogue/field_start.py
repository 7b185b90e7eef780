"""Why a start of the field is ahead or behind: its tangent kernel, kinks, scales and gradients."""

from experiments.experiment import Experiment
from experiments.field.start_cells import execute, report, runs

EXPERIMENT = Experiment("field_start", "The field: what its starts are like", runs, execute, report)
