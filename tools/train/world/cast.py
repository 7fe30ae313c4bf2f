"""cast - the figures: monsters of three bodies, and products on a pedestal.

A figure's look is what its phrase says (colour, body or product, hat) and, beyond words, a pattern in a second colour:
only a reference image can say which.
"""
import numpy as np
from .canvas import Sprite, box, capsule, circle, convex, ellipse, keep, rgb

COLOURS = {"red": rgb(.88, .20, .18), "yellow": rgb(.98, .80, .16), "green": rgb(.22, .68, .30),
           "blue": rgb(.17, .42, .90), "purple": rgb(.56, .28, .78)}
SECONDS = {**COLOURS, "white": rgb(.97, .96, .94), "orange": rgb(.97, .55, .14), "dark": rgb(.17, .17, .25)}
ALIKE = [{"red", "orange"}, {"yellow", "orange"}, {"blue", "purple"}, {"red", "purple"}]
BODIES = ["round", "square", "tall"]
HATS = ["none", "crown", "top hat"]
PATTERNS = ["belly", "trousers", "sash"]
ACTIONS = ["standing", "walking left", "walking right", "jumping", "waving"]
PRODUCTS = ["cup", "bottle"]
PRODUCT_PATTERNS = ["band", "dip"]
SIZE = .62              # of a monster, in units
WHITE, INK = rgb(.98, .98, .97), rgb(.10, .09, .14)


def seconds_of(colour):
    """The second colours that differ clearly from a main colour."""
    return [c for c in SECONDS if c != colour and {c, colour} not in ALIKE]


def pose_of(action, seconds):
    """How the limbs stand at each moment: a dict of arrays [frames, 1, 1], but lift [frames]."""
    n = len(seconds)
    turn = 2 * np.pi * seconds[:, None, None]
    rest = np.full((n, 1, 1), -1.05, np.float32)
    pose = {"stretch": .015 * np.sin(turn * .5), "lift": np.zeros(n, np.float32), "stride": np.zeros((n, 1, 1), np.float32),
            "left": rest, "right": rest, "look": 0.}
    if action.startswith("walking"):
        pose["stride"] = .11 * np.sin(turn * .7)
        pose["lift"] = (.015 * (1 - np.cos(2 * turn * .7)) / 2)[:, 0, 0]
        pose["stretch"] = np.zeros((n, 1, 1), np.float32)
        pose["left"], pose["right"] = -1.05 + .28 * np.sin(turn * .7), -1.05 - .28 * np.sin(turn * .7)
        pose["look"] = -.11 if action.endswith("left") else .11
    elif action == "jumping":
        up = (1 - np.cos(turn * .5)) / 2
        pose["lift"] = (.18 * up)[:, 0, 0]
        pose["stretch"] = -.04 * np.cos(turn * .5)
        pose["left"] = pose["right"] = -.45 + .9 * up
    elif action == "waving":
        pose["right"] = .95 + .38 * np.sin(turn * .5)
    return pose


def body_distance(shape, u, v):
    """Distance to the body, its top, half the distance of the eyes and their height."""
    if shape == "round":
        return circle(u, v, 0, .52, .38), .88, .140, .62
    if shape == "square":
        return box(u, v, 0, .52, .35, .35, .10), .86, .145, .64
    return capsule(u, v, 0, .38, 0, .78, .24), 1.00, .110, .76


def pattern_distance(pattern, u, v, middle):
    """Distance to the part of a body that has the second colour."""
    if pattern == "belly":
        return ellipse(u, v, 0, .35, .235, .19)
    if pattern == "trousers":
        return v - .40
    return np.abs((v - middle + .15) - .55 * u) - .115


def shade(s, mask, u, v, top):
    """Light from above: the lower part of a body is a little darker, and there is a soft shine on its shoulder."""
    s.wash(mask * np.clip((.50 - v) / .55, 0, 1) * .26, rgb(.10, .06, .20))
    shine = np.clip(1 - (((u + .13) / .22) ** 2 + ((v - top + .17) / .17) ** 2), 0, 1)
    s.wash(mask * shine * .30, WHITE)


def draw_monster(frames, camera, figure, x, action, seconds, tint=keep, y=0., size=SIZE):
    """Draws one monster {"shape", "colour", "hat", "pattern", "second"}. Returns its coverage [frames, height, width]."""
    pose = pose_of(action, seconds)
    s = Sprite(frames, camera, x, y + pose["lift"] * size, size, .84, -.10, 1.40)
    colour, second = COLOURS[figure["colour"]], SECONDS[figure["second"]]
    limb, outline = colour * .78, colour * .50
    shoe = second * .9 if figure["pattern"] == "trousers" else limb
    u, v = s.u / (1 - .5 * pose["stretch"]), s.v / (1 + pose["stretch"])
    look = pose["look"]
    for side in (-1, 1):
        stride = -side * pose["stride"]
        foot_y = .06 + np.abs(stride) * .2
        s.paint(capsule(u, v, side * .15, .24, side * .15 + stride, foot_y + .02, .085), shoe * .9)
        s.outlined(ellipse(u, v, side * .165 + stride + .35 * look, foot_y, .125, .080), shoe, shoe * .64)
    for side, angle in ((-1, pose["left"]), (1, pose["right"])):
        ax = side * (.20 if figure["shape"] == "tall" else .31)
        bx, by = ax + side * .26 * np.cos(angle), .50 + .27 * np.sin(angle)
        s.paint(capsule(u, v, ax, .50, bx, by, .078), limb)
        s.outlined(circle(u, v, bx, by, .098), colour, outline)
    body, top, eye_x, eye_y = body_distance(figure["shape"], u, v)
    mask = s.outlined(body, colour, outline, .030)
    s.paint(pattern_distance(figure["pattern"], u, v, .52), second, mask)
    shade(s, mask, u, v, top)
    for side in (-1, 1):
        ex = side * eye_x + look
        s.outlined(circle(u, v, ex, eye_y, .118), WHITE, outline, .014)
        s.paint(circle(u, v, ex + .35 * look, eye_y - .005, .066), INK)
    mouth = np.maximum(np.abs(circle(u, v, look, eye_y - .125, .085)) - .024, v - (eye_y - .155))
    s.paint(mouth, rgb(.20, .07, .12))
    draw_hat(s, u, v, figure["hat"], top)
    return s.composite(tint)


def draw_hat(s, u, v, hat, top):
    if hat == "crown":
        teeth = top + .08 + .15 * np.abs(((u / .18 + .5) % 1) - .5) * 2
        d = np.maximum(np.abs(u) - .26, np.maximum(top - .07 - v, v - teeth))
        s.outlined(d, rgb(1., .82, .22), rgb(.72, .50, .10))
        s.paint(circle(u, v, 0, top + .03, .055), rgb(.86, .20, .26))
    elif hat == "top hat":
        d = np.minimum(box(u, v, 0, top + .13, .20, .16, .03), box(u, v, 0, top - .02, .33, .05, .05))
        s.outlined(d, rgb(.20, .18, .27), rgb(.09, .08, .13))
        s.paint(box(u, v, 0, top + .075, .20, .05), rgb(.86, .82, .80))


def draw_shadow(frames, camera, x, r):
    s = Sprite(frames, camera, x, 0., 1., r * 1.2, -.08, .08)
    near = np.clip(1 - ((s.u / r) ** 2 + (s.v / .055) ** 2), 0, 1)
    s.wash(near * .38, rgb(.05, .05, .14))
    s.composite()


def draw_product(frames, camera, figure, x, tint=keep, y=0., size=.54):
    """Draws a product {"product", "colour", "pattern", "second"} alone. Returns its coverage."""
    s = Sprite(frames, camera, x, y, size, .66, -.06, 1.16)
    u, v, colour, second = s.u, s.v, COLOURS[figure["colour"]], SECONDS[figure["second"]]
    outline = colour * .50
    if figure["product"] == "bottle":
        neck = np.minimum(box(u, v, 0, .78, .11, .18), convex(u, v, [(-.26, .56), (.26, .56), (.11, .80), (-.11, .80)]))
        mask = s.outlined(np.minimum(box(u, v, 0, .32, .27, .32, .09), neck), colour, outline, .030)
        top, middle = .70, .34
    else:
        s.outlined(np.abs(circle(u, v, .33, .40, .17)) - .055, colour * .85, outline)
        mask = s.outlined(convex(u, v, [(-.27, .04), (.27, .04), (.35, .72), (-.35, .72)]) - .03, colour, outline, .030)
        top, middle = .74, .38
    s.paint(np.abs(v - middle) - .12 if figure["pattern"] == "band" else v - middle, second, mask)
    shade(s, mask, u, v, top)
    if figure["product"] == "bottle":
        s.outlined(box(u, v, 0, .98, .14, .075, .03), second * .85, second * .5)
    else:
        s.outlined(ellipse(u, v, 0, .74, .365, .085), rgb(.38, .24, .15), outline)
    return s.composite(tint)


def draw_pedestal(frames, camera, x, height, width, tint=keep):
    s = Sprite(frames, camera, x, 0., 1., width * 1.3, -.18, height + .12)
    stone = rgb(.92, .90, .88)
    foot = ellipse(s.u, s.v, 0, -.06, width, .05)
    s.paint(np.minimum(foot, np.maximum(np.abs(s.u) - width, np.maximum(-.06 - s.v, s.v - height))), stone * .80)
    s.paint(ellipse(s.u, s.v, 0, height, width, .05), stone)
    return s.composite(tint)
