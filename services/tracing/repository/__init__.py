"""Every query of tracing, and nothing but queries."""
