"""The pure core: reports in, passes and figures out. No I/O, no clock, no environment; a test proves it."""
