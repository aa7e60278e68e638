"""Parity: where TensorFlow differs from linreg, and from itself."""
