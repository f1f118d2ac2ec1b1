"""WHERE AND WHEN: catalogs, items, bands, the chip lattice, cubes, and the simulated archive.

Nothing here imports torch, faiss or streamlit. The flow is `catalog` (find items) → `items` (scenes: resolved,
harmonised, deduplicated) → `lattice` (blocks of locations) → `read` (a block's pixels) → `cube` (the contract).
"""
