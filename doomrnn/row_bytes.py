"""What an episode at once in a rank takes of its memory; light, to be known before TensorFlow."""

# A game is a process of 20 MB, a dream its noise, latents and M's layers.
ROW_BYTES = {"doomreal": 21e6, "doomrnn": 80e3}
GAMES = 32  # at once in a rank
