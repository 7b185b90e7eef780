"""Golden files: the plans, certificates and weights that a fixed set of models gets, kept to be compared with.

What is recorded lies in ``recorded/``, a file for each set of models. ``tests/<framework>/golden`` names the models and
records them; the tests and the command that writes the files, ``python -m tests.golden.update``, share that code. A
golden file does not say what is right, only what was: where a change is meant, write it anew and read the diff.
"""
