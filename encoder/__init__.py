"""WHAT IT LOOKS LIKE AS NUMBERS: networks, weights, embedding. The only package that imports torch."""
