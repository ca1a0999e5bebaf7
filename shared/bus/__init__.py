"""The event log behind a port: Apache Kafka, or the same log kept in PostgreSQL."""
