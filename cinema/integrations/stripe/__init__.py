"""Payments by Stripe: its API, the signatures of its webhooks, and a double to try both with."""
