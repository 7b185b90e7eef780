"""Readers of public data sets from the files that their authors publish; nothing is downloaded."""
