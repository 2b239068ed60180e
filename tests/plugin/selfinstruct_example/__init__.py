"""An example of a plug-in of each sort; tests/test_plugins.py installs it and uses it by name."""
