"""The dataset of a run: its files, its card, exports at any time, and the upload to the hub."""
