"""Pictures of the dashboards, drawn without Grafana from the same files and the same queries."""
