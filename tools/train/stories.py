"""stories - what people ask for, and the plan a director would make of it: the planner's training pairs.

A story is drawn first (who, where, doing what, seen how), then told in free words (words.py) and planned by fixed rules:
every beat of the story in its order, lengths as even as they can be, a scene opened wide. Members of a given cast go by
the slots of the grammar's "alias", as the coordinator writes them for the model.
"""
import json
import math
import grammar
import words

LISTS = {}


def split(text):
    """The entries of "a|b|c"."""
    if text not in LISTS:
        LISTS[text] = text.split("|")
    return LISTS[text]


def pick(rng, items):
    return items[int(rng.rand() * len(items))]


def chance(rng, odds):
    return rng.rand() < odds


# ---------------------------------------------------------------- forms of words
def third(base):
    head, _, rest = base.partition(" ")
    head = {"be": "is", "have": "has", "go": "goes", "do": "does"}.get(head) or (
        head + "es" if head.endswith(("s", "sh", "ch", "x", "z")) else head[:-1] + "ies" if head.endswith("y") and head[-2] not in "aeiou" else head + "s")
    return f"{head} {rest}".strip()


def ing(base):
    head, _, rest = base.partition(" ")
    head = head + head[-1] if head in words.DOUBLED else head[:-1] if head.endswith("e") and not head.endswith("ee") and head != "be" else head
    return f"{head}ing {rest}".strip()


def gibberish(rng):
    """A name or word that nobody has heard: the planner must live with such."""
    return "".join(pick(rng, "b|d|f|g|k|l|m|n|p|r|s|t|v|z|br|sh|tr|gl".split("|")) + pick(rng, "aeiou") for _ in range(rng.randint(1, 4))) + pick(rng, ["", "n", "x", "l", "s", ""])


# ---------------------------------------------------------------- drawing a story
def figure_new(rng, product_odds):
    """A figure and the words that a stranger would use for it."""
    if chance(rng, product_odds):
        product, colour = pick(rng, list(words.PRODUCTS)), pick(rng, list(words.COLOURS))
        noun, said = pick(rng, split(words.PRODUCTS[product])) if chance(rng, .6) else product, chance(rng, .7)
        praise = pick(rng, words.PRAISE) + " " if chance(rng, .25) else ""
        told = colour if chance(rng, .6) else pick(rng, split(words.COLOURS[colour]))
        return {"kind": "product", "phrase": f"a {colour if said else 'red'} {product}", "words": praise + (f"{told} {noun}" if said else noun), "noun": noun,
                "short": f"{told} {noun}" if said else noun}
    noun = pick(rng, list(words.NOUNS)) if chance(rng, .6) else "monster"
    shape, colour, hat = words.NOUNS[noun]
    adjectives, tail = [], ""
    if chance(rng, .55):
        shape = pick(rng, list(words.SHAPES))
        adjectives.append(shape if chance(rng, .6) else pick(rng, split(words.SHAPES[shape])))
    if chance(rng, .8):
        colour = pick(rng, list(words.COLOURS))
        adjectives.insert(rng.randint(len(adjectives) + 1), colour if chance(rng, .7) else pick(rng, split(words.COLOURS[colour])))
    if chance(rng, .2):
        adjectives.insert(0, pick(rng, words.EPITHETS) if chance(rng, .8) else gibberish(rng))
    if chance(rng, .35):
        hat = pick(rng, list(words.HATS))
        tail = " " + pick(rng, split(words.HATS[hat]))
    phrase = f"a {colour} {shape} monster" + ("" if hat == "none" else " with a " + hat)
    figure = {"kind": "character", "phrase": phrase, "words": " ".join(adjectives + [noun]) + tail, "noun": noun, "short": " ".join(adjectives[-1:] + [noun])}
    if chance(rng, .08):
        figure["words"] += pick(rng, [" called ", " named ", ", "]) + gibberish(rng)
    return figure


def cast_new(rng, count):
    """`count` different figures; in most stories the campaign names them all, and sometimes others that do not play."""
    figures = [figure_new(rng, .25) for _ in range(count)]
    given = chance(rng, .6)
    extras = [figure_new(rng, .25) for _ in range(rng.randint(1, 4 - count))] if given and count < 3 and chance(rng, .25) else []
    for i, f in enumerate(figures + extras):
        f["plays"], f["named"] = i < count, False
        f["given"] = given and (i >= count or chance(rng, .93))
        if f["given"] and chance(rng, .15):
            f["phrase"] = pick(rng, ["a ", "a ", "the ", "our "]) + f["words"]
    for f in figures:
        f["pronoun"] = "it" if f["kind"] == "product" else pick(rng, ["he", "she", "it"])
        alone = sum(o["kind"] == f["kind"] for o in figures + extras) == 1
        f["named"] = f["given"] and not (alone and chance(rng, .1))     # else: "the monster"
        f["shared"] = sum(o["noun"] == f["noun"] for o in figures) > 1
    cast = sorted(figures + extras, key=lambda f: (not f["given"], rng.rand() if f["given"] else 0))
    for i, f in enumerate(cast):
        f["id"] = grammar.ALIAS[i] if f["given"] else None
    return cast


def scene_new(rng, before, plain):
    """Where and when. `plain`: by its name rather than by a hint."""
    place = pick(rng, [p for p in words.PLACES if not before or p != before["place"] or chance(rng, .25)])
    light = pick(rng, list(words.LIGHTS)) if chance(rng, .45) else None
    draw = rng.rand()
    if draw < .12 and not plain:
        text = pick(rng, words.SEASONS[place])
    else:
        prepositions, nouns = pick(rng, words.PLACES[place]) if draw < .6 else words.PLACES[place][0]
        noun = pick(rng, split(nouns)) if draw < .75 else split(nouns)[0]
        text = pick(rng, prepositions.split()) + " " + noun
    return {"place": place, "light": light or (before["light"] if before else "day"), "place_words": text,
            "light_words": pick(rng, split(words.LIGHTS[light])) if light else ""}


def beat_new(rng, f, scene, action=None):
    action = "on display" if f["kind"] == "product" else action or pick(rng, list(words.VERBS))
    return {"scene": scene, "who": f, "action": action, "verb": pick(rng, words.SHOWN if action == "on display" else split(words.VERBS[action])),
            "camera": pick(rng, list(words.MOVES)) if chance(rng, .33) else None, "size": pick(rng, list(words.SIZES)) if chance(rng, .1) else None}


def story_vague(rng):
    """A wish that says what is sold and little more: the product is shown, on the beach by day if nothing else is said."""
    product = pick(rng, list(words.PRODUCTS))
    noun = pick(rng, split(words.PRODUCTS[product]))
    scene = scene_new(rng, None, False) if chance(rng, .4) else {"place": "beach", "light": "day", "place_words": "", "light_words": ""}
    figure = {"kind": "product", "phrase": f"a red {product}", "words": pick(rng, words.TRADES) % noun, "noun": noun, "given": False, "named": False, "shared": False,
              "plays": True, "id": None, "pronoun": "it"}
    beat = {"scene": scene, "who": figure, "action": "on display", "verb": "", "vague": pick(rng, words.VAGUE), "camera": None, "size": None}
    return {"cast": [figure], "beats": [beat], "style": "prose", "soft": False}


def story_new(rng, ease):
    """Figures and beats; a beat is one thing that one figure does in one scene. ease 1: short stories only."""
    if chance(rng, .04):
        return story_vague(rng)
    n = int(rng.choice([1, 2, 3, 4, 5], p=[.28, .32, .24, .12, .04]))
    if chance(rng, ease):
        n = min(n, 2)
    cast = cast_new(rng, min(n, int(rng.choice([1, 2, 3], p=[.5, .33, .17]))))
    figures = [f for f in cast if f["plays"]]
    rng.shuffle(figures)
    style = pick(rng, ["prose"] * 12 + ["list", "list", "headed", "headed", "script", "script", "tour", "together"])
    if style == "tour" and n > 1:                       # one figure does the same everywhere
        figures, cast = figures[:1], [f for f in cast if f["given"] or f is figures[0]]
        beats, scene = [], None
        for _ in range(min(n, 4)):
            scene = scene_new(rng, scene, True)
            beats.append(beat_new(rng, figures[0], scene, beats[0]["action"] if beats else None))
            beats[-1]["camera"] = beats[-1]["size"] = None
    elif style == "together" and len(figures) > 1 and all(f["kind"] == "character" for f in figures):
        scene = scene_new(rng, None, True)
        beats = [beat_new(rng, figures[0], scene)]
        beats += [{**beats[0], "who": f} for f in figures[1:]]
    else:
        style = "prose" if style in ("tour", "together") else style
        who = figures + [pick(rng, figures) for _ in range(n - len(figures))]
        if chance(rng, .5):
            rng.shuffle(who)
        beats, scene = [], None
        for f in who:
            if scene is None or chance(rng, .55):
                scene = scene_new(rng, scene, style != "prose")
            beats.append(beat_new(rng, f, scene))
    order = [id(b["who"]) for b in beats]
    cast.sort(key=lambda f: (0, 0) if f["given"] else (1, order.index(id(f))))         # new members in the order in which they come
    return {"cast": cast, "beats": beats, "style": style, "soft": chance(rng, .06)}


# ---------------------------------------------------------------- telling it
def name_of(f, rng, known, last):
    """How the text speaks of a figure now."""
    if f["named"]:
        return f["pronoun"] if f is last and chance(rng, .3) else f["id"]
    if f["given"]:
        return pick(rng, ["the ", "our ", "the "]) + f["phrase"].split(" with ")[0].split()[-1]
    if id(f) not in known:
        return pick(rng, ["a ", "a ", "a ", "the ", "our ", "one ", "", "this "]) + f["words"]
    if f is last and chance(rng, .5):
        return f["pronoun"]
    return "the " + f["short" if f["shared"] or chance(rng, .3) else "noun"]


def where_of(scene, rng):
    parts = [w for w in (scene["place_words"], scene["light_words"]) if w]
    if chance(rng, .3):
        parts.reverse()
    return pick(rng, [" ", " ", ", "]).join(parts)


def doing(beat, others, rng):
    """The verb's base form, with what people add to it."""
    verb = beat["verb"]
    if beat["who"]["kind"] == "character":
        if others and chance(rng, .1):
            return pick(rng, words.GREETED[beat["action"]]) + " " + pick(rng, others)["id"]
        if chance(rng, .1):
            verb += " " + pick(rng, words.MANNERS) if chance(rng, .9) else " " + gibberish(rng) + "ly"
    return verb


def clause(beat, subject, verb, where, rng):
    """One sentence's core: who does what, where."""
    at = " " + where if where else ""
    if "vague" in beat:
        return f"{subject} {beat['vague']}{at}"
    if beat["action"] in ("on display", "standing") and chance(rng, .3):
        return pick(rng, ["%s%s", "%s%s", "there is %s%s", "we see %s%s", "%s can be seen%s", "show %s%s"]) % (subject, at)
    draw = rng.rand()
    if verb.startswith("be "):
        return f"{where}, {subject} {third(verb)}" if where and draw < .2 else f"{subject} {third(verb)}{at}"
    if draw < .44:
        return f"{subject} {third(verb)}{at}"
    if draw < .56:
        return f"{subject} is {ing(verb)}{at}"
    if draw < .66:
        return f"{subject}{pick(rng, [' ', ', ', ' '])}{ing(verb)}{at}"
    if draw < .76:
        return f"{pick(rng, words.LEADS)} {subject} {pick(rng, ['', 'who is ' if chance(rng, .2) else ''])}{ing(verb)}{at}"
    if draw < .86:
        return pick(rng, words.ORDERS) % (subject, verb) + at
    return f"{where}{pick(rng, [', ', ' ', ': '])}{subject} {third(verb)}" if where else f"{subject} {third(verb)}"


def shoot(text, beat, rng):
    """Adds how it is filmed."""
    if beat["size"]:
        before, after = words.SIZES[beat["size"]]
        text = pick(rng, split(before)) + " " + text if chance(rng, .5) else text + ", " + pick(rng, split(after))
    if not beat["camera"]:
        return text
    does, noun, order = [pick(rng, split(w)) for w in words.MOVES[beat["camera"]]]
    camera = pick(rng, ["the camera ", "the camera ", "camera ", "our camera "]) + does
    draw = int(rng.rand() * 12)
    return [f"{text}, {camera}", f"{text}, {camera}", f"{text}. {camera}", f"{text} while {camera}", f"{text}, {noun}", f"{text} ({noun})", f"{text} with a {noun}", f"{text}, {order}",
            f"{order}: {text}", f"{camera} as {text}", f"{camera} while {text}", f"with a {noun}, {text}"][draw]


JOINS_SAME = [j for j in words.JOINS if "while" not in j]


def tell_prose(story, rng):
    """Sentences; a figure that goes on may be left out, and so may a place that stays."""
    text, known, last, scene, beats = "", set(), None, None, story["beats"]
    named = [f for f in story["cast"] if f["named"] and f["kind"] == "character"]
    for i, beat in enumerate(beats):
        f, where, moved = beat["who"], "", ""
        if beat["scene"] is not scene:
            where = where_of(beat["scene"], rng)
            if i and where and chance(rng, .15):
                moved, where = pick(rng, words.MOVED) % where + " ", ""
        elif chance(rng, .08):
            where = pick(rng, words.STILL)
        scene = beat["scene"]
        verb = doing(beat, [o for o in named if o is not f and any(b["who"] is o for b in beats)], rng)
        if f is last and not where and not moved and not beat["size"] and not verb.startswith("be ") and chance(rng, .35):
            text += pick(rng, [" and " + third(verb), " and then " + third(verb), ", then " + third(verb), ", " + third(verb), " before " + ing(verb)])
            if beat["camera"]:
                text += ", the camera " + pick(rng, split(words.MOVES[beat["camera"]][0]))
            continue
        part = moved + shoot(clause(beat, name_of(f, rng, known, last), verb, where, rng), beat, rng)
        known.add(id(f))
        last = f
        text += (pick(rng, JOINS_SAME if f is beats[i - 1]["who"] else words.JOINS) if i else "") + part
    return text


def tell_list(story, rng):
    """Shot 1: ... Shot 2: ..."""
    mark = pick(rng, ["%d. ", "shot %d: ", "%d) ", "scene %d: ", "shot %d - ", "%d: ", "part %d: ", "- "])
    known, scene, lines = set(), None, []
    for i, beat in enumerate(story["beats"]):
        where = where_of(beat["scene"], rng) if beat["scene"] is not scene else ""
        scene = beat["scene"]
        head = mark % (i + 1) if "%" in mark else mark
        if where and chance(rng, .3):
            head, where = head + header(scene, rng) + pick(rng, [". ", ": ", ", "]), ""
        lines.append(head + shoot(clause(beat, name_of(beat["who"], rng, known, None), doing(beat, [], rng), where, rng), beat, rng))
        known.add(id(beat["who"]))
    return pick(rng, [". ", ". ", "; ", " ", ", "]).join(lines)


def header(scene, rng):
    """Forest at night"""
    place, light = pick(rng, words.HEADS[scene["place"]]), scene["light_words"] and pick(rng, split(words.LIGHTS[scene["light"]]) + words.LIGHT_HEADS[scene["light"]] * 2)
    return place + (pick(rng, [", ", " ", ". ", " - ", ", "]) + light if light else "")


def tell_script(story, rng):
    """Forest, night: mia waves. Beach: ..."""
    text, known, scene = "", set(), None
    for i, beat in enumerate(story["beats"]):
        if beat["scene"] is not scene:
            text += (pick(rng, [". ", ". ", ", then ", "; "]) if i else "") + header(beat["scene"], rng) + pick(rng, [": ", ". ", ", ", " - ", ": "])
        else:
            text += pick(rng, [", ", ". ", ", then ", " and "])
        scene = beat["scene"]
        text += shoot(clause(beat, name_of(beat["who"], rng, known, None), doing(beat, [], rng), "", rng), beat, rng)
        known.add(id(beat["who"]))
    return text


def listing(items, rng, last=" and "):
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + pick(rng, [last, last, ", then ", " and finally " if last == " and " else last]) + items[-1]


def tell_tour(story, rng):
    """mia waves on the beach, in the forest and in the snow"""
    beats = story["beats"]
    f, verb = beats[0]["who"], beats[0]["verb"]
    return clause(beats[0], name_of(f, rng, set(), None), verb, listing([where_of(b["scene"], rng) for b in beats], rng), rng)


def tell_together(story, rng):
    """mia and leo wave at the beach"""
    beats, where = story["beats"], where_of(story["beats"][0]["scene"], rng)
    who, verb = [name_of(b["who"], rng, set(), None) for b in beats], beats[0]["verb"]
    subject = ", ".join(who[:-1]) + pick(rng, [" and ", " and ", " together with "]) + who[-1]
    verb = "are " + ing(verb) if chance(rng, .2) or verb.startswith("be ") else pick(rng, ["", "", "both " if len(who) == 2 else "all "]) + verb
    text = f"{where}, {subject} {verb}" if chance(rng, .2) else f"{subject} {verb}{pick(rng, [' ', ' together ' if chance(rng, .3) else ' '])}{where}"
    return shoot(text, beats[0], rng)


def tell_headed(story, rng):
    """One place for all is said first, else prose."""
    beats = story["beats"]
    light = beats[0]["scene"]["light_words"]
    if any(b["scene"] is not beats[0]["scene"] for b in beats):
        if not light or any(b["scene"]["light_words"] for b in beats if b["scene"] is not beats[0]["scene"]):
            return tell_prose(story, rng)
        scenes = {}                                     # the time of day is said once and holds for all
        bare = [{**b, "scene": scenes.setdefault(id(b["scene"]), {**b["scene"], "light_words": ""})} for b in beats]
        return pick(rng, ["it is %s.", "%s.", "%s:", "all of it %s:", "everything happens %s."]) % light + " " + tell_prose({**story, "beats": bare}, rng)
    scene = {**beats[0]["scene"], "place_words": "", "light_words": ""}
    where = header(beats[0]["scene"], rng) if chance(rng, .5) else where_of(beats[0]["scene"], rng)
    return where + pick(rng, [": ", ". ", ", ", ": "]) + tell_prose({**story, "beats": [{**b, "scene": scene} for b in beats]}, rng)


TELLERS = {"prose": tell_prose, "list": tell_list, "script": tell_script, "tour": tell_tour, "together": tell_together, "headed": tell_headed}


def tell(story, total_ms, rng):
    """The prompt."""
    text = TELLERS[story["style"]](story, rng)
    named = [b["who"]["id"] for b in story["beats"] if b["who"]["named"]]
    if story["soft"]:
        text += ", " + pick(rng, words.SOFT)
    if named and chance(rng, .08):
        text = pick(rng, words.ABOUT) % pick(rng, named) + " " + text
    draw = rng.rand()
    if draw < .35:
        text = pick(rng, words.OPENINGS) + " " + text
    elif draw < .43:
        text = pick(rng, words.TIMED) % grammar.seconds_text(total_ms).replace(".0", "") + " " + text
    if chance(rng, .18):
        text += pick(rng, [". ", ", ", "! ", ". "]) + pick(rng, words.CLOSINGS)
    return text + pick(rng, ["", "", ".", ".", ".", "!"])


# ---------------------------------------------------------------- planning it
def beats_fitting(beats, most):
    """At most `most` beats: each figure's first one before all others, in the order of the story."""
    if len(beats) <= most:
        return beats
    firsts, rest, seen = [], [], set()
    for i, b in enumerate(beats):
        (rest if id(b["who"]) in seen else firsts).append(i)
        seen.add(id(b["who"]))
    return [beats[i] for i in sorted((firsts + rest)[:most])]


def shots_of(beat, repeats, opening, opened, g):
    """How a director films a beat: what was asked first, then closer and with a move."""
    sizes = list(g["size"])
    for j in range(repeats):
        size = beat["size"] if beat["size"] and j == 0 else sizes[0] if opening and j == 0 else sizes[1]
        opened = size if opening and j == 0 else opened
        camera = beat["camera"] if beat["camera"] and j == 0 else "zoom in" if j % 2 != (beat["action"] == "on display") else "static"
        yield sizes[max(sizes.index(size), sizes.index(opened))], camera


def plan_of(story, total_ms, g):
    """The plan's text."""
    units, least, most = total_ms // g["unit_ms"], g["shortest_ms"] // g["unit_ms"], g["longest_ms"] // g["unit_ms"]
    beats = beats_fitting(story["beats"], max(1, units // least))
    repeats = max(1, math.ceil(units / most / len(beats)))
    count = len(beats) * repeats
    lengths = [units // count + (i >= count - units % count) for i in range(count)]     # the longer ones last
    letters, ids = iter("ABCDEFGHIJ"), {}
    members = []
    for f in story["cast"]:
        ids[id(f)] = f["id"] or next(letters)
        members.append({"id": ids[id(f)], "kind": f["kind"], "phrase": f["phrase"]})
    shots, here, number, opened, first = [], None, 0, None, 0
    for b in beats:
        place = (b["scene"]["place"], b["scene"]["light"])
        opening = place != here
        for size, camera in shots_of(b, repeats, opening, opened, g):
            if opening:
                here, number, opened, first, match = place, number + 1, size, len(shots) + 1, 0
            shots.append({"scene": number, "place": place[0], "light": place[1], "size": size, "angle": "eye level", "camera": camera,
                          "actors": [{"cast": ids[id(b["who"])], "enters": 1, "action": b["action"]}], "duration": 0, "transition": "cut",
                          "match": 0 if opening else first})
            opening = False
    left = total_ms
    for i, (s, length) in enumerate(zip(shots, lengths)):
        ms = left if i == len(shots) - 1 else length * g["unit_ms"]
        left -= ms
        s["duration"] = "#" + grammar.seconds_text(ms)
        if story["soft"] and i + 1 < len(shots) and shots[i + 1]["scene"] != s["scene"]:
            s["transition"] = "dissolve"
    text = json.dumps({"cast": members, "shots": shots}, separators=(",", ":"))
    return text.replace('"#', "").replace(',"transition"', ",@").replace('",@', ',"transition"')


def total_new(rng, beats, figures):
    """Milliseconds: enough for every figure, mostly for every beat, mostly whole seconds."""
    units = max(4, int(round(beats * rng.uniform(3, 8)))) if chance(rng, .84) else int(beats * rng.uniform(6, 14)) + 4 if chance(rng, .75) else int(rng.randint(2, 10))
    units += units % 2 if chance(rng, .75) else 0
    return max(units, 2 * figures) * 500 + (int(rng.randint(1, 5)) * 100 if chance(rng, .04) else 0)


def pair_new(rng, g, ease=0.):
    """One training pair: the user's text, given members, milliseconds, the plan's text."""
    story = story_new(rng, ease)
    total = total_new(rng, len(story["beats"]), len(story["cast"]))
    prompt = tell(story, total, rng)
    given = [(f["id"], f["kind"], f["phrase"], f["id"] in prompt) for f in story["cast"] if f["given"]]
    return user_text(prompt, total, given), given, total, plan_of(story, total, g)


def user_text(prompt, total_ms, given):
    lines = "".join(f"cast: {i} = {k}: {p}\n" for i, k, p, _ in given)
    return f"{prompt}\nseconds: {grammar.seconds_text(total_ms)}\n{lines}".rstrip("\n")
