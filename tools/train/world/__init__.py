"""world - the drawn world that the pack is trained on: figures, places and camera moves, rendered by numpy."""
from .canvas import HEIGHT, WIDTH
from .clip import (FPS, caption, caption_free, figures_all, looks_all, phrase, reference_caption, render, render_reference,
                   spec_numbered, spec_random)
