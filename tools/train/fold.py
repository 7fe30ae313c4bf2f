"""fold - the planner's tokenizer reads words that the world cannot tell apart as one word.

"strolls to the left along the seashore" and "walks left on the beach" are the same to a model that can only plan four places
and five actions. So the tokenizer folds what words.py lists onto the few words in CANON before it cuts the text into
tokens (normalizers of type Replace in tokenizer.json), and leaves out what says nothing to this world. What is left to learn
is who does what, where, in which order, seen how: a model of a million weights can.
"""
import functools
import re
import words

# ---------------------------------------------------------------- more ways to say it than the stories use
MORE = {
    "standing": "wait for|pause|stay|remain|stand by|stand around|stand tall|stand proudly|motionless|do not move|does not move|doesn't move|not moving|idle|look into the distance|look at the horizon|gaze|stare|meditate|"
                "block the way|guard|be bored|wonder|observe|lie down|nap|doze|chill|watch over|keep watch|hold still|freeze|ponder|lean|kneel|loiter|hesitate|wake up|shiver|tremble|freeze|stay put",
    "walking left": "retreat|go away|back away|slip away|escape|depart|wander off|run off|walk off|drive off|fade away|disappear to the left|vanish to the left|withdraw",
    "walking right": "trudge|stumble|creep|tiptoe|crawl|step|saunter|amble|move along|come running|come walking|swagger|prance|parade|patrol|trek|journey|dash|sprint|gallop|limp|plod|pace|"
                     "take a stroll|chase|pursue|advance|proceed|trot|march on|wade|ride|swim|go for a stroll|take a hike",
    "jumping": "bound|frolic|caper|hopscotch|bob|vault|somersault|do somersaults|rejoice|twirl|spin|cavort|romp|trampoline|boogie|disco|groove",
    "waving": "greet|greets|hail|bid farewell|welcome|gesture|nod|blow a kiss|call out|say good evening|say good morning|say good night|say goodbye|say hey|say bye bye|waves|invite|wave the hand|cheer"}
LEFT_OUT = {"standing": "be there|be|stand there|stop|rest", "waving": "waves"}       # too many other uses, or said below
PLACE_MORE = {
    "beach": "beaches|shores|ocean|sea|seafront|sandy shore|shoreline|coastline|island|islands|seashores|surf|lagoon|bay|tide|pier|harbour|palm trees|palms|palm tree|sandy cove|cove|riviera|waterside|seabed|boardwalk|"
             "sandbank|water's edge|the waves|near the waves|sunny shore|maldives|seaside town|swimming pool|poolside",
    "forest": "forests|wood|woods|jungle|woodland|woodlands|rainforest|trees|tree|pines|oaks|firs|old oaks|grove|glade|clearing|thicket|meadow|meadows|park|garden|gardens|orchard|nature|countryside|green hills|bushes|undergrowth|"
              "waterfall|wilderness|valley|swamp|field|fields|grass|lawn|campsite|campfire|farm|village|the leaves|branches|ferns|backyard|hedge|bamboo|mushrooms|greenery|moss",
    "desert": "deserts|dunes|dune|sahara|sand dunes|sand dune|sandy desert|canyon|canyons|wasteland|wastelands|outback|badlands|pyramids|pyramid|cacti|cactus|cactuses|ruins|mars|moon|egypt|wild west|oasis|savannah|dust|gobi|"
              "sand hills|hot rocks|temples|arizona|dry land|desert sand|desert sun|mesa|steppe|prairie|planet|nevada|mirage|drought|cactus plants",
    "snow": "snows|snowy mountains|snowy mountain|mountains|mountain|ice|glacier|glaciers|north pole|south pole|arctic|antarctic|antarctica|alps|winter|wintry landscape|winter landscape|winter wonderland|winter land|ski slope|ski slopes|"
            "icebergs|iceberg|snowfield|snowfields|snow field|blizzard|snowstorm|frozen lake|frost|snowy hills|snowy hill|snowy peak|snowy peaks|peaks|lapland|greenland|siberia|igloo|igloos|snowflakes|icy north|snowfall|snowman|"
            "snowmen|tundra|christmas|ski resort|icy mountain|icy mountains|cold|deep snow|everest|himalaya|himalayas|slopes|polar ice|frozen river|frozen north|snow hills|december"}
LIGHT_MORE = {"day": "day|daytime|daylight|morning|mornings|noon|midday|afternoon|sunrise|dawn|sunshine|sunlight|sunny day|full sun|blue sky|broad daylight|bright sunshine|bright daylight|sunny|bright day|sunlit",
              "night": "night|nights|nighttime|night time|evening|evenings|midnight|sunset|dusk|moonlight|the dark|darkness|the stars|starlight|nightfall|moonlit|starry night|starry sky|full moon|night sky|twilight|dead of night|moonlight|"
                       "after dark|under the moon|when the sun has set|in the dark of night|night falls|nocturnal|starlit"}
CAMERA = r"(?:(?:and |while |as |then |, )?(?:the |our |a |your )?(?:film )?camera(?:man)? (?:then |now |just |simply |only |slowly |gently |smoothly |softly ){0,6})"
SLOW = r"(?:(?:a |an |the )?(?:very |slow |slowly |gentle |gently |dramatic |quick |soft |smooth |short |long |camera |wide |leftward |rightward ){0,6})"
GO = r"(?:pan(?:s|ning|ned)?|sweep(?:s|ing)?|swing(?:s|ing)?|drift(?:s|ing)?|track(?:s|ing)?|glid(?:e|es|ing)|tilts?|swivels?|whip pan)"
GO_WITH_CAMERA = r"(?:pan(?:s|ning)?|sweeps?|moves?|moving|slides?|sliding|swings?|turns?|glides?|gliding|drifts?|travels?|tracks?|goes|follows?|rotates?|is panning|is moving|shifts?|flies)"
ACROSS = r"(?: (?:slowly|gently|smoothly|across|over|along|it|the camera|of the camera|camera)){0,6}"
BEFORE = r"(?:(?:in|on|at|by|near|through|across|over|along|alongside|among|amongst|between|under|beneath|beside|into|past|around|from|to|of|amid|inside|towards|up|down|onto|next to|behind|against|beyond|via|past|within|upon|above|below|out) )?"
ARTICLES = "(?:(?:the|a|an|this|that|same|very) ){0,2}"
ADJECTIVES = ("(?:(?:the|a|an|this|that|its|some|tall|deep|sunny|snowy|green|vast|wide|big|cold|hot|frozen|icy|sandy|misty|magic|magical|enchanted|falling|fresh|white|quiet|lonely|beautiful|lovely|endless|empty|open|thick|old|heat|middle|edge|"
              "top|heart|of|strange|winter|warm|tropical|palm|little|small|great|high|steep|rocky|dusty|wild|silent|foggy|pine|fir|bare|distant|colourful|colorful|peaceful|stormy|windy|sunlit|hidden|golden|burning|freezing|"
              "dry|lush|first|holiday|summer|land) ){0,4}")


def either(text):
    """A group of all entries, the longest first."""
    return "(?:" + "|".join(sorted({re.escape(t).replace(r"\ ", " ").replace(r"\-", "[- ]") for t in text.split("|")}, key=lambda t: (-len(t), t))) + ")"


def forms(bases):
    """All the forms of verbs (base forms): walk, walks, walking, walked."""
    import stories
    out = []
    for b in bases.split("|"):
        head, _, rest = b.partition(" ")
        past = {"stand": "stood", "sit": "sat", "run": "ran", "go": "went", "leave": "left us", "sleep": "slept", "leap": "leapt", "flee": "fled", "wake": "woke", "think": "thought", "say": "said"}.get(
            head, head + "d" if head.endswith("e") else head[:-1] + "ied" if head.endswith("y") and head[-2] not in "aeiou" else head + head[-1] + "ed" if head in "hop skip stop step jog".split() else head + "ed")
        out += [b, stories.third(b), stories.ing(b), f"{past} {rest}".strip()]
    return either("|".join(out))


def joined(pairs):
    """Neighbours that become the same, as one rule."""
    out = []
    for pattern, becomes in pairs:
        if out and out[-1][1] == becomes:
            out[-1] = (f"{out[-1][0]}|{pattern}", becomes)
        else:
            out.append((pattern, becomes))
    return out


def rules():
    """(pattern, what it becomes), applied in this order to small letters."""
    nouns = lambda table: "|".join(n for _, group in table for n in group.split("|"))
    bare = lambda text: "|".join(re.sub(r"^(the|a|an) ", "", t) for t in text.split("|"))
    verbs = {a: "|".join(v for v in (words.VERBS[a] + "|" + MORE[a]).split("|") if v not in LEFT_OUT.get(a, "").split("|")) for a in words.VERBS}
    walks = "|".join(v for v in (words.VERBS["walking right"] + "|" + words.VERBS["walking left"] + "|" + MORE["walking right"] + "|" + MORE["walking left"] + "|go|goes|move|come|take off|roll|slide|fly|drive|cross|turn|step|follow|bolt|head|head off|set off|disappear|vanish").split("|")
                     if not v.endswith((" left", " right", "scene")))
    out = [
        (r"(?<=[a-z])-(?=[a-z])|\bfrom (?:the )?(?:left|right)(?: side| hand side)?\b", " "),
        # the camera, first: its left and right are not the figure's
        (rf"\b{CAMERA}(?:is )?(?:creep|mov|com|go|push|dolly|zoom|fl|float|glid|crawl)(?:s|es|ies|ing|ying|e|y)? (?:in |up |closer )?(?:to|towards|toward|on|into)\b(?! the (?:left|right))(?! (?:left|right))", " camerazoom "),
        (rf"\b{CAMERA}(?:follows|tracks|accompanies|moves with|following|tracking) (?:\w+ )?(?:to |towards )?(?:the )?left\b", " cameraleft "),
        (rf"\b{CAMERA}(?:follows|tracks|accompanies|moves with|following|tracking) (?:\w+ )?(?:to |towards )?(?:the )?right\b", " cameraright "),
        (rf"\b(?:(?:let |have |make )?{CAMERA}(?:rests?|lingers?|resting|lingering|holds?|stays?)(?: still)? on)\b", " camerastatic "),
        (rf"\b{CAMERA}?{SLOW}(?:zoom(?:s|ing)?(?: shot)?|dolly|dollies|push(?:es|ing)?(?: shot)?(?= in)|push in|clos(?:es|ing)(?= in)|close in|creep(?:s|ing)? closer|(?:mov|com|gett?|glid)(?:es?|s|ing) (?:slowly )?(?:in )?(?:much )?clos(?:er|e)\b|bring the camera closer|"
         rf"move the camera closer|getting closer|goes? closer|draws near)(?: in\b)?(?: slowly| gently| close| on\b| and closer| closer)*", " camerazoom "),
        (rf"\b{CAMERA}(?:approaches|moves in|moving in|goes in|comes in|is zooming in|(?:is )?(?:moving|coming|getting) closer|creeps in|(?:gets|comes|moves|goes|glides|creeps|zooms) (?:slowly )?(?:in )?(?:nearer|near|closer|close|in)(?: and closer)?)\b", " camerazoom "),
        (rf"\b(?:{CAMERA}{GO_WITH_CAMERA}|{CAMERA}?{SLOW}{GO})(?: shot)?{ACROSS}(?: (?:away|off|out))? ?(?:to |towards )?(?:the |your )?left\b", " cameraleft "),
        (rf"\b{CAMERA}?{SLOW}(?:left|leftward) (?:pan|sweep)\b", " cameraleft "),
        (rf"\b(?:move|turn|slide|pan|swing) (?:the |it )?(?:camera )?(?:slowly )?(?:to )?(?:the )?left\b", " cameraleft "),
        (rf"\b(?:{CAMERA}{GO_WITH_CAMERA}|{CAMERA}?{SLOW}{GO})(?: shot)?{ACROSS}(?: (?:away|off|out))? ?(?:to |towards )?(?:the |your )?right\b", " cameraright "),
        (rf"\b{CAMERA}?{SLOW}(?:right|rightward) (?:pan|sweep)\b", " cameraright "),
        (rf"\b(?:move|turn|slide|pan|swing) (?:the |it )?(?:camera )?(?:slowly )?(?:to )?(?:the )?right\b", " cameraright "),
        (rf"\b(?:{CAMERA}(?:pan(?:s|ning)?|sweeps?){ACROSS}|{SLOW}pan(?:s|ning)?(?: shot)?{ACROSS})\b", " cameraright "),
        (rf"\b(?:{CAMERA}(?:stays|does not move|doesn't move|is (?:still|static|locked|fixed|not moving|motionless)|stands still|holds still|never moves|keeps still|remains|stays? still|static|still|fixed|rests|stays put|stays fixed)(?: still| put| fixed)?|"
         rf"(?:hold|keep|leave) the camera (?:still|static|fixed|steady)(?: on)?|no (?:camera )?(?:movement|moves|motion)(?: of the camera| at all)?|do not move the camera|don't move the camera|"
         rf"(?:static|still|fixed|locked(?: off)?|steady|motionless|tripod|unmoving) (?:camera|shot)|\bstatic\b)", " camerastatic "),
        (rf"\b(?:{either('|'.join(w for w, _ in [words.SIZES['wide']]) + '|wide shot|establishing shot|long shot|wide view|from far away|seen from far away|from afar|from a distance|wide angle|seen from a distance|shown from afar')})", " sizewide "),
        (rf"\b(?:{either(words.SIZES['medium'][0] + '|close up|close-up|closeup|medium shot|closer shot|up close|seen up close|close shot|from close by|portrait|portrait of|extreme close-up')})", " sizemedium "),
        (r"\b(?:says?|saying|said|wish|wishes|wishing) (?:\w+ )?(?:a )?good (?:morning|evening|night|day|bye|afternoon)\b", " doeswave "),
        # when and where
        (rf"\b{BEFORE}{ARTICLES}(?:(?:bright|full|early|late|clear|dark|fine|one|same|next|starry|warm|long|good) )*{either(bare(words.LIGHTS['night']) + '|' + LIGHT_MORE['night'])}(?! the)(?!'s)\b", " lightnight "),
        (rf"\b{BEFORE}{ARTICLES}(?:(?:bright|full|early|late|clear|fine|one|same|next|warm|long|good|rainy) )*{either(bare(words.LIGHTS['day']) + '|' + LIGHT_MORE['day'])}\b(?! with| for| of|'s)", " lightday ")]
    order = [" ", " camerazoom ", " cameraleft ", " cameraright ", " camerastatic "]
    out.sort(key=lambda rule: order.index(rule[1]) if rule[1] in order else len(order))         # stable: neighbours can be joined
    for place in ("snow", "desert", "beach", "forest"):
        names = bare(nouns(words.PLACES[place]) + "|" + "|".join(words.SEASONS[place] + words.HEADS[place])) + "|" + PLACE_MORE[place]
        names = "|".join(n for n in names.split("|") if n not in ("waves", "leaves", "shop", "town", "street", "bar", "office", "mall", "city", "kitchen", "sand", "water", "river", "lake", "pool", "heat", "cave", "space", "outdoors"))
        out.append((rf"\b{BEFORE}{ADJECTIVES}{either(names)}\b", f" place{place} "))
    out += [(rf"\b{BEFORE}(?:the |a )(?:sand|water|pool|lake|river)\b", " placebeach "), (rf"\b(?:on|in|across|at) (?:the )?(?:cave|space|heat)\b", " placedesert "),
            (rf"\b{BEFORE}(?:the |a |our )(?:shop|town|street|bar|office|mall|city|kitchen)\b", " placebeach ")]
    # what somebody does
    direction = r"(?:(?: (?!and\b|then\b|camera|place|light|the\b|a\b)[a-z']+){0,3})? (?:to |towards )?(?:the )?"
    for side in ("left", "right"):
        out += [(rf"\b(?:{forms(walks)}){direction}{side}\b", f" walks{side} "), (rf"\b(?:to the|towards the) {side}\b", f" walks{side} ")]
    for action, token in (("waving", "doeswave"), ("jumping", "doesjump"), ("walking left", "walksleft"), ("walking right", "walksright"), ("standing", "doesstand")):
        out.append((rf"\b(?:{forms(verbs[action])})\b(?!-| now| with love)", f" {token} "))
    out += [(r"\b(?:rests?|resting|rested)\b", " doesstand ")]
    # how somebody looks
    for shape in ("tall", "round", "square"):
        out.append((rf"\b{either('|'.join(w for w in words.SHAPES[shape].split('|') if w not in ('long', 'big', 'strong', 'high', 'huge', 'small', 'tiny', 'cute', 'short', 'broad')))}\b", f"{shape}"))
    for colour in words.COLOURS:
        out.append((rf"\b{either(words.COLOURS[colour])}\b", colour))
    out += [(rf"\b(?:{either('|'.join(w for w in words.HATS['crown'].split('|') if w != 'crowned'))}|(?:with |wearing |wears |in |and )?(?:a |the |its |his |her )?(?:yellow |little |tiny |big )?crown(?: on (?:its|his|her) head)?)\b", " withcrown "),
            (rf"\b(?:{either(words.HATS['top hat'])}|(?:with |wearing |wears |in |and )?(?:a |the |its |his |her )?(?:tall |purple |big |yellow |top |elegant )*hat(?: on (?:its|his|her) head)?)\b", " withhat ")]
    plain = lambda text: "|".join(w for w in text.split("|") if w not in ("watch", "book", "glass", "drink", "toy", "bag", "phone", "cream", "oil", "ice cream"))
    for product in ("bottle", "cup"):
        out.append((rf"\b{either(plain(words.PRODUCTS[product]))}(?:s|es)?\b", product))
    kept = sorted(set(KEPT) | set(words.NOUNS) | set(words.SHAPES) | set(words.COLOURS) | set(words.PRODUCTS))
    return joined(out) + [(rf"\b(?!(?:{'|'.join(kept)})\b)[a-z][a-z']*", " ")] + SPELL + [(r" +", " "), (r" (?=[,.:;!?)])", "")]


# what is neither folded nor left out
KEPT = ("system user assistant seconds cast character product placebeach placeforest placedesert placesnow lightday lightnight camerazoom cameraleft cameraright camerastatic sizewide sizemedium walksleft walksright "
        "doeswave doesjump doesstand withcrown withhat a the and then while he she it they both him her next finally after before two first dissolve dissolves fade fades soft same bubu kiki toto").split()
# what the folded words look like to the tokenizer
SPELL = [("placebeach", "on the beach"), ("placeforest", "in the forest"), ("placedesert", "in the desert"), ("placesnow", "in the snow"), ("lightday", "by day"), ("lightnight", "at night"),
         ("camerazoom", "the camera zooms in"), ("cameraleft", "the camera pans left"), ("cameraright", "the camera pans right"), ("camerastatic", "static camera"), ("sizewide", "wide shot"), ("sizemedium", "close up"),
         ("walksleft", "walks left"), ("walksright", "walks right"), ("doeswave", "waves"), ("doesjump", "jumps"), ("doesstand", "stands"), ("withcrown", "with a crown"), ("withhat", "with a top hat")]


@functools.lru_cache(50000)
def fold(text):
    for pattern, becomes in compiled():
        text = pattern.sub(becomes, text)
    return text


def compiled(cache=[]):
    if not cache:
        cache.extend((re.compile(p), b) for p, b in rules())
    return cache


def normalizers():
    """As tokenizer.json has them."""
    return [{"type": "NFC"}, {"type": "Lowercase"}] + [{"type": "Replace", "pattern": {"Regex": p}, "content": b} for p, b in rules()]
