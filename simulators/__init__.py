"""Truth to device: a made-up district, true motion, a receiver, a channel, and devices over real MQTT."""
