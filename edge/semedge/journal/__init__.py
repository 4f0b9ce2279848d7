"""The journal: events and their deliveries, scores, settings and the audit trail."""
