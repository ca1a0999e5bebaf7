"""Request and response shapes of quarantine. Instants are UTC with offset; temperatures °C."""
