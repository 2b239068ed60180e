"""The direct way to a provider: LiteLLM writes a request once, and it is sent many times."""
