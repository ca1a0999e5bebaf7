"""PostgreSQL: engine, embedded server, read session, unit of work, migrations."""
