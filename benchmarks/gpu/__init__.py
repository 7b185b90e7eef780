"""What has to be measured on an accelerator, in one command: ``python -m benchmarks.gpu --minutes 12 --out DIR``."""
