"""Bad days: processes killed, servers gone, poison on the log; judged by the client's ledger."""
