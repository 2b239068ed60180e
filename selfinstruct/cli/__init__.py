"""The command line: the verbs, the Hydra application, and the place where errors become messages."""
