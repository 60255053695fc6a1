"""From scores to alerts: materiality, risk, incidents, lifecycle."""
