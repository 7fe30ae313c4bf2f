#include "client/source.h"

#include "client/program.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static bool parse_size(const char *text, struct campaign_single *s, struct error *err)
{
    int used = 0;
    if (sscanf(text, "%4ux%4u%n", &s->width, &s->height, &used) == 2 && text[used] == '\0' && s->width >= 16 &&
        s->height >= 16 && s->width % 2 == 0 && s->height % 2 == 0 && s->width <= CAMPAIGN_LARGEST_SIDE &&
        s->height <= CAMPAIGN_LARGEST_SIDE)
        return true;
    return error_set(err, ERROR_USAGE, "--size: \"%s\" is not WIDTHxHEIGHT, even numbers from 16 to %d", text,
                     CAMPAIGN_LARGEST_SIDE);
}

bool source_load(struct campaign *c, const struct source *s, const char *file, struct error *err)
{
    struct campaign_wishes wishes = {
        .has_seed = s->has_seed,
        .seed = s->seed,
        .duration_ms = s->has_duration ? (uint32_t)(s->duration * 1000 + 0.5) : 0,
    };
    if ((file != NULL) + (s->prompt != NULL) + (s->plan != NULL) != 1)
        return error_set(err, ERROR_USAGE, "expected one of: a campaign file, --prompt, --plan");
    if (file && s->size)
        return error_set(err, ERROR_USAGE, "--size: a campaign file states its own sizes");
    if (!file && s->allowed)
        return error_set(err, ERROR_USAGE, "--allow-path: is for a campaign file");
    if (file) {
        char own_pack[PATH_MAX], packs[2 * PATH_MAX] = "";

        if (program_pack(own_pack))
            snprintf(packs, sizeof packs, "%s", own_pack);
        if (s->allowed && snprintf(packs + strlen(packs), sizeof packs - strlen(packs), "%s%s", *packs ? ":" : "",
                                   s->allowed) >= (int)(sizeof packs - strlen(packs)))
            return error_set(err, ERROR_USAGE, "--allow-path: too long");
        wishes.allowed = s->allowed;
        wishes.allowed_packs = packs;
        return campaign_load(c, file, &wishes, err);
    }
    struct campaign_single single = { .name = s->name, .prompt = s->prompt, .plan_path = s->plan };
    if (s->size && !parse_size(s->size, &single, err))
        return false;
    return campaign_from_single(c, &single, &wishes, err);
}
