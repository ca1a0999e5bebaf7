"""What browsers send."""
