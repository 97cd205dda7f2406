"""Device to log: an MQTT session, envelopes, and a bridge that appends before it acknowledges."""
