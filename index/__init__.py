"""WHAT CHANGED LIKE WHAT: observations, events, store, search, build. The only package that imports faiss."""
