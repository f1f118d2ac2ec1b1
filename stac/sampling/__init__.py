"""Series of locations for pre-training: where and when to look, gathering them, reading published ones."""
