"""Webhooks: public events, sent to partners in the order of each booking."""
