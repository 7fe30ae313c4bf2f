"""words - what people call the things that the world can draw, and how they ask to see them.

Everything here means one value of the grammar. Things that the world does not have (a city, a shoe, orange) stand with
the nearest one that it has.
"""

# ---------------------------------------------------------------- places: prepositions, and the nouns that take them
PLACES = {
    "beach": [("on at", "the beach|a sunny beach|a sandy beach|the shore|the seashore|a tropical island|the coast|the sand|the waterfront|a desert island|the boardwalk"),
              ("by at near", "the sea|the seaside|the ocean|the water|the waves|the palm trees|a lagoon|the harbour|the bay|the lighthouse|the pool|the lake|the river"),
              ("in at", "the surf|hawaii|the city|the shop|the kitchen|town|the street|florida|the tropics|the caribbean|the mall|the bar|the office")],
    "forest": [("in through", "the forest|the woods|the jungle|a green forest|a magic forest|the park|the garden|a meadow|nature|the woodland|the rainforest|a deep forest|the countryside|"
                "the grove|the thicket|the orchard|the bushes|an enchanted forest|the wilderness|a pine forest|a green valley|the swamp"),
               ("among under between", "the trees|the pines|tall trees|old oaks|the leaves|the branches|the fir trees|green trees|the ferns"),
               ("on at in", "the farm|a village|the field|the grass|a forest path|a forest trail|a clearing|the campsite|a lawn")],
    "desert": [("in through across", "the desert|the dunes|the sahara|a canyon|the wasteland|the ruins|a dry land|the outback|the badlands|a hot desert|the sand dunes|the wild west|the desert sand"),
               ("between among near", "the dunes|the cacti|the cactuses|the pyramids|hot rocks|the sand hills|the temples|the cactus plants"),
               ("on in", "mars|the moon|egypt|space|arizona|texas|a strange planet|a cave|a dune|the hot sand|a desert road|the sahara")],
    "snow": [("in through", "the snow|the snowy mountains|the mountains|a winter land|the cold|the alps|antarctica|a blizzard|the snowy hills|a winter wonderland|the arctic|lapland|"
              "a snowstorm|greenland|siberia|deep snow|fresh snow|falling snow|a white winter landscape|the icy mountains"),
             ("on at", "the ice|a frozen lake|the glacier|a ski slope|a snowy hill|a snowy peak|an icy mountain|the north pole|the south pole|the ski resort|a mountain top|the iceberg|a snow field"),
             ("among near", "the snowflakes|the snowmen|the igloos|the icebergs|the snowy peaks|the snow hills")]}
SEASONS = {"beach": ["in summer", "on holiday", "on vacation", "in the heat of summer"], "forest": ["in spring", "outdoors", "out in nature", "in autumn"],
           "desert": ["under the hot sun", "in the heat", "in the dust"], "snow": ["in winter", "at christmas", "in the cold of winter", "on a snowy day", "in december", "while it snows"]}
HEADS = {"beach": ["beach", "seaside", "ocean beach", "the beach", "a beach", "seashore", "the coast", "sandy beach"], "forest": ["forest", "woods", "the forest", "a forest", "jungle", "the woods", "woodland"],
         "desert": ["desert", "dunes", "the desert", "a desert", "sahara", "sand dunes", "canyon"], "snow": ["snow", "snowy mountains", "the snow", "winter", "snow field", "mountains", "ice", "arctic", "snowy hills"]}
LIGHTS = {"day": "by day|in the morning|at noon|on a sunny day|in daylight|in the sun|on a bright day|in the afternoon|in the sunshine|at midday|under a blue sky|in bright daylight|at sunrise|"
                 "on a sunny morning|in full sun|in the early morning|during the day|in broad daylight|on a fine day|one morning",
          "night": "at night|in the evening|under the stars|by moonlight|at midnight|in the dark|at sunset|under the moon|after dark|at dusk|late at night|under a starry sky|in the moonlight|"
                   "during the night|in the night|under the full moon|at nightfall|in darkness|on a dark night|one night|when the sun has set|under the night sky"}
LIGHT_HEADS = {"day": ["day", "morning", "noon", "daytime", "sunny", "daylight", "afternoon", "bright day", "sunshine"],
               "night": ["night", "evening", "midnight", "nighttime", "moonlight", "dark", "dusk", "night time", "starry night"]}

# ---------------------------------------------------------------- figures
COLOURS = {"red": "red|crimson|scarlet|ruby|pink|brown|cherry red|dark red|bright red|rose|coral", "yellow": "yellow|golden|gold|orange|lemon|white|bright yellow|sunny yellow|amber|blond",
           "green": "green|emerald|lime|mint|olive|dark green|light green|bright green|grassy green|jade", "blue": "blue|navy|azure|turquoise|sky blue|silver|grey|light blue|dark blue|teal|deep blue|cyan",
           "purple": "purple|violet|lilac|magenta|black|lavender|plum|dark purple|indigo|mauve"}
SHAPES = {"round": "round|chubby|fat|plump|ball shaped|cute|small|tiny|tubby|spherical|rounded|chunky|bulbous|roly poly|short",
          "square": "square|boxy|blocky|cube shaped|big|strong|box shaped|cubic|rectangular|bulky|sturdy|broad", "tall": "tall|slim|long|thin|skinny|slender|giant|lanky|very tall|towering|lean|high|huge"}
HATS = {"crown": "with a crown|wearing a crown|with a golden crown|in a crown|who wears a crown|with a crown on its head|and its crown|with a little crown|sporting a crown|crowned",
        "top hat": "with a top hat|wearing a top hat|in a top hat|with a black hat|wearing a hat|with a hat|who wears a top hat|with a tall hat|in a black top hat|with a top hat on its head|with an elegant hat|in a hat"}
# what a noun means where no adjective says otherwise: shape, colour, hat
NOUNS = {"monster": ("round", "red", "none"), "creature": ("round", "green", "none"), "character": ("round", "blue", "none"), "hero": ("square", "red", "none"), "beast": ("square", "red", "none"),
         "mascot": ("round", "yellow", "none"), "fellow": ("tall", "blue", "none"), "robot": ("square", "blue", "none"), "alien": ("tall", "green", "none"), "being": ("tall", "blue", "none"),
         "king": ("round", "yellow", "crown"), "queen": ("tall", "purple", "crown"), "prince": ("tall", "blue", "crown"), "princess": ("round", "red", "crown"), "guy": ("tall", "blue", "none"),
         "magician": ("tall", "purple", "top hat"), "gentleman": ("tall", "blue", "top hat"), "wizard": ("tall", "purple", "top hat"), "mayor": ("round", "blue", "top hat"),
         "dragon": ("tall", "green", "none"), "dinosaur": ("tall", "green", "none"), "frog": ("round", "green", "none"), "bear": ("round", "red", "none"), "ogre": ("square", "green", "none"),
         "cat": ("round", "yellow", "none"), "dog": ("square", "yellow", "none"), "knight": ("square", "blue", "none"), "ghost": ("tall", "purple", "none"), "giant": ("tall", "green", "none"),
         "girl": ("round", "red", "none"), "boy": ("square", "blue", "none"), "man": ("tall", "blue", "none"), "woman": ("tall", "red", "none"), "blob": ("round", "purple", "none"),
         "troll": ("square", "green", "none"), "yeti": ("tall", "blue", "none"), "explorer": ("tall", "yellow", "top hat"), "traveller": ("tall", "blue", "top hat"), "goblin": ("round", "green", "none"),
         "pirate": ("square", "purple", "top hat"), "chef": ("round", "red", "top hat"), "ruler": ("tall", "purple", "crown"), "friend": ("round", "blue", "none")}
EPITHETS = "friendly happy little funny silly lovely furry brave old young clever hungry sleepy lonely famous fluffy shy proud noisy curious magical cheerful grumpy lazy crazy nice good".split()
PRODUCTS = {"cup": "cup|mug|coffee cup|tea cup|cup of coffee|cup of tea|coffee|tea|latte|cocoa|soup|cake|shoe|sneaker|phone|watch|bag|book|espresso|cappuccino|hot chocolate|mug of tea|goblet|bowl|"
                   "glass|teacup|coffee mug|ice cream|sandwich|toy|headphones|tumbler",
            "bottle": "bottle|water bottle|soda|lemonade|juice|perfume|drink|bottle of water|shampoo|wine|potion|cola|oil|sauce|cream|milk|bottle of juice|glass bottle|flask|iced tea|soap|lotion|syrup|"
                      "sports drink|mineral water|bottle of lemonade|beer|ketchup|sunscreen|magic potion|medicine"}
PRAISE = "new|fresh|delicious|brand new|cold|hot|lovely|best|famous|special|tasty|shiny|beautiful|elegant|limited|original|organic|premium|sparkling".split("|")

# ---------------------------------------------------------------- actions, as base forms; the first word bends
VERBS = {"standing": "stand|stand still|wait|pose|look around|rest|sit|think|pose for the camera|admire the view|relax|stand there|smile|sleep|listen|dream|enjoy the view|look at us|stand quietly|"
                     "stand guard|watch the clouds|keep still|take a break|stay there|wait for a friend|look at the sky|be there|stand alone|stand motionless|stop|linger",
         "walking left": "walk left|walk to the left|run left|go left|run to the left|head left|march left|stroll to the left|move left|wander left|go back|leave|walk away|run away|walk home|hurry back|"
                         "return|walk off to the left|walk towards the left|step to the left|flee|go home|turn back|sneak to the left|march to the left|rush left|stroll left|travel left|move to the left",
         "walking right": "walk right|walk to the right|run right|go right|run to the right|head right|walk|run|arrive|travel|explore|come along|march|stroll|wander|hike|hurry|rush|jog|go for a walk|"
                          "move forward|set off|stride|sneak|race|roam|go for a run|pass by|walk along|stroll to the right|move right|wander to the right|march to the right|take a walk|walk towards the right|"
                          "march right|step to the right|go exploring|cross the scene",
         "jumping": "jump|hop|leap|bounce|dance|jump up and down|jump for joy|celebrate|play|skip|leap into the air|bounce around|jump high|jump with joy|party|spring up|jump around|hop up and down|do a dance|"
                    "leap for joy|hop around|jump over a log|jump in the air|bounce up and down|do a big jump|dance around|make a jump|practise jumping",
         "waving": "wave|say hello|greet us|wave goodbye|wave at us|invite you|say hi|say goodbye|wave hello|welcome you|give a wave|raise a hand|beckon|wave to the crowd|greet the fans|wave back|"
                   "wave at the camera|wave happily|wave both arms|greet everyone|say bye|wave to us|wave to the viewers|wave farewell|lift a hand to greet|salute|signal to us"}
SHOWN = ("be shown|stand on a pedestal|be on display|appear|shine|be presented|wait for you|be the star|stand there|sparkle|glow|steal the show|rest on a pedestal|sit on a stand|look great|gleam|be on sale|"
         "be revealed|be waiting|be ready|stand|be on show|be seen|come into view|take the stage").split("|")
GREETED = {"waving": ["wave at", "wave to", "greet", "say hello to", "wave goodbye to", "welcome"], "walking right": ["walk to", "run to", "follow", "walk towards", "look for"],
           "standing": ["wait for", "look at", "watch", "stand next to"], "walking left": ["run away from", "walk away from", "flee from"], "jumping": ["jump with", "dance with", "play with"]}
MANNERS = "happily slowly quickly proudly gently quietly again alone cheerfully calmly excitedly carefully bravely gracefully lazily".split()
DOUBLED = "run sit hop jog skip set get stop step".split()

# ---------------------------------------------------------------- camera: what it does, as a noun, as an order
MOVES = {
    "static": ("stays still|does not move|is still|is static|stands still|is locked|holds still|stays fixed|never moves|keeps still|remains still|stays put|doesn't move|is fixed",
               "static camera|still camera|fixed camera|static shot|locked camera|tripod shot|steady camera|motionless camera|locked off shot",
               "hold the camera still|keep the camera still|no camera movement|do not move the camera|static|leave the camera still|no camera moves|keep the camera static"),
    "pan left": ("pans left|pans to the left|sweeps left|moves left|slides to the left|swings left|turns left|glides left|drifts left|pans across to the left|travels left|slowly pans left|moves to the left|pans slowly to the left",
                 "pan left|pan to the left|left pan|slow pan left|leftward pan|sweep to the left|slow pan to the left|camera pan left|gentle pan left",
                 "pan left|pan to the left|sweep left|move the camera left|slowly pan left|turn the camera left|slide left|pan the camera to the left|swing to the left"),
    "pan right": ("pans right|pans to the right|sweeps right|moves right|slides to the right|swings right|turns right|glides right|drifts right|pans across|pans across to the right|travels right|slowly pans right|"
                  "moves to the right|pans slowly|pans along|pans slowly to the right",
                  "pan right|pan to the right|right pan|slow pan right|rightward pan|sweep to the right|slow pan|pan|slow pan to the right|camera pan right|gentle pan right|pan across",
                  "pan right|pan to the right|sweep right|move the camera right|slowly pan right|turn the camera right|slide right|pan across|pan slowly|pan the camera to the right|swing to the right"),
    "zoom in": ("zooms in|zooms in slowly|moves closer|moves in|pushes in|comes closer|gets closer|creeps closer|dollies in|closes in|goes in close|slowly moves closer|approaches|slowly zooms in|zooms|slowly pushes in|"
                "moves in close|draws near|zooms closer|glides closer|slowly comes closer",
                "slow zoom|zoom in|zoom|push in|slow push in|dolly in|slow zoom in|camera zoom|push in shot|gentle zoom|dramatic zoom|zoom shot",
                "zoom in|zoom in slowly|move closer|slowly move closer|push in|get closer|zoom|go closer|move in|slowly zoom in|bring the camera closer|move the camera closer|come closer|close in")}
SIZES = {"wide": ("wide shot of|a wide shot of|establishing shot of|long shot of|a wide view of|an establishing shot shows|wide angle on", "in a wide shot|seen from far away|wide shot|from a distance|in a wide view|as a wide shot|shown from afar"),
         "medium": ("close up of|a close-up of|medium shot of|a medium shot of|closer shot of|a portrait of|closeup of|a close shot of", "in close up|in a close-up|seen up close|medium shot|close shot|from close by|in a medium shot|up close")}

# ---------------------------------------------------------------- frames of a telling
OPENINGS = ("a video of|a short film:|game trailer:|trailer:|an ad:|commercial:|make a video:|a funny clip:|cartoon:|a story:|for our new game:|promo:|a birthday video:|please show this:|a cute film:|adventure:|"
            "epic trailer:|a teaser:|tv spot:|make me a clip:|i need a video where|please make a film where|can you make a clip in which|a tiny film about|teaser for our game:|an advert:|summer campaign:|"
            "a bedtime story:|a calm film:|an epic film:|launch video:|social media clip:|short ad:|hi, i would like this:|we need a spot:|for kids:|a dreamy film:|dramatic trailer:|once upon a time,|"
            "intro for our channel:|level one:|new in our shop:|today:|storyboard:|a greeting:|video ad:|product film:|banner:|a music video:|here is my idea:|let's do this:|opening scene:|a mini movie:").split("|")
TIMED = ["a %s second spot:", "a %s second clip:", "%s seconds:", "make a %s second video:", "%ss:", "a %s-second ad:", "%s second trailer:", "a video of %s seconds:", "%s sec:"]
ABOUT = ["%s's big day:", "the adventures of %s:", "%s's story:", "a film about %s.", "starring %s:", "%s on tour:", "all about %s:", "a day with %s:", "meet %s."]
CLOSINGS = ("buy now|play now|coming soon|come and visit us|have fun|the end|order today|only this week|see you soon|get yours today|now in stores|join the adventure|don't miss it|so good|made with love|"
            "are you ready|fresh every day|half price|free delivery|in our shop|thank you|with happy music|nice colours please|keep it simple|cute style|funny mood|a happy mood|calm mood|epic mood|"
            "available now|pre-order now|taste it|for the whole family|and that's all|it should feel warm|everyone laughs|what a day").split("|")
SOFT = ["with soft fades", "with dissolves", "soft transitions", "fade between scenes", "dissolve between shots", "fading from scene to scene", "with gentle crossfades", "crossfade between the scenes"]
LEADS = ("we see|you see|there is|we watch|show|we meet|picture|here is|imagine|look at|i want to see|show me|let us see|we follow|meet|we find|the viewer sees|the film shows|you can see|we cut to|cut to|next we see").split("|")
ORDERS = ["let %s %s", "have %s %s", "make %s %s", "i want %s to %s", "%s should %s", "%s must %s", "%s will %s", "%s starts to %s", "%s begins to %s", "%s is going to %s", "%s can %s", "%s has to %s", "we watch %s %s"]
MOVED = ["cut to %s:", "next stop: %s.", "now we are %s:", "new scene, %s:", "meanwhile %s,", "later, %s,", "then, %s,", "suddenly we are %s.", "we go to %s:", "the scene changes to %s:", "%s:", "%s,", "change of scene: %s."]
STILL = ["there", "still there", "in the same place", "same place", "right there", "at the same spot"]
JOINS = [", then ", ". then ", ". ", ". ", ". ", ", and ", " and ", ". after that ", ", next ", ". finally ", ", and then ", "; ", " and then ", ". next, ", ". now ", ", followed by this: ", ". later ", ", ", " while ", ". afterwards "]
VAGUE = ("opens on monday|is open now|opens today|starts on friday|for everyone|now cheaper|half price|is back|tastes great|is here|has arrived|makes you happy|for you and your friends|every morning|at the best price|").split("|")
TRADES = "%s shop|%s bar|%s|%s sale|%s festival|new %s|%s store|%s truck|%s stand|%s season|%s day|%s company".split("|")
