"""Windows, videos, panels, pictures."""
