"""grammar - the shot list as a walk through literals and choices; the twin of the planner's grammar in C.

walk() yields ("literal", text) and ("choice", options) pieces and is sent the index of each choice. An option includes the
one character that follows it in the plan, so that none is a prefix of another. packs/README.md is the contract.
"""
import string
from world import cast, clip


ALIAS = ["bubu", "kiki", "toto"]              # what the planner calls those whom a campaign names


def grammar_json():
    """The vocabulary of this world's plans, as planner/grammar.json has it."""
    colours = list(cast.COLOURS)
    hats = ["" if h == "none" else " with a " + h for h in cast.HATS]
    return {"shortest_ms": 1000, "unit_ms": 500, "longest_ms": 4000, "max_cast": 3, "max_actors": 1, "alias": ALIAS,
            "phrases": {"character": [["a "], colours, [" "], cast.BODIES, [" monster"], hats],
                        "product": [["a "], colours, [" "], cast.PRODUCTS]},
            "actions": {"character": {a: a for a in cast.ACTIONS}, "product": {"on display": "on display"}},
            "place": clip.PLACE_WORDS, "light": clip.LIGHT_WORDS, "size": clip.SIZE_WORDS, "angle": {"eye level": ""},
            "camera": clip.CAMERA_WORDS, "transition": {"cut": "", "dissolve": ""}}


def seconds_text(ms):
    """Seconds with one decimal, or as many as they need."""
    text = f"{ms / 1000:.3f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def durations(g, left_ms):
    """What the next shot may last, in milliseconds; what is no multiple of the unit falls to the last shot."""
    unit = g["unit_ms"]
    whole = left_ms // unit * unit
    options = [d for d in range(g["shortest_ms"], g["longest_ms"] + 1, unit) if whole == d or whole - d >= g["shortest_ms"]]
    return [left_ms if d == whole else d for d in options] or [left_ms]


def _pick(options):
    """A choice between options, or the literal when there is only one. Returns the index."""
    if len(options) == 1:
        yield "literal", options[0]
        return 0
    return (yield "choice", options)


def _member(g, id_):
    """A new member of the cast. Returns its kind."""
    kinds = list(g["phrases"])
    yield "literal", '{"id":"%s","kind":"' % id_
    kind = kinds[(yield from _pick([k + '"' for k in kinds]))]
    yield "literal", ',"phrase":"'
    lists, eaten = g["phrases"][kind], 0
    for i, entries in enumerate(lists):
        if len(entries) == 1:
            yield "literal", entries[0][eaten:]
            eaten = 0
            continue
        follower = lists[i + 1][0][0] if i + 1 < len(lists) else '"'
        yield from _pick([e + follower for e in entries])
        eaten = 1
    yield "literal", "}" if eaten else '"}'
    return kind


def _rooms(g, left_ms):
    """How many shots fit in what is left."""
    return 0 if left_ms <= 0 else max(1, left_ms // g["shortest_ms"])


def _cast(g, given, total_ms):
    """The cast: given members [(id, kind, phrase, named)] first. Returns [(id, kind)] and the ids that must be shown: those
    that the prompt names, and all new ones."""
    members, owed = [], []
    yield "literal", '{"cast":['
    for i, (id_, kind, phrase, named) in enumerate(given):
        yield "literal", ("," if i else "") + '{"id":"%s","kind":"%s","phrase":"%s"}' % (id_, kind, phrase)
        members.append((id_, kind))
        owed += [id_] if named else []
    while True:
        if members:
            if len(members) >= g["max_cast"] or len(owed) >= _rooms(g, total_ms) * g["max_actors"]:
                yield "literal", "]"
                return members, owed
            if (yield "choice", ["]", ","]) == 0:
                return members, owed
        id_ = next(c for c in string.ascii_uppercase if c not in [m[0] for m in members])
        kind = yield from _member(g, id_)
        members.append((id_, kind))
        owed.append(id_)


def _actors(g, members, owed, later):
    """Who plays in a shot that `later` more can follow; takes those who enter out of owed."""
    free, count, most = list(members), 0, g["max_actors"]
    yield "literal", ',"actors":['
    while True:
        yield "literal", '{"cast":"'
        short = len(owed) > later * most + most - count - 1         # no place is left for anybody who is not owed
        options = [m for m in free if m[0] in owed] if short and any(m[0] in owed for m in free) else free
        id_, kind = options[(yield from _pick([m[0] + '"' for m in options]))]
        free.remove((id_, kind))
        if id_ in owed:
            owed.remove(id_)
        count += 1
        yield "literal", ',"enters":%d,"action":"' % count
        yield from _pick([a + '"' for a in g["actions"][kind]])
        yield "literal", "}"
        if not free or count >= most:
            yield "literal", "]"
            return
        if len(owed) > later * most:
            yield "literal", ","
        elif (yield "choice", ["]", ","]) == 0:
            return


def _lengths(g, left_ms, owed):
    """The lengths that leave enough shots for those who are owed; the shortest one when none does."""
    options = durations(g, left_ms)
    return [d for d in options if _rooms(g, left_ms - d) * g["max_actors"] >= owed] or options[:1]


def _shot(g, number, before, members, owed, left_ms):
    """One shot. before is (scene, place, light, size of its first shot) of the last shot. Returns the new one and the duration."""
    yield "literal", '{"scene":'
    scene = before[0] + (yield from _pick(["%d," % before[0], "%d," % (before[0] + 1)])) if before else 1
    if not before:
        yield "literal", "1,"
    values, same = {}, before and scene == before[0]
    for field, key in (("place", '"place":"'), ("light", ',"light":"')):
        yield "literal", key
        words = [before[1 if field == "place" else 2]] if same else list(g[field])
        values[field] = words[(yield from _pick([w + '"' for w in words]))]
    for field in ("size", "angle", "camera"):
        yield "literal", ',"%s":"' % field
        words = list(g[field])
        if field == "size" and same:                                # a scene opens with its widest shot
            words = words[words.index(before[3]):]
        values[field] = words[(yield from _pick([w + '"' for w in words]))]
    yield from _actors(g, members, owed, _rooms(g, left_ms) - 1)
    yield "literal", ',"duration":'
    times = _lengths(g, left_ms, len(owed))
    lasts = times[(yield from _pick([seconds_text(t) + "," for t in times]))]
    yield "literal", '"transition":"'
    yield from _pick(['cut"'] if lasts == left_ms else [t + '"' for t in g["transition"]])
    yield "literal", ',"match":'
    yield from _pick(["%d}" % n for n in range(number)])
    return (scene, values["place"], values["light"], before[3] if same else values["size"]), lasts


def walk(g, given, total_ms):
    """All pieces of a plan of total_ms; given: [(id, kind, phrase, named)]."""
    members, owed = yield from _cast(g, given, total_ms)
    yield "literal", ',"shots":['
    before, left, number = None, total_ms, 1
    while left > 0:
        if before:
            yield "literal", ","
        before, lasts = yield from _shot(g, number, before, members, owed, left)
        left -= lasts
        number += 1
    yield "literal", "]}"


def pieces_of(g, given, total_ms, plan):
    """The pieces of a finished plan's text: [(text, None)] for literals, joined, and [(text, options)] for choices."""
    out, at, walker = [], 0, walk(g, given, total_ms)
    answer = None
    while True:
        try:
            kind, value = walker.send(answer)
        except StopIteration:
            break
        answer, options = None, None
        text = value
        if kind == "choice":
            answer = next((i for i, o in enumerate(value) if plan.startswith(o, at)), None)
            if answer is None:
                raise ValueError(f"no option of {value} at {plan[at:at + 40]!r}")
            text, options = value[answer], value
        if not plan.startswith(text, at):
            raise ValueError(f"expected {text!r} at {plan[at:at + 40]!r}")
        at += len(text)
        if options is None and out and out[-1][1] is None:
            out[-1] = (out[-1][0] + text, None)
        elif text:
            out.append((text, options))
    if at != len(plan):
        raise ValueError(f"left over: {plan[at:]!r}")
    return out
