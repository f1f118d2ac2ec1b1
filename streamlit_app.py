"""The map: `streamlit run streamlit_app.py`, or with a store of its own: `… streamlit_app.py -- --store PATH`."""

from __future__ import annotations

from app.page import main

if __name__ == "__main__":
    main()
