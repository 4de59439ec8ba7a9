"""A double of Stripe over HTTP, for tests and for `bin/serve --with-stripe-double`.

It speaks the part of the API that cinema uses: payment intents, charges, refunds, disputes,
events, signed webhooks, idempotency keys, and the test cards of Stripe's documentation. Its state
is in memory. A contract test holds it to the types of the official library.
"""
