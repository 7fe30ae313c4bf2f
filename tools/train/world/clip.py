"""clip - one drawn shot: what it shows (a spec), its frames, and its caption.

What happens depends on the time since the shot began and on nothing else, so a short clip is the beginning of a long one.
"""
import numpy as np
from . import cast, places
from .canvas import HEIGHT, WIDTH, f32

FPS = 8
SIZES = ["wide", "medium"]
CAMERAS = ["static", "pan left", "pan right", "zoom in"]
ZOOM = {"wide": .84, "medium": 1.14}
CENTRE = {"wide": .41, "medium": .40}
WALK, PAN, ZOOM_RATE = .12, .075, .065      # a second: screen heights, screen heights, share

PLACE_WORDS = {"beach": "on the beach", "forest": "in the forest", "desert": "in the desert", "snow": "in the snow"}
LIGHT_WORDS = {"day": "by day", "night": "at night"}
SIZE_WORDS = {"wide": "wide shot", "medium": "medium shot"}
CAMERA_WORDS = {"static": "static camera", "pan left": "camera pans left", "pan right": "camera pans right",
                "zoom in": "camera zooms in"}
REFERENCE_SUFFIX = ", on a white background"


# other words for the same, for captions in free wording; the first of each list is the form that the coordinator writes
OTHER = {"monster": ["monster", "monster", "creature", "character"], "cup": ["cup", "cup", "mug"],
         "standing": ["standing", "stands still", "waiting"], "walking left": ["walking left", "walks to the left"],
         "walking right": ["walking right", "walks to the right"], "jumping": ["jumping", "jumps up and down", "hopping"],
         "waving": ["waving", "waves hello", "waving a hand"], "on display": ["on display", "on a pedestal"],
         "beach": ["on the beach", "at the seaside", "by the sea"], "forest": ["in the forest", "in the woods", "among the trees"],
         "desert": ["in the desert", "among the dunes"], "snow": ["in the snow", "in snowy mountains"],
         "day": ["by day", "in daylight", "on a sunny day"], "night": ["at night", "in the dark", "by moonlight"],
         "wide": ["wide shot", "wide view"], "medium": ["medium shot", "medium view"],
         "static": ["static camera", "still camera"], "pan left": ["camera pans left", "pan to the left"],
         "pan right": ["camera pans right", "pan to the right"], "zoom in": ["camera zooms in", "zoom in"]}


def look_random(rng, figure):
    """Gives a figure the part of its look that words cannot name."""
    patterns, seconds = patterns_of(figure), cast.seconds_of(figure["colour"])
    return {**figure, "pattern": patterns[rng.randint(len(patterns))], "second": seconds[rng.randint(len(seconds))]}


def patterns_of(figure):
    return cast.PRODUCT_PATTERNS if "product" in figure else cast.PATTERNS


def figure_random(rng, product_odds=.2):
    colour = list(cast.COLOURS)[rng.randint(len(cast.COLOURS))]
    if rng.rand() < product_odds:
        return look_random(rng, {"product": cast.PRODUCTS[rng.randint(len(cast.PRODUCTS))], "colour": colour})
    return look_random(rng, {"shape": cast.BODIES[rng.randint(3)], "colour": colour, "hat": cast.HATS[rng.choice(3, p=[.4, .3, .3])]})


def figures_all():
    """Every figure that a phrase can name, in a fixed order."""
    monsters = [{"shape": s, "colour": c, "hat": h} for s in cast.BODIES for c in cast.COLOURS for h in cast.HATS]
    return monsters + [{"product": p, "colour": c} for p in cast.PRODUCTS for c in cast.COLOURS]


def looks_all():
    """Every figure with every pattern and second colour, in a fixed order."""
    return [{**f, "pattern": p, "second": s} for f in figures_all() for p in patterns_of(f) for s in cast.seconds_of(f["colour"])]


def spec_random(rng):
    figure = figure_random(rng)
    return {"figure": figure, "place": places.PLACES[rng.randint(4)], "light": places.LIGHTS[rng.randint(2)],
            "size": SIZES[rng.randint(2)], "camera": CAMERAS[rng.choice(4, p=[.34, .22, .22, .22])],
            "action": "on display" if "product" in figure else cast.ACTIONS[rng.randint(5)], "x": float(rng.uniform(-.09, .09))}


def spec_numbered(seed, index):
    return spec_random(np.random.RandomState((seed * 1000003 + index) % 2 ** 32))


def phrase(figure):
    if "product" in figure:
        return f"a {figure['colour']} {figure['product']}"
    hat = "" if figure["hat"] == "none" else " with a " + figure["hat"]
    return f"a {figure['colour']} {figure['shape']} monster{hat}"


def caption(spec):
    """The painter's prompt, in the very form that the coordinator writes."""
    return (f"{SIZE_WORDS[spec['size']]} of {phrase(spec['figure'])} {spec['action']}, {PLACE_WORDS[spec['place']]}, "
            f"{LIGHT_WORDS[spec['light']]}, {CAMERA_WORDS[spec['camera']]}")


def caption_free(spec, rng):
    """The same in other words and sometimes in another order, as people write."""
    say = lambda key: OTHER[key][rng.randint(len(OTHER[key]))]
    who = phrase(spec["figure"])
    for word in ("monster", "cup"):
        who = who.replace(word, say(word))
    if rng.rand() < .3:
        who = who.replace(" with a ", " wearing a ")
    does, where, when = f"{who} {say(spec['action'])}", say(spec["place"]), say(spec["light"])
    size, camera = say(spec["size"]), say(spec["camera"])
    return [f"{size} of {does}, {where}, {when}, {camera}", f"{does} {where} {when}, {size}, {camera}",
            f"{where} {when}, {does}, {camera}, {size}", f"{does}, {where}, {when}"][rng.randint(4)]


def render(spec, frames=17):
    """Frames [n, HEIGHT, WIDTH, 3] and the figure's coverage [n, HEIGHT, WIDTH], both float32 in 0..1."""
    seconds = np.arange(frames, dtype=f32) / FPS
    base = ZOOM[spec["size"]]
    action, move = spec["action"], spec["camera"]
    x = np.full(frames, spec["x"] / base, f32)
    if action.startswith("walking"):
        x = x + (-1 if action.endswith("left") else 1) * (-.21 + WALK * seconds) / base
    cx, cy, zoom = np.zeros(frames, f32), np.full(frames, CENTRE[spec["size"]], f32), np.full(frames, base, f32)
    if move.startswith("pan"):
        cx = (-1 if move.endswith("left") else 1) * (-.13 + PAN * seconds) / base
    elif move == "zoom in":
        zoom = base * .90 * np.exp(ZOOM_RATE * seconds)
    still = move == "static"
    stage = (cx[:1], cy[:1], zoom[:1]) if still else (cx, cy, zoom)
    picture = places.draw_place(stage, spec["place"], spec["light"])
    if still:
        picture = np.repeat(picture, frames, 0)
    camera, tint = (cx, cy, zoom), places.tint_of(spec["light"], .26)
    figure = spec["figure"]
    if "product" in figure:
        cast.draw_shadow(picture, camera, x, .38)
        cast.draw_pedestal(picture, camera, x, .12, .29, tint)
        cover = cast.draw_product(picture, camera, figure, x, tint, y=.12)
    else:
        cast.draw_shadow(picture, camera, x, .26)
        cover = cast.draw_monster(picture, camera, figure, x, action, seconds, tint)
    return np.clip(picture, 0, 1), cover


def render_reference(figure):
    """A figure alone, centred on a white canvas: one frame and its coverage."""
    picture, camera = np.ones((1, HEIGHT, WIDTH, 3), f32), (f32([0]), f32([.45]), f32([1.]))
    if "product" in figure:
        cover = cast.draw_product(picture, camera, figure, 0., y=.10, size=.66)
    else:
        cover = cast.draw_monster(picture, camera, figure, 0., "standing", f32([0]), y=.06, size=.66)
    return np.clip(picture, 0, 1), cover


def reference_caption(figure):
    return phrase(figure) + REFERENCE_SUFFIX
