"""Real input walks through the whole house: nothing here looks inside a service, all goes through its doors."""
