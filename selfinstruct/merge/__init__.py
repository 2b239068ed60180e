"""The verb `merge`: runs of one shape as one run, their records compared with each other."""
