"""The rules of this service: what is a signal, when signals make an alert, how an alert lives."""
