"""Real input walks through the whole house, in and out by its doors alone."""
