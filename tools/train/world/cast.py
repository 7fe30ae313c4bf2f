"""cast - the figures: monsters of three bodies, and products on a pedestal.

Everything that can be seen of a figure is said in its phrase; nothing is left to chance.
"""
import numpy as np
from .canvas import Sprite, box, capsule, circle, convex, ellipse, keep, rgb

COLOURS = {"red": rgb(.90, .17, .16), "yellow": rgb(.99, .82, .14), "green": rgb(.20, .70, .26),
           "blue": rgb(.14, .40, .92), "purple": rgb(.58, .25, .80)}
BODIES = ["round", "square", "tall"]
HATS = ["none", "crown", "top hat"]
ACTIONS = ["standing", "walking left", "walking right", "jumping", "waving"]
PRODUCTS = ["cup", "bottle"]
SIZE = .62              # of a monster, in units
WHITE, INK = rgb(1, 1, 1), rgb(.08, .07, .11)


def pose_of(action, seconds):
    """How the limbs stand at each moment: a dict of arrays [frames, 1, 1], but lift [frames]."""
    n = len(seconds)
    turn = 2 * np.pi * seconds[:, None, None]
    rest = np.full((n, 1, 1), -1.0, np.float32)
    pose = {"stretch": .02 * np.sin(turn * .8), "lift": np.zeros(n, np.float32), "stride": np.zeros((n, 1, 1), np.float32),
            "left": rest, "right": rest, "look": 0.}
    if action.startswith("walking"):
        pose["stride"] = .16 * np.sin(turn)
        pose["lift"] = (.03 * np.abs(np.cos(turn)))[:, 0, 0]
        pose["stretch"] = np.zeros((n, 1, 1), np.float32)
        pose["look"] = -.10 if action.endswith("left") else .10
    elif action == "jumping":
        phase = (seconds * .8)[:, None, None] % 1
        up = np.where(phase < .75, 4 * (phase / .75) * (1 - phase / .75), 0.)
        pose["lift"] = (.32 * up)[:, 0, 0]
        pose["stretch"] = np.where(phase < .75, .05 * up, -.13 * np.sin(np.pi * (phase - .75) / .25))
        pose["left"] = pose["right"] = -1.0 + 1.9 * up
    elif action == "waving":
        pose["right"] = .95 + .50 * np.sin(turn * .8)
    return pose


def body_distance(shape, u, v):
    """Distance to the body, its top, half the distance of the eyes and their height."""
    if shape == "round":
        return circle(u, v, 0, .52, .38), .88, .135, .60
    if shape == "square":
        return box(u, v, 0, .52, .34, .35, .09), .86, .135, .62
    return capsule(u, v, 0, .40, 0, .74, .25), .98, .105, .74


def draw_monster(frames, camera, figure, x, action, seconds, tint=keep, y=0., size=SIZE):
    """Draws one monster {"shape", "colour", "hat"}. Returns its coverage [frames, height, width]."""
    pose = pose_of(action, seconds)
    s = Sprite(frames, camera, x, y + pose["lift"] * size, size, .80, -.10, 1.36)
    colour = COLOURS[figure["colour"]]
    dark, outline, pale = colour * .66, colour * .28, colour * .55 + .45
    u, v = s.u / (1 - .5 * pose["stretch"]), s.v / (1 + pose["stretch"])
    look = pose["look"]
    for side in (-1, 1):
        stride = -side * pose["stride"]
        foot_y = .045 + np.abs(stride) * .25
        s.outlined(capsule(u, v, side * .14, .22, side * .14 + stride, foot_y + .02, .062), dark, outline)
        s.outlined(ellipse(u, v, side * .15 + stride + .4 * look, foot_y, .10, .062), dark, outline)
    for side, angle in ((-1, pose["left"]), (1, pose["right"])):
        ax = side * (.24 if figure["shape"] == "tall" else .32)
        bx, by = ax + side * .24 * np.cos(angle), .50 + .25 * np.sin(angle)
        s.outlined(capsule(u, v, ax, .50, bx, by, .058), dark, outline)
        s.outlined(circle(u, v, bx, by, .080), colour, outline)
    body, top, eye_x, eye_y = body_distance(figure["shape"], u, v)
    mask = s.outlined(body, colour, outline, .028)
    s.paint(ellipse(u, v, 0, .36, .21, .17), pale, mask)
    for side in (-1, 1):
        ex = side * eye_x + look
        s.outlined(circle(u, v, ex, eye_y, .115), WHITE, outline, .016)
        s.paint(circle(u, v, ex + .35 * look, eye_y - .005, .058), INK)
    mouth = np.maximum(np.abs(circle(u, v, look, eye_y - .13, .095)) - .020, v - (eye_y - .16))
    s.paint(mouth, rgb(.16, .05, .09))
    draw_hat(s, u, v, figure["hat"], top)
    return s.composite(tint)


def draw_hat(s, u, v, hat, top):
    if hat == "crown":
        teeth = top + .07 + .15 * np.abs(((u / .16 + .5) % 1) - .5) * 2
        d = np.maximum(np.abs(u) - .24, np.maximum(top - .07 - v, v - teeth))
        s.outlined(d, rgb(1., .80, .16), rgb(.50, .32, .04))
        s.paint(circle(u, v, 0, top + .01, .04), rgb(.90, .16, .20))
    elif hat == "top hat":
        d = np.minimum(box(u, v, 0, top + .13, .19, .16), box(u, v, 0, top - .03, .31, .035, .03))
        s.outlined(d, rgb(.15, .14, .20), rgb(.03, .03, .05))
        s.paint(box(u, v, 0, top + .045, .19, .04), rgb(.92, .90, .88))


def draw_shadow(frames, camera, x, r):
    s = Sprite(frames, camera, x, 0., 1., r * 1.2, -.08, .08)
    s.paint(ellipse(s.u, s.v, 0, 0, r, .035), rgb(.05, .05, .12), alpha=.28)
    s.composite()


def draw_product(frames, camera, figure, x, tint=keep, y=0., size=.54):
    """Draws a product {"product", "colour"} alone. Returns its coverage."""
    s = Sprite(frames, camera, x, y, size, .62, -.06, 1.12)
    u, v, colour = s.u, s.v, COLOURS[figure["colour"]]
    outline, pale = colour * .28, rgb(.99, .98, .95)
    if figure["product"] == "bottle":
        body = np.minimum(box(u, v, 0, .33, .23, .33, .08),
                          np.minimum(box(u, v, 0, .76, .085, .18), convex(u, v, [(-.22, .58), (.22, .58), (.085, .78), (-.085, .78)])))
        mask = s.outlined(body, colour, outline, .028)
        s.outlined(box(u, v, 0, .96, .11, .065, .02), colour * .6, outline)
        s.paint(box(u, v, 0, .33, .30, .14), pale, mask)
        s.paint(circle(u, v, 0, .33, .085), colour, mask)
    else:
        handle = np.abs(circle(u, v, .32, .42, .17)) - .045
        s.outlined(handle, colour * .85, outline)
        mask = s.outlined(convex(u, v, [(-.25, .02), (.25, .02), (.34, .74), (-.34, .74)]) - .02, colour, outline, .028)
        s.paint(box(u, v, 0, .38, .4, .08), pale, mask)
        s.outlined(ellipse(u, v, 0, .74, .345, .075), rgb(.36, .21, .12), outline)
    return s.composite(tint)


def draw_pedestal(frames, camera, x, height, width, tint=keep):
    s = Sprite(frames, camera, x, 0., 1., width * 1.3, -.16, height + .12)
    stone = rgb(.93, .91, .89)
    foot = ellipse(s.u, s.v, 0, -.06, width, .045)
    s.paint(np.minimum(foot, np.maximum(np.abs(s.u) - width, np.maximum(-.06 - s.v, s.v - height))), stone * .78)
    s.paint(ellipse(s.u, s.v, 0, height, width, .045), stone)
    return s.composite(tint)
