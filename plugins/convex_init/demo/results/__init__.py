"""What came of the demo: the record that is written to JSON, and the table and the picture made from it."""
