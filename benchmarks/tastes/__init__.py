"""Data of known outcome for recommendations: MovieLens-100K, and a cinema of known tastes."""
