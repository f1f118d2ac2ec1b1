"""WHAT A PERSON SEES: panels, rendering, session. The only package that imports streamlit and folium."""
