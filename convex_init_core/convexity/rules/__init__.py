"""The rule of each operation: what is known of its result, from what is known of its inputs."""
