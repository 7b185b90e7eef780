"""What is measured on the example inputs, and set by what was found."""
