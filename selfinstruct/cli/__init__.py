"""The command line: the verbs, the Hydra application, and where errors become messages."""
