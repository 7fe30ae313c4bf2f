/* fuzz_plan - any bytes as an edited plan: refused, or a plan that is written and read again as the same. */
#include "coordinator/plan/plan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_plan(const struct grammar *g, const char *json, size_t size)
{
    struct str once = { 0 }, twice = { 0 }, prompt = { 0 };
    struct error err;
    struct plan p, again;

    if (!plan_parse(&p, json, size, g, 0, &err))
        return;
    plan_write(&p, &once);
    if (!plan_parse(&again, once.data, once.size, g, p.duration_ms, &err))
        abort();
    plan_write(&again, &twice);
    if (strcmp(once.data, twice.data) != 0)
        abort();
    for (size_t i = 0; i < p.shot_count; i++)
        plan_prompt(&p, i, g, &prompt);
    plan_free(&p);
    plan_free(&again);
    str_free(&once);
    str_free(&twice);
    str_free(&prompt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct grammar *builtin;
    struct error err;

    if (!builtin)
        builtin = grammar_open("/nowhere", 0, &err);
    try_plan(builtin, (const char *)data, size);
    return 0;
}
