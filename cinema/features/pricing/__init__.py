"""Price books, promo codes, and what tickets would cost."""
