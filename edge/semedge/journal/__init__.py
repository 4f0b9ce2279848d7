"""What is stored: events and their deliveries, scores, settings and the audit trail."""
