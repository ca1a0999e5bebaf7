"""What should be, worked out without any of our code: plain Python over plain values."""
