"""What a person looks at: windows, videos, panels, pictures."""
