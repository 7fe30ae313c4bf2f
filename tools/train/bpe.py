"""bpe - the planner's tokenizer: a small byte-level BPE in the layout of Qwen's tokenizer.json, trained here.

Only ASCII text is trained on; at run time other text falls apart into bytes. Capitals are made small: they say nothing here.
The pattern below is Qwen2's, written for ASCII with Python's own regular expressions.
"""
import collections
import functools
import json
import re
from fold import fold, normalizers

PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
ASCII = re.compile(PATTERN.replace(r"[^\r\n\p{L}\p{N}]", "[^\\r\\nA-Za-z0-9]").replace(r"[^\s\p{L}\p{N}]", "[^\\sA-Za-z0-9]")
                   .replace(r"\p{L}", "[A-Za-z]").replace(r"\p{N}", "[0-9]"))
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


@functools.lru_cache(None)
def byte_letters():
    """GPT-2's printable letter for every byte."""
    shown = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    letters, extra = {b: chr(b) for b in shown}, 256
    for b in range(256):
        if b not in letters:
            letters[b] = chr(extra)
            extra += 1
    return letters


def spell(word):
    return "".join(byte_letters()[b] for b in word.encode())


def unspell(name):
    """The text of a token's name; of a special one the name itself."""
    letters = {c: b for b, c in byte_letters().items()}
    return bytes(letters[c] for c in name).decode(errors="replace") if all(c in letters for c in name) else name


def train(texts, merges):
    """The list of merges (pairs of strings) that shorten the texts most."""
    counts = collections.Counter(spell(w) for t in texts for w in ASCII.findall(fold(t.lower())))
    words = [[list(w), n] for w, n in sorted(counts.items())]
    pairs, places, out = collections.Counter(), collections.defaultdict(set), []

    def count(index, sign):
        letters, n = words[index]
        for pair in zip(letters, letters[1:]):
            pairs[pair] += sign * n
            places[pair].add(index)
    for index in range(len(words)):
        count(index, 1)
    for _ in range(merges):
        best = max(pairs, key=lambda p: (pairs[p], p), default=None)
        if best is None or pairs[best] < 2:
            break
        out.append(best)
        for index in places.pop(best):
            count(index, -1)
            words[index][0] = merge(words[index][0], best)
            count(index, 1)
        del pairs[best]
    return out


def merge(letters, pair):
    out, i = [], 0
    while i < len(letters):
        if i + 1 < len(letters) and (letters[i], letters[i + 1]) == pair:
            out.append(pair[0] + pair[1])
            i += 2
        else:
            out.append(letters[i])
            i += 1
    return out


class Bpe:
    """merges make the vocabulary; `fixed` are strings that are one token each, wherever they stand."""

    def __init__(self, merges, fixed, normalise=lambda text: fold(text.lower())):
        self.normalise, self.merges, self.fixed = normalise, [tuple(m) for m in merges], list(fixed)
        self.rank = {m: i for i, m in enumerate(self.merges)}
        letters = sorted(byte_letters().values())
        names = letters + [a + b for a, b in self.merges]
        self.vocab = {}
        for name in names:
            self.vocab.setdefault(name, len(self.vocab))
        self.special = {s: len(self.vocab) + i for i, s in enumerate(SPECIAL + self.fixed)}
        self.size = len(self.vocab) + len(self.special)
        self.parts = re.compile("(" + "|".join(map(re.escape, sorted(self.special, key=len, reverse=True))) + ")")
        self.cache = {}

    def word(self, word):
        if word not in self.cache:
            letters = list(spell(word))
            while len(letters) > 1:
                best = min(zip(letters, letters[1:]), key=lambda p: self.rank.get(p, 1 << 30))
                if best not in self.rank:
                    break
                letters = merge(letters, best)
            self.cache[word] = [self.vocab[x] for x in letters]
        return self.cache[word]

    def encode(self, text):
        ids = []
        for part in self.parts.split(text):
            if part in self.special:
                ids.append(self.special[part])
            else:
                for w in ASCII.findall(self.normalise(part)):
                    ids += self.word(w)
        return ids

    @staticmethod
    def load(path, fixed):
        return Bpe(json.load(open(path)), fixed)

    @staticmethod
    def read(path):
        """The vocabulary of a tokenizer.json that tokenizer_json() made; it takes texts as they are."""
        t = json.load(open(path))
        return Bpe([m.split(" ") for m in t["model"]["merges"]], [a["content"] for a in t["added_tokens"] if a["content"] not in SPECIAL], lambda text: text)

    def names(self):
        """All tokens in the order of their ids."""
        return list(self.vocab) + list(self.special)

    def named(self, name):
        """A token's id; None: there is none."""
        return self.vocab.get(name, self.special.get(name))

    def tokenizer_json(self):
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
        split = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}
        added = [{"id": i, "content": s, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": s in SPECIAL}
                 for s, i in self.special.items()]
        return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
                "normalizer": {"type": "Sequence", "normalizers": normalizers()},
                "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]}, "post_processor": byte_level, "decoder": byte_level,
                "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                          "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": self.vocab,
                          "merges": [f"{a} {b}" for a, b in self.merges]}}
