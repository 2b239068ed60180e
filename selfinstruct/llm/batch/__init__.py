"""Batches: a provider answers many requests within a day, at half the price (`model.batch=true`).

LiteLLM writes each request as in the direct way; the bodies become the lines of a file. `services` has what
a provider must offer: to upload the file, to make a batch of it, to look at the batch, and to give its
results. `openai` (with Azure), `anthropic` and `gemini` have the ways of the providers, over the direct
way's connections (`wire`). `batches` has the open batches of a stage: the `outbox` gathers requests, which
`parcels` divides, and waits while the provider's queue is `full`; `follow` brings one batch to its end, and
the `inbox` gives each request its reply. `stored` has what the journal keeps of a batch, so that a later
start picks it up, and `still_open` says so wherever a user looks at the run. `possible` knows, without
LiteLLM, which models can be asked so.

To add a provider, write a `Service` for it, and name it in `possible.LIMITS` and in `services.service_of`.
"""
