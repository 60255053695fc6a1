"""From delivered batches to stepped, published and committed records."""
