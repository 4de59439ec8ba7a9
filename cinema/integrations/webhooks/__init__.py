"""Webhooks to addresses that strangers have named: sent nowhere but to the public network.

docs/adr/065-events-for-partners.md says why.
"""
