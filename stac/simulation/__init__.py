"""The simulated archive's generator: rules and constants of an invented Sentinel-2 (see `stac.simulate`, the way in).

No pixel of real imagery is in it. Two faces draw with the same rules: `stac.simulate` writes archives with NumPy, and
`encoder.stream` draws series in batches with torch.
"""
