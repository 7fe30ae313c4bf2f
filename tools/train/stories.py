"""stories - what people ask for, and the plan a director would make of it: the planner's training pairs.

A story is drawn first (who, where, doing what, seen how), then told in free words and planned by fixed rules. Words that
the world cannot draw (a city, a shoe, orange) are told as well, and planned as the nearest thing that it can.
"""
import json
import math
import grammar
from world import cast

PLACES = {"beach": ["the beach", "the seaside", "the seashore", "the sand", "the shore", "a sunny beach", "the ocean", "a tropical island", "the coast", "the sea",
                    "the city", "the street", "a pool", "a shop", "the town", "a kitchen", "a palm beach"],
          "forest": ["the forest", "the woods", "the trees", "a green forest", "the jungle", "the park", "the garden", "a magic forest", "nature", "a meadow",
                     "the field", "a dark forest", "the countryside", "a farm", "a village"],
          "desert": ["the desert", "the dunes", "a hot desert", "the pyramids", "the sahara", "a dry land", "the cactus land", "mars", "the moon", "a canyon",
                     "space", "a wild west town", "the ruins", "egypt", "a cave"],
          "snow": ["the snow", "the snowy mountains", "the mountains", "a winter land", "the ice", "the north pole", "a ski slope", "the cold hills",
                   "a white winter", "a frozen lake", "the glacier", "a christmas land", "the alps", "antarctica", "the snowy hills"]}
BARE = {"beach": ["at the beach", "by the sea", "near the water", "in summer", "on the sand", "on the beach"],
        "forest": ["in the woods", "among the trees", "under the trees", "in spring", "in the forest"],
        "desert": ["in the desert", "between the dunes", "among cacti", "in the heat", "under the hot sun"],
        "snow": ["in the snow", "in winter", "in snowy mountains", "on the ice", "at christmas", "in the cold"]}
LIGHTS = {"day": ["by day", "in the morning", "at noon", "on a sunny day", "in daylight", "in the sun", "on a bright day", "in the afternoon", "in the sunshine"],
          "night": ["at night", "in the evening", "under the stars", "by moonlight", "at midnight", "in the dark", "at sunset", "under the moon", "after dark", "at dusk"]}
COLOURS = {"red": ["red", "crimson", "scarlet", "ruby", "pink", "brown"], "yellow": ["yellow", "golden", "gold", "orange", "lemon", "white"],
           "green": ["green", "emerald", "lime", "mint", "olive"], "blue": ["blue", "navy", "azure", "turquoise", "sky blue", "silver", "grey"],
           "purple": ["purple", "violet", "lilac", "magenta", "black"]}
SHAPES = {"round": ["round", "chubby", "fat", "plump", "little round", "ball shaped", "cute", "small", "tiny"],
          "square": ["square", "boxy", "blocky", "cube shaped", "big", "strong"], "tall": ["tall", "slim", "long", "thin", "skinny", "slender", "giant"]}
HATS = {"crown": ["with a crown", "wearing a crown", "with a golden crown", "in a crown"],
        "top hat": ["with a top hat", "wearing a top hat", "in a top hat", "with a black hat", "wearing a hat", "with a hat"]}
# what a noun means where no adjective says otherwise: shape, colour, hat
NOUNS = {"monster": ("round", "red", "none"), "creature": ("round", "green", "none"), "character": ("round", "blue", "none"), "hero": ("square", "red", "none"),
         "mascot": ("round", "yellow", "none"), "fellow": ("tall", "blue", "none"), "robot": ("square", "blue", "none"), "alien": ("tall", "green", "none"),
         "king": ("round", "yellow", "crown"), "queen": ("tall", "purple", "crown"), "prince": ("tall", "blue", "crown"), "princess": ("round", "red", "crown"),
         "magician": ("tall", "purple", "top hat"), "gentleman": ("tall", "blue", "top hat"), "wizard": ("tall", "purple", "top hat"), "mayor": ("round", "blue", "top hat"),
         "dragon": ("tall", "green", "none"), "dinosaur": ("tall", "green", "none"), "frog": ("round", "green", "none"), "bear": ("round", "red", "none"),
         "cat": ("round", "yellow", "none"), "dog": ("square", "yellow", "none"), "knight": ("square", "blue", "none"), "ghost": ("tall", "purple", "none"),
         "girl": ("round", "red", "none"), "boy": ("square", "blue", "none"), "man": ("tall", "blue", "none"), "woman": ("tall", "red", "none"), "blob": ("round", "purple", "none")}
PRODUCTS = {"cup": ["cup", "mug", "coffee cup", "tea cup", "cup of coffee", "cup of tea", "coffee", "tea", "latte", "cocoa", "soup", "cake", "shoe", "sneaker", "phone", "watch", "bag", "book"],
            "bottle": ["bottle", "water bottle", "soda", "lemonade", "juice", "perfume", "drink", "bottle of water", "shampoo", "wine", "potion", "cola", "oil", "sauce", "cream", "milk"]}
VERBS = {"standing": ["stands", "is standing", "waits", "is waiting", "stands still", "poses", "looks around", "rests", "sits", "is there", "thinks"],
         "walking left": ["walks left", "walks to the left", "is walking left", "runs left", "goes left", "goes back", "leaves", "walks away", "runs away", "walks home"],
         "walking right": ["walks right", "walks to the right", "is walking right", "walks", "runs", "is walking", "goes right", "arrives", "travels", "explores", "comes along", "marches", "runs to the right"],
         "jumping": ["jumps", "is jumping", "hops", "leaps", "bounces", "dances", "jumps up and down", "jumps for joy", "celebrates", "plays"],
         "waving": ["waves", "is waving", "says hello", "greets us", "waves hello", "waves goodbye", "waves at us", "invites you", "says hi", "says goodbye"]}
SHOWN = ["is shown", "stands on a pedestal", "is on display", "appears", "shines", "is presented", "waits for you", "is the star"]
MOVES = {"static": ["static camera", "the camera is still", "still camera", "locked camera", "no camera movement"],
         "pan left": ["the camera pans left", "pan left", "camera pans to the left", "panning left"],
         "pan right": ["the camera pans right", "pan right", "camera pans to the right", "panning right"],
         "zoom in": ["the camera zooms in", "zoom in", "slow zoom in", "push in", "the camera pushes in", "zooming in", "the camera moves closer", "slow push in"]}
SIZES = {"wide": ["wide shot", "in a wide shot", "establishing shot", "seen from far away"], "medium": ["close up", "medium shot", "in a close up", "seen up close", "close shot"]}
OPENINGS = ["", "", "", "", "a video of ", "a short film: ", "game trailer: ", "trailer: ", "an ad: ", "an ad for our shop: ", "commercial: ", "make a video: ", "a funny clip: ",
            "cartoon: ", "a story: ", "for our new game: ", "promo: ", "a birthday video: ", "please show this: ", "a cute film: ", "adventure: ", "epic trailer: "]
CLOSINGS = ["", "", "", "", "", " buy now", " play now", " coming soon", " come and visit us", " have fun", " the end", " order today"]
SOFT = ["with soft fades", "dreamy", "with dissolves", "soft transitions", "fade between scenes"]
NAMES = "mia leo zoe max tom ben ada kim bob sam lily otto nina hugo emma finn rex lulu momo pip rubi bo gus hero star king bubu kiki toto zed ivy fred bella".split()


def pick(rng, items):
    return items[rng.randint(len(items))]


# ---------------------------------------------------------------- drawing a story
def figure_new(rng, product_odds):
    """A figure and the words that a stranger would use for it."""
    if rng.rand() < product_odds:
        product = pick(rng, list(PRODUCTS))
        colour = pick(rng, list(COLOURS))
        noun, said = pick(rng, PRODUCTS[product]), rng.rand() < .75
        words = f"{pick(rng, COLOURS[colour])} {noun}" if said else noun
        return {"kind": "product", "phrase": f"a {colour if said else 'red'} {product}", "words": words, "noun": noun}
    noun = pick(rng, list(NOUNS)) if rng.rand() < .6 else "monster"
    shape, colour, hat = NOUNS[noun]
    adjectives, tail = [], ""
    if rng.rand() < .6:
        shape = pick(rng, list(SHAPES))
        adjectives.append(shape if rng.rand() < .6 else pick(rng, SHAPES[shape]))
    if rng.rand() < .8:
        colour = pick(rng, list(COLOURS))
        adjectives.insert(rng.randint(len(adjectives) + 1), colour if rng.rand() < .7 else pick(rng, COLOURS[colour]))
    if rng.rand() < .4:
        hat = pick(rng, list(HATS))
        tail = " " + pick(rng, HATS[hat])
    phrase = f"a {colour} {shape} monster" + ("" if hat == "none" else " with a " + hat)
    return {"kind": "character", "phrase": phrase, "words": " ".join(adjectives + [noun]) + tail, "noun": noun}


def cast_new(rng):
    """1 to 3 different figures; with odds of a third they are named and given by the campaign."""
    count = (1, 1, 1, 2, 2, 3)[rng.randint(6)]
    figures = [figure_new(rng, .25) for _ in range(count)]
    names = list(NAMES)
    rng.shuffle(names)
    given = rng.rand() < .6
    for f in figures:
        f["given"] = given and rng.rand() < .9
        if not f["given"]:
            continue
        f["id"] = names.pop() if rng.rand() < .9 else pick(rng, "ABCDE") + pick(rng, ["", "1", "2"])
        if f["id"] in [o.get("id") for o in figures if o is not f]:
            f["id"] += "x"
        if rng.rand() < .15:
            f["phrase"] = ("a " if rng.rand() < .7 else "the ") + f["words"]
    return sorted(figures, key=lambda f: not f["given"])


def scene_new(rng, before):
    place = pick(rng, list(PLACES))
    if rng.rand() < .6:
        light, light_words = (lambda l: (l, pick(rng, LIGHTS[l])))(pick(rng, list(LIGHTS)))
    else:
        light, light_words = (before["light"] if before else "day"), ""
    draw = rng.rand()
    if draw < .4:
        words = pick(rng, BARE[place])
    else:
        at = pick(rng, PLACES[place] if draw < .75 else PLACES[place][:3])
        words = pick(rng, ["in", "on", "at", "near"] if place == "beach" else ["in", "in", "at", "through"]) + " " + at
    return {"place": place, "light": light, "place_words": words, "light_words": light_words}


def story_vague(rng):
    """A wish that says what is sold and little more: the product is shown, on the beach by day if nothing else is said."""
    product = pick(rng, list(PRODUCTS))
    noun = pick(rng, PRODUCTS[product])
    scene = {"place": "beach", "light": "day", "place_words": "", "light_words": ""}
    if rng.rand() < .4:
        scene = scene_new(rng, None)
    words = pick(rng, ["%s shop", "%s bar", "%s", "%s sale", "%s festival", "new %s", "%s store", "%s truck"]) % noun
    verb = pick(rng, ["opens on monday", "is open now", "opens today", "starts on friday", "for everyone", "now cheaper", "half price", "is back", "tastes great", "is here", ""])
    figure = {"kind": "product", "phrase": f"a red {product}", "words": words, "noun": noun, "given": False}
    beat = {"scene": scene, "figure": 0, "action": "on display", "verb": verb, "camera": None, "size": None}
    return {"figures": [figure], "beats": [beat], "soft": False}


def story_new(rng):
    """Figures and beats; a beat is one thing that one figure does in one scene."""
    if rng.rand() < .05:
        return story_vague(rng)
    figures, beats, scene = cast_new(rng), [], None
    count = max(len(figures), (1, 1, 2, 2, 3, 4)[rng.randint(6)])
    order = list(range(len(figures))) + [rng.randint(len(figures)) for _ in range(count - len(figures))]
    for i in range(count):
        if scene is None or rng.rand() < .5:
            scene = scene_new(rng, scene)
        f = figures[order[i]]
        action = "on display" if f["kind"] == "product" else pick(rng, list(VERBS))
        verb = pick(rng, SHOWN if f["kind"] == "product" else VERBS[action])
        if action in ("on display", "standing") and rng.rand() < .4:
            verb = ""                           # "a red cup on the beach"
        beats.append({"scene": scene, "figure": order[i], "action": action, "verb": verb,
                      "camera": pick(rng, list(MOVES)) if rng.rand() < .35 else None, "size": pick(rng, list(SIZES)) if rng.rand() < .1 else None})
    return {"figures": figures, "beats": beats, "soft": rng.rand() < .08}


# ---------------------------------------------------------------- telling it
def tell(story, rng):
    """The prompt."""
    known, parts, scene = set(), [], None
    for i, b in enumerate(story["beats"]):
        f = story["figures"][b["figure"]]
        if f["given"]:
            who = f["id"] if rng.rand() < .7 else f["id"].capitalize()
        elif b["figure"] in known:
            who = pick(rng, ["the " + f["noun"], "it" if i and story["beats"][i - 1]["figure"] == b["figure"] else "the " + f["noun"]])
        else:
            who = pick(rng, ["a ", "a ", "the ", "our ", "our new ", "one ", ""]) + f["words"]
        known.add(b["figure"])
        where = []
        if b["scene"] is not scene:
            where = [w for w in (b["scene"]["place_words"], b["scene"]["light_words"]) if w]
            if rng.rand() < .3:
                where.reverse()
        scene = b["scene"]
        text = (who + " " + b["verb"]).strip()
        if where:
            text = " ".join(where) + pick(rng, [", ", " "]) + text if rng.rand() < .2 else text + pick(rng, [" ", ", "] if rng.rand() < .3 else [" "]) + " ".join(where)
        for table, field in ((MOVES, "camera"), (SIZES, "size")):
            if b[field]:
                text += pick(rng, [", ", ", ", " and "]) + pick(rng, table[b[field]])
        parts.append(text)
    text = parts[0]
    for part in parts[1:]:
        text += pick(rng, [", then ", ". then ", ". ", ". ", ", and ", ". after that ", ", next ", ". finally "]) + part
    if story["soft"]:
        text += ", " + pick(rng, SOFT)
    text = pick(rng, OPENINGS) + text + pick(rng, CLOSINGS)
    draw = rng.rand()
    text += "." if draw < .3 else "!" if draw < .38 else ""
    if rng.rand() < .4:
        text = text[0].upper() + text[1:]
    return text


# ---------------------------------------------------------------- planning it
def beats_fitting(beats, most):
    """At most `most` beats: each figure's first one before all others, in the order of the story."""
    if len(beats) <= most:
        return beats
    firsts, rest, seen = [], [], set()
    for i, b in enumerate(beats):
        (rest if b["figure"] in seen else firsts).append(i)
        seen.add(b["figure"])
    return [beats[i] for i in sorted((firsts + rest)[:most])]


def shot_lengths(units, count):
    """`count` lengths that add up to `units`, the longer ones first."""
    return [units // count + (i < units % count) for i in range(count)]


def plan_of(story, total_ms, g):
    """The plan's text."""
    units, least, most = total_ms // g["unit_ms"], g["shortest_ms"] // g["unit_ms"], g["longest_ms"] // g["unit_ms"]
    beats = beats_fitting(story["beats"], max(1, units // least))
    count = max(len(beats), round(units / 6), math.ceil(units / most))
    count = max(1, min(count, units // least))
    per_beat, lengths = shot_lengths(count, len(beats)), shot_lengths(units, count)
    letters = iter("ABCDEFGHIJ")
    members = []
    taken = [f["id"] for f in story["figures"] if f["given"]]
    for f in story["figures"]:
        id_ = f["id"] if f["given"] else next(c for c in letters if c not in taken)
        members.append({"id": id_, "kind": f["kind"], "phrase": f["phrase"]})
    shots, scene, number, first_of = [], None, 0, {}
    for b, repeats in zip(beats, per_beat):
        for j in range(repeats):
            if b["scene"] is not scene and (scene is None or (b["scene"]["place"], b["scene"]["light"]) != (scene["place"], scene["light"])):
                number += 1
            scene = b["scene"]
            opening = number not in first_of
            size = b["size"] if b["size"] and j == 0 else "wide" if opening else "medium" if j % 2 == 0 or not opening and j == 1 else "wide"
            camera = b["camera"] if b["camera"] and j == 0 else "zoom in" if j % 2 or b["action"] == "on display" else "static"
            match = first_of.setdefault(number, len(shots) + 1)
            shots.append({"scene": number, "place": scene["place"], "light": scene["light"], "size": size, "angle": "eye level", "camera": camera,
                          "actors": [{"cast": members[b["figure"]]["id"], "enters": 1, "action": b["action"]}], "duration": 0, "transition": "cut",
                          "match": 0 if match == len(shots) + 1 else match})
    left = total_ms
    for i, (s, length) in enumerate(zip(shots, lengths)):
        ms = left if i == len(shots) - 1 else length * g["unit_ms"]
        left -= ms
        s["duration"] = "#" + grammar.seconds_text(ms)
        if story["soft"] and i + 1 < len(shots) and shots[i + 1]["scene"] != s["scene"]:
            s["transition"] = "dissolve"
    text = json.dumps({"cast": members, "shots": shots}, separators=(",", ":"))
    return text.replace('"#', "").replace(',"transition"', ",@").replace('",@', ',"transition"')


def pair_new(rng, g):
    """One training pair: the user's text, given members, milliseconds, the plan's text."""
    story = story_new(rng)
    low, high = ((4, 14), (14, 26), (26, 61))[rng.choice(3, p=[.65, .25, .10])]
    total = 500 * int(rng.randint(low, high))
    if rng.rand() < .05:
        total += int(rng.randint(1, 5)) * 100
    given = [(f["id"], f["kind"], f["phrase"]) for f in story["figures"] if f["given"]]
    return user_text(tell(story, rng), total, given), given, total, plan_of(story, total, g)


def user_text(prompt, total_ms, given):
    lines = "".join(f"cast: {i} = {k}: {p}\n" for i, k, p in given)
    return f"{prompt}\nseconds: {grammar.seconds_text(total_ms)}\n{lines}".rstrip("\n")
