"""places - the stage sets: one fixed layout per place, by day and at night.

One layout each is on purpose: shots of the same scene then agree without any memory, and a small painter can learn it. Large
soft shapes in calm colours leave the eye, and the VAE, to the figures.
"""
import numpy as np
from .canvas import HEIGHT, WIDTH, Layer, f32, keep, mix, rgb

PLACES = ["beach", "forest", "desert", "snow"]
LIGHTS = ["day", "night"]
SKY = {"beach": (rgb(.45, .74, .93), rgb(.97, .93, .82)), "forest": (rgb(.56, .80, .90), rgb(.93, .96, .84)),
       "desert": (rgb(.55, .74, .90), rgb(.99, .87, .70)), "snow": (rgb(.58, .74, .92), rgb(.93, .93, .97))}
NIGHT = rgb(.07, .09, .25), rgb(.24, .27, .50)


def tint_of(light, strength=1.):
    if light == "day":
        return keep
    return lambda colour: mix(colour, colour * rgb(.36, .40, .62) + rgb(.01, .02, .08), strength)


def draw_place(camera, place, light):
    """Frames [n, HEIGHT, WIDTH, 3] of the empty place, n being the camera's frames."""
    count = len(camera[0])
    frames = np.empty((count, HEIGHT, WIDTH, 3), f32)
    sheet = lambda parallax, **more: Layer(frames, camera, parallax, **{"tint": tint_of(light), **more})
    top, bottom = NIGHT if light == "night" else SKY[place]
    far = sheet(0., tint=keep)
    frames[:] = mix(bottom, top, np.clip((far.y - .10) / .75, 0, 1)[..., None])
    draw_sky(far, sheet(.12, zoom_power=0., tint=keep), light)
    globals()["draw_" + place](sheet)
    return frames


def draw_sky(far, near, light):
    if light == "night":
        for x, y, r in ((-.62, .70, .045), (-.30, .62, .035), (.02, .73, .040), (.30, .58, .035)):
            far.glow(x, y, r, rgb(.95, .95, .88), .75)
        far.glow(.56, .64, .26, rgb(.75, .78, .95), .30)
        far.circle(.56, .64, .090, rgb(.96, .94, .84))
        return
    far.glow(.56, .64, .34, rgb(1., .96, .78), .75)
    far.circle(.56, .64, .095, rgb(1., .93, .62))
    for x, y in ((-.58, .66), (.04, .70)):
        near.ellipse(x, y - .02, .17, .045, rgb(1., 1., 1.), .75)
        near.ellipse(x - .02, y + .02, .09, .055, rgb(1., 1., 1.), .75)


def draw_beach(sheet):
    far = sheet(.2)
    far.ellipse(-.38, .27, .26, .10, rgb(.55, .74, .66))
    far.hills(lambda x: x * 0 + .28, rgb(.36, .68, .84), rgb(.50, .82, .86), .16)
    sand = sheet(.7)
    sand.hills(lambda x: .115 + .020 * np.sin(x * 3.2), rgb(.97, .95, .88))
    sand.hills(lambda x: .090 + .020 * np.sin(x * 3.2), rgb(.96, .86, .64), rgb(.92, .76, .52), .24)
    x, top = -.72, .58
    sand.capsule(x - .05, .05, x, top, .038, rgb(.64, .47, .32))
    for angle in (-.35, .55, 1.57, 2.6, 3.5):
        sand.capsule(x, top, x + .23 * np.cos(angle), top + .14 * np.sin(angle) - .03, .052, rgb(.36, .66, .42))
    sand.capsule(.74, .06, .74, .40, .022, rgb(.93, .90, .86))
    part = sand.crop(.44, 1.04, .36, .66)
    if part is not None:
        d = np.maximum(np.sqrt((part.x - .74) ** 2 + (part.y - .38) ** 2) - .24, .40 - part.y)
        part.paint(d, rgb(.93, .52, .46))
        part.paint(np.maximum(d, np.abs(part.x - .74) - .08), rgb(.97, .90, .84))


def draw_forest(sheet):
    sheet(.2).hills(lambda x: .40 + .06 * np.sin(x * 3.1 + 1), rgb(.68, .83, .74), rgb(.58, .77, .66))
    firs = sheet(.45)
    for i, x in enumerate(np.arange(-1.75, 1.8, .50)):
        firs.convex([(x - .25, .08), (x + .25, .08), (x, (.58, .66, .54)[i % 3])], rgb(.44, .66, .54))
    firs.hills(lambda x: .16 + .03 * np.sin(x * 4), rgb(.46, .69, .48), rgb(.40, .63, .42))
    trees = sheet(.75)
    for x, h in ((-1.55, .50), (-.70, .50), (.72, .52), (1.50, .50)):
        trees.capsule(x, .0, x, h, .055, rgb(.55, .40, .29))
        trees.ellipse(x, h + .06, .24, .20, rgb(.32, .58, .36))
        trees.ellipse(x - .04, h + .12, .15, .11, rgb(.42, .67, .42))
    sheet(1.).hills(lambda x: .05 + .020 * np.sin(x * 3), rgb(.60, .79, .44), rgb(.46, .67, .36), .20)


def draw_desert(sheet):
    far = sheet(.25)
    for x, w, h in ((-.42, .40, .50), (.30, .30, .36)):
        far.convex([(x - w, .10), (x + w, .10), (x, h)], rgb(.93, .76, .54))
        far.convex([(x, h), (x + w, .10), (x + w * .25, .10)], rgb(.84, .65, .48))
    far.hills(lambda x: .18 + .05 * np.sin(x * 2.4 + .5), rgb(.95, .79, .55), rgb(.92, .71, .47))
    near = sheet(.7)
    near.hills(lambda x: .10 + .05 * np.sin(x * 1.9 + 2), rgb(.91, .68, .43), rgb(.88, .62, .38))
    green = rgb(.42, .64, .42)
    for x, h in ((-.72, .44), (.76, .50), (1.75, .46), (-1.75, .48)):
        near.capsule(x, .05, x, h, .070, green)
        for side, low, high in ((-.17, .45, .74), (.17, .58, .86)):
            near.capsule(x + side, h * low, x, h * low, .046, green)
            near.capsule(x + side, h * low, x + side, h * high, .046, green)
    sheet(1.).hills(lambda x: .03 + .020 * np.sin(x * 2.4), rgb(.97, .83, .58), rgb(.92, .73, .46), .20)


def draw_snow(sheet):
    hills = sheet(.2)
    for x, h, w in ((-.66, .54, .56), (.70, .56, .54), (.02, .64, .58)):
        hills.convex([(x - w, .04), (x + w, .04), (x, h)], rgb(.66, .74, .87))
        cut = h - (h - .04) * .38
        hills.convex([(x - w * .38, cut), (x + w * .38, cut), (x, h)], rgb(.96, .97, 1.))
    near = sheet(.7)
    near.hills(lambda x: .16 + .03 * np.sin(x * 2.6), rgb(.86, .91, .98), rgb(.80, .87, .96))
    for x, h in ((-1.55, .56), (-.72, .60), (.74, .56), (1.55, .60)):
        for low, w in ((.10, .22), (.26, .17)):
            near.convex([(x - w, low), (x + w, low), (x, low + (h - .10) * .70)], rgb(.36, .56, .56))
        near.ellipse(x, .11, .20, .045, rgb(.92, .95, 1.))
    sheet(1.).hills(lambda x: .04 + .020 * np.sin(x * 2.4 + 1), rgb(.97, .98, 1.), rgb(.84, .90, .97), .20)
