"""What an operator types: credentials, migrations, dead letters. Knows no single service."""
