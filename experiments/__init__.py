"""Experiments: the paper's figures and tables, and ours, each declared in one file and run by one command.

``python -m experiments list | run NAME | report``; see README.md.
"""
