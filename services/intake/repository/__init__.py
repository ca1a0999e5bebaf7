"""Every query of intake, and nothing but queries."""
