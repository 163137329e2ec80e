"""Ids, outputs and headers of all phases as evidence of a cache, beside the times.

replies    replies in the order they were sent, each with its id and output
borrowed   a reply that has the identity of one to another request
replays    a reply that has the identity of an earlier one to the same request
headers    replies that say in their headers that they come from a cache
models     rows that are answered under another model's name
known      rows that were fast before they were repeated
identity   what all these come to
"""
