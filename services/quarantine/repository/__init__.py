"""Every query of this service, and nothing but queries."""
