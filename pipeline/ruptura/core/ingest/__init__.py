"""From records to closed buckets: decoded, in time, each event once. Knows no detection."""
