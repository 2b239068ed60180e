"""The direct way to a provider: LiteLLM writes a request once, and we send it many times.

LiteLLM's own call costs several milliseconds of CPU for each request, nearly all of it for what a run does
not need. Two requests of a run differ only in their texts and their seed. So for each shape of request,
LiteLLM writes one with marks in place of these (`writing`), which becomes a template (`template`). Every
request is the template with its own texts, sent over connections with LiteLLM's settings (`sending`). So the
address, the headers, the key and the parameters are LiteLLM's, whatever the provider. `reading` reads the
answer; `asking` brings these together.

Where this is not possible, a request goes through LiteLLM's call. `possible` knows that in advance for
providers that sign their requests or use keys with a lifetime, and `writing` finds it out for the rest.
"""
