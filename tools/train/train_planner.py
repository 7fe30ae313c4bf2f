"""train_planner - trains the planner: from a prompt to the choices of its plan.

Only tokens at which the grammar leaves a choice are learnt; everything else of the plan is given to the model at run time
as it is here. The loss is the softmax over the tokens that the grammar allows at that place.
"""
import argparse
import json
import os
import re
import string
import sys
import time
import numpy as np
import torch
import torch.nn.functional as F
import grammar
import stories
from bpe import Bpe, train as bpe_train, unspell
from learner import Learner, device_pick, schedule
from qwen import CONFIG, Qwen
from tensors import tensors_read

CHECKPOINT, MERGES = "planner.pt", "planner_merges.json"
SYSTEM = "You turn a wish into a shot list."
TOKENS_PER_BATCH, EASY_PAIRS = 2500, 20000


def chat(user):
    return f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"


def fixed_tokens(g):
    """The plan's literals and most options as single tokens: a plan is then three times shorter."""
    ids = g["alias"] + list(string.ascii_uppercase[:g["max_cast"]])
    numbers = [f"{n}," for n in range(1, 10)] + [f"{n}}}" for n in range(10)]
    literals = ['{"cast":[{"id":"', ',"kind":"', ',"phrase":"', '},{"id":"', '"},{"id":"', ',"shots":[{"scene":1,"place":"', ',{"scene":', '"place":"', ',"light":"', ',"size":"',
                ',"angle":"eye level","camera":"', ',"actors":[{"cast":"', ',"enters":1,"action":"', '}],"duration":', '"transition":"', ',"match":']
    options = [w + '"' for field in ("place", "light", "size", "camera", "transition") for w in g[field]]
    options += [kind + '"' for kind in g["phrases"]] + [a + '"' for actions in g["actions"].values() for a in actions]
    times = [grammar.seconds_text(ms) + "," for ms in range(g["shortest_ms"], g["longest_ms"] + 1, g["unit_ms"])]
    return literals + options + times + numbers + [i + '"' for i in ids]


def tokenizer_make(work, g):
    """The BPE, trained on prompts and on the pieces of plans."""
    path = f"{work}/{MERGES}"
    if not os.path.exists(path):
        rng, texts = np.random.RandomState(11), []
        for _ in range(6000):
            user, given, total, plan = stories.pair_new(rng, g)
            texts.append(chat(re.sub("|".join(g["alias"]), "", user)).replace("<|im_start|>", "").replace("<|im_end|>", ""))
            texts += [text for text, _ in grammar.pieces_of(g, given, total, plan)]
        json.dump(bpe_train(texts, 900), open(path, "w"))
    return Bpe.load(path, fixed_tokens(g))


def example(bpe, g, rng, ease):
    """ids, and for each learnt token its place and the ids that the grammar allows there."""
    user, given, total, plan = stories.pair_new(rng, g, ease)
    ids, learnt = bpe.encode(chat(user)), []
    for text, options in grammar.pieces_of(g, given, total, plan):
        piece = bpe.encode(text)
        if options is not None:
            encoded = [bpe.encode(o) for o in options]
            for i in range(len(piece)):
                allowed = sorted({o[i] for o in encoded if o[:i] == piece[:i] and len(o) > i})
                if len(allowed) > 1:
                    learnt.append((len(ids) + i, allowed))
        ids += piece
    return ids, learnt


def batches(bpe, g, samples, easy):
    """Endless batches of examples of like length, from the one after `samples` on; among the first `easy` ones are more short stories."""
    rng = np.random.RandomState(100 + samples)
    while True:
        ease = max(0., 1 - samples / easy) if easy else 0.
        pool = sorted((example(bpe, g, rng, ease) for _ in range(240)), key=lambda e: len(e[0]))
        samples += len(pool)
        groups, group = [], []
        for e in pool:
            if group and (len(group) + 1) * len(e[0]) > TOKENS_PER_BATCH:
                groups.append(group)
                group = []
            group.append(e)
        groups.append(group)
        rng.shuffle(groups)
        yield from groups


def loss_of(model, group, device):
    """The mean loss over choices, and the share of them that the model gets right."""
    width = max(len(ids) for ids, _ in group)
    ids = torch.zeros(len(group), width, dtype=torch.long)
    rows, places, allowed, target = [], [], [], []
    for r, (tokens, learnt) in enumerate(group):
        ids[r, :len(tokens)] = torch.tensor(tokens)
        for place, options in learnt:
            rows.append(r)
            places.append(place - 1)
            target.append(options.index(tokens[place]))
            allowed.append(options)
    most = max(map(len, allowed))
    table = torch.tensor([o + [o[0]] * (most - len(o)) for o in allowed], device=device)
    shut = torch.tensor([[False] * len(o) + [True] * (most - len(o)) for o in allowed], device=device)
    target = torch.tensor(target, device=device)
    where = [torch.tensor(t, device=device)[:, None] for t in (rows, places)]
    states = model.hidden(ids.to(device), tuple(where))
    scores = (model.model.embed_tokens.weight[table] * states).sum(-1).float().masked_fill(shut, -1e9)
    return F.cross_entropy(scores, target), float((scores.argmax(1) == target).float().mean())


def begin_from(folder, bpe, model):
    """Takes over the weights of an exported planner; a token that it has not begins as the mean of the pieces that it reads."""
    state, old = {k: torch.tensor(v.astype(np.float32)) for k, v in tensors_read(f"{folder}/model.safetensors").items()}, Bpe.read(f"{folder}/tokenizer.json")
    table = state["model.embed_tokens.weight"]
    rows = [table[old.named(name)] if old.named(name) is not None else table[old.encode(unspell(name))].mean(0) for name in bpe.names()]
    model.load_state_dict({**state, "model.embed_tokens.weight": torch.stack(rows)})


def train(work, minutes, begin):
    torch.set_num_threads(1)
    device, g = device_pick(), grammar.grammar_json()
    bpe = tokenizer_make(work, g)
    torch.manual_seed(0)
    is_matrix = lambda name, p: p.dim() == 2 and "embed" not in name
    model = Qwen(bpe.size, CONFIG)
    if begin:
        begin_from(begin, bpe, model)
    learner = Learner(model, is_matrix, device, muon_lr=.007 if begin else .01, adam_lr=2e-3, average=.985)
    path = f"{work}/{CHECKPOINT}"
    learner.load(path)
    source, began, before, saved, recent, progress = batches(bpe, g, learner.samples, 0 if begin else EASY_PAIRS), time.time(), learner.seconds, time.time(), [], 0.
    while progress < 1:
        learner.seconds = before + time.time() - began
        group = next(source)
        loss, right = loss_of(learner.work, group, device)
        loss.backward()
        progress = learner.step(schedule(progress, learner.steps), learner.seconds / (minutes * 60))
        learner.samples += len(group)
        recent.append((float(loss), right))
        if learner.steps % 25 == 0:
            print(f"{learner.steps} {learner.seconds:.0f} s pairs {learner.samples} loss %.4f right %.4f" % tuple(np.mean(recent[-50:], 0)), flush=True)
        if time.time() - saved > 60 or progress >= 1:
            learner.save(path)
            saved = time.time()
    open(f"{work}/planner.done", "w").close()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", default="work")
    p.add_argument("--minutes", type=float, default=15)
    p.add_argument("--begin", help="a pack's planner folder whose weights are trained on")
    a = p.parse_args()
    if not os.path.exists(f"{a.work}/planner.done"):
        train(a.work, a.minutes, a.begin)


if __name__ == "__main__":
    sys.exit(main())
