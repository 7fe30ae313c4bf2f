/* fuzz_grammar - any bytes as a pack's grammar.json: refused, or a grammar whose walks end in valid plans. */
#include "common/base/rng.h"
#include "coordinator/plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Random answers: whatever the grammar, the walk ends and the plan is valid. */
static void try_walk(const struct grammar *g, uint64_t seed)
{
    struct error err;
    struct grammar_walk *w = grammar_walk_new(g, NULL, 0, 3 * g->shortest_ms + (int64_t)(seed % 1000), &err);
    struct str text = { 0 };
    struct plan p;

    for (uint64_t roll = 0; w; roll++) {
        struct grammar_piece piece = grammar_walk_next(w);
        if (piece.kind == PIECE_END)
            break;
        if (piece.kind == PIECE_LITERAL) {
            str_append(&text, piece.text);
        } else if (piece.kind == PIECE_CHOICE) {
            size_t option = (size_t)(rng_uniform(seed, 1, roll) * (double)piece.option_count);
            str_append(&text, piece.options[option]);
            grammar_walk_choose(w, option);
        } else {
            if (!grammar_walk_write(w, "so be it"))
                abort();
            str_append(&text, "so be it\"");
        }
    }
    if (w && !plan_parse(&p, text.data, text.size, g, 3 * g->shortest_ms + (int64_t)(seed % 1000), &err)) {
        fprintf(stderr, "%s: %s\n", str_text(&text), err.text);
        abort();
    }
    if (w)
        plan_free(&p);
    grammar_walk_free(&w);
    str_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    struct grammar *g = grammar_parse((const char *)data, size, "input", 0, &err);

    if (g && grammar_most_durations(g) < 1000)
        try_walk(g, size);
    grammar_close(&g);
    return 0;
}
