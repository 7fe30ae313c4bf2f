"""unigram - the painter's tokenizer: whole words of the world, and letters for all others (UMT5's tokenizer.json layout)."""
import functools
import itertools
import string
import world.cast as cast
import world.clip as clip

PAD, EOS, BOS, UNK = 0, 1, 2, 3
SPACE = "\u2581"
LENGTH = 32                 # tokens of a prompt, padding included


def words():
    """Every word that a caption can contain."""
    texts = [clip.phrase(f) for f in cast_figures()] + cast.ACTIONS + ["on display", clip.REFERENCE_SUFFIX, "of and"]
    for table in (clip.PLACE_WORDS, clip.LIGHT_WORDS, clip.SIZE_WORDS, clip.CAMERA_WORDS):
        texts += table.values()
    for others in clip.OTHER.values():
        texts += others
    return sorted(set(" ".join(texts + ["wearing"]).replace(",", " ").split()))


def cast_figures():
    return clip.figures_all()


def pieces():
    """All pieces in the order of their ids, with their scores."""
    table = [("<pad>", 0.), ("</s>", 0.), ("<s>", 0.), ("<unk>", 0.)] + [(f"<0x{i:02X}>", 0.) for i in range(256)]
    score = itertools.count(0)
    ranked = lambda base: round(base - .0137 * next(score), 4)
    table += [(SPACE + w, ranked(-3.)) for w in words()]
    table += [(c, ranked(-3.)) for c in (",", ".")]
    table += [(SPACE, ranked(-9.))]
    table += [(c, ranked(-10.)) for c in string.ascii_lowercase + string.digits + string.ascii_uppercase + "-'!?:;\"()&/"]
    return table


def tokenizer_json():
    special = [{"id": i, "content": p, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
               for i, (p, _) in enumerate(pieces()[:4])]
    space = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
    single = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    pair = single + [{"Sequence": {"id": "B", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
            "normalizer": {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            "pre_tokenizer": space,
            "post_processor": {"type": "TemplateProcessing", "single": single, "pair": pair,
                               "special_tokens": {"</s>": {"id": "</s>", "ids": [EOS], "tokens": ["</s>"]}}},
            "decoder": space,
            "model": {"type": "Unigram", "unk_id": UNK, "vocab": [[p, s] for p, s in pieces()]}}


class Unigram:
    """Splits prompts by a vocabulary [(piece, score)]."""

    def __init__(self, vocabulary):
        self.scores = {p: (i, s) for i, (p, s) in enumerate(vocabulary) if i >= 4}
        self.unknown = min(s for _, s in self.scores.values()) - 10
        self.longest = max(map(len, self.scores))
        self.split = functools.lru_cache(100000)(self.split_word)

    def split_word(self, word):
        """The most likely pieces of one word (with its leading space mark)."""
        best = [(0., 0, None)] + [(-1e30, 0, None)] * len(word)         # score, where the last piece began, its id
        for at in range(len(word)):
            for end in range(at + 1, min(len(word), at + self.longest) + 1):
                found = self.scores.get(word[at:end])
                if found is None and end > at + 1:
                    continue
                id_, score = found or (UNK, self.unknown)
                if best[at][0] + score > best[end][0]:
                    best[end] = (best[at][0] + score, at, id_)
        out, end = [], len(word)
        while end:
            _, end, id_ = best[end]
            if not (out and id_ == UNK and out[-1] == UNK):             # neighbouring unknowns are one
                out.append(id_)
        return tuple(out[::-1])

    def encode(self, text):
        """The ids of a prompt with its end mark, padded to LENGTH."""
        ids = [i for word in text.split() for i in self.split(SPACE + word)][:LENGTH - 1] + [EOS]
        return ids + [PAD] * (LENGTH - len(ids))


@functools.lru_cache(None)
def of_world():
    """The tokenizer of the world as it is now."""
    return Unigram(pieces())


def encode(text):
    return of_world().encode(text)


def vocab_size():
    """Rounded up to a multiple of 64, as published embeddings are."""
    return (len(pieces()) + 63) // 64 * 64
