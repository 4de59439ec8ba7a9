"""Work that outlives its request: asked for in a transaction, done by any node, resumable."""
