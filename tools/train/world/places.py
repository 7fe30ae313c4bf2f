"""places - the stage sets: one fixed layout per place, by day and at night.

One layout each is on purpose: shots of the same scene then agree without any memory, and a small painter can learn it.
"""
import numpy as np
from .canvas import HEIGHT, WIDTH, Layer, f32, mix, rgb

PLACES = ["beach", "forest", "desert", "snow"]
LIGHTS = ["day", "night"]
SKY = {"day": (rgb(.36, .68, .95), rgb(.84, .94, .99)), "night": (rgb(.05, .07, .22), rgb(.18, .22, .46))}


def tint_of(light, strength=1.):
    if light == "day":
        return lambda colour: colour
    return lambda colour: mix(colour, colour * rgb(.40, .42, .66) + rgb(.0, .01, .05), strength)


def draw_place(camera, place, light):
    """Frames [n, HEIGHT, WIDTH, 3] of the empty place, n being the camera's frames."""
    count = len(camera[0])
    frames = np.empty((count, HEIGHT, WIDTH, 3), f32)
    sheet = lambda parallax, **more: Layer(frames, camera, parallax, **{"tint": tint_of(light), **more})
    top, bottom = SKY[light]
    far = sheet(0., tint=tint_of("day"))
    frames[:] = mix(bottom, top, np.clip((far.y + .05) / .85, 0, 1)[..., None])
    draw_sky(far, sheet(.12, zoom_power=0., tint=tint_of("day")), light)
    globals()["draw_" + place](sheet)
    return frames


def draw_sky(far, near, light):
    if light == "night":
        for x, y in ((-.70, .72), (-.52, .60), (-.33, .76), (-.15, .64), (.08, .74), (.25, .60), (.70, .75), (-.62, .48), (.02, .52)):
            far.circle(x, y, .009, rgb(.97, .97, .85))
        far.circle(.52, .66, .095, rgb(.98, .96, .84))
        far.circle(.47, .69, .08, mix(*SKY["night"][::-1], .82))
        return
    far.circle(.52, .66, .14, rgb(1., .95, .70), .4)
    far.circle(.52, .66, .095, rgb(1., .92, .42))
    for x, y in ((-.55, .68), (.08, .62)):
        for dx, dy, r in ((-.10, 0, .05), (0, .025, .07), (.10, 0, .055), (0, -.015, .05)):
            near.circle(x + dx, y + dy, r, rgb(1, 1, 1), .95)


def draw_beach(sheet):
    sea = sheet(.25)
    sea.hills(lambda x: x * 0 + .27, rgb(.14, .52, .76))
    sea.hills(lambda x: .18 + .008 * np.sin(x * 17), rgb(.30, .72, .84))
    sea.ellipse(-.42, .27, .17, .08, rgb(.35, .62, .42))
    sea.box(-.62, -.22, .15, .272, rgb(.14, .52, .76))
    sea.hills(lambda x: .18 + .008 * np.sin(x * 17), rgb(.30, .72, .84))
    sea.convex([(.18, .27), (.36, .27), (.33, .23), (.21, .23)], rgb(.80, .24, .20))
    sea.convex([(.27, .28), (.37, .28), (.27, .45)], rgb(.99, .98, .94))
    sand = sheet(.8)
    sand.hills(lambda x: .10 + .012 * np.sin(x * 5), rgb(.98, .96, .88))
    sand.hills(lambda x: .08 + .012 * np.sin(x * 5), rgb(.97, .85, .58))
    trunk_x, trunk_top = -.74, .60
    sand.capsule(trunk_x - .04, .05, trunk_x, trunk_top, .030, rgb(.56, .38, .22))
    for angle in (-.45, .35, 1.2, 1.95, 2.8, 3.6):
        x, y = trunk_x + .22 * np.cos(angle), trunk_top + .13 * np.sin(angle) - .02
        sand.capsule(trunk_x, trunk_top, x, y, .036, rgb(.20, .60, .30))
    sand.capsule(.70, .06, .70, .46, .012, rgb(.95, .94, .92))
    part = sand.crop(.42, .98, .38, .66)
    if part is not None:
        d = np.maximum(np.sqrt((part.x - .70) ** 2 + (part.y - .40) ** 2) - .23, .42 - part.y)
        part.paint(d, rgb(.92, .26, .26))
        part.paint(np.maximum(d, np.abs(part.x - .70) - .08), rgb(.99, .98, .95))
    sheet(1.).hills(lambda x: -.06 + .010 * np.sin(x * 4 + 1), rgb(.94, .78, .50))


def draw_forest(sheet):
    sheet(.2).hills(lambda x: .36 + .06 * np.sin(x * 3.1 + 1), rgb(.56, .76, .66))
    firs = sheet(.45)
    for i, x in enumerate(np.arange(-1.8, 1.9, .30)):
        firs.convex([(x - .16, .10), (x + .16, .10), (x, (.52, .62, .47)[i % 3])], rgb(.24, .52, .38))
    firs.hills(lambda x: .13 + .02 * np.sin(x * 6), rgb(.32, .62, .34))
    trees = sheet(.8)
    for x, h in ((-1.35, .50), (-.68, .54), (.72, .50), (1.40, .54)):
        trees.box(x - .042, x + .042, .02, h, rgb(.48, .31, .19))
        for dx, dy, r in ((-.12, 0, .13), (.12, .01, .13), (0, .11, .15), (0, -.03, .13)):
            trees.circle(x + dx, h + dy, r, rgb(.22, .56, .24))
        trees.circle(x - .05, h + .10, .07, rgb(.32, .67, .30))
    grass = sheet(1.)
    grass.hills(lambda x: .04 + .012 * np.sin(x * 5), rgb(.44, .77, .32))
    grass.hills(lambda x: -.06 + .010 * np.sin(x * 7), rgb(.80, .68, .44))
    for x, colour in ((-.42, rgb(.98, .36, .36)), (.45, rgb(.99, .86, .3)), (1.0, rgb(.98, .36, .36)), (-1.0, rgb(.99, .86, .3))):
        grass.capsule(x, .02, x, .08, .008, rgb(.22, .52, .2))
        grass.circle(x, .09, .030, colour)


def draw_desert(sheet):
    far = sheet(.25)
    far.convex([(-.78, .12), (-.06, .12), (-.42, .50)], rgb(.90, .70, .42))
    far.convex([(-.42, .50), (-.06, .12), (-.28, .12)], rgb(.74, .53, .32))
    far.convex([(.30, .12), (.82, .12), (.56, .38)], rgb(.90, .70, .42))
    far.convex([(.56, .38), (.82, .12), (.66, .12)], rgb(.74, .53, .32))
    far.hills(lambda x: .17 + .04 * np.sin(x * 2.4 + .5), rgb(.94, .73, .42))
    near = sheet(.7)
    near.hills(lambda x: .09 + .04 * np.sin(x * 1.9 + 2), rgb(.91, .64, .34))
    green = rgb(.22, .58, .33)
    for x, h in ((-.72, .46), (.74, .52), (1.7, .46), (-1.7, .5)):
        near.capsule(x, .05, x, h, .055, green)
        for side, low, high in ((-.14, .45, .78), (.14, .60, .92)):
            near.capsule(x + side, h * low, x, h * low, .034, green)
            near.capsule(x + side, h * low, x + side, h * high, .034, green)
    sand = sheet(1.)
    sand.hills(lambda x: .02 + .012 * np.sin(x * 3), rgb(.97, .79, .49))
    sand.hills(lambda x: -.08 + .010 * np.sin(x * 4 + 2), rgb(.92, .70, .41))


def draw_snow(sheet):
    hills = sheet(.2)
    white = rgb(.98, .99, 1.)
    for x, h, w in ((-.62, .52, .50), (.02, .64, .52), (.66, .54, .50)):
        hills.convex([(x - w, .06), (x + w, .06), (x, h)], rgb(.54, .64, .80))
        hills.convex([(x - w * .36, h - (h - .06) * .36), (x + w * .36, h - (h - .06) * .36), (x, h)], white)
    near = sheet(.7)
    near.hills(lambda x: .12 + .02 * np.sin(x * 3), rgb(.84, .90, .97))
    for x, h in ((-1.5, .5), (-.70, .56), (.72, .52), (1.5, .56)):
        near.box(x - .03, x + .03, .05, .15, rgb(.42, .30, .22))
        for low, w in ((.12, .20), (.12 + (h - .12) * .33, .16), (.12 + (h - .12) * .62, .12)):
            high = low + (h - .12) * .42
            near.convex([(x - w, low), (x + w, low), (x, high)], rgb(.14, .44, .38))
            near.convex([(x - w * .42, low + (high - low) * .58), (x + w * .42, low + (high - low) * .58), (x, high)], white)
    snow = sheet(1.)
    snow.hills(lambda x: .03 + .012 * np.sin(x * 3 + 1), rgb(.96, .98, 1.))
    snow.hills(lambda x: -.08 + .010 * np.sin(x * 4), rgb(.86, .92, .98))
