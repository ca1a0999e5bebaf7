"""What at least two services use, and nothing that knows a service."""
